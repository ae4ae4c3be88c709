"""The program ssh, for what the command provider cannot do: take a file, and ask whether a server still lets us in."""

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

NOT_CONNECTED = 255
"""The exit status of ssh itself, as a server's sshd may greet before root's key is in place."""

REFUSED = ("Permission denied", "Connection closed by", "Connection reset by")
"""What ssh says where the key of the login is gone, or the host's: then OpenSSH before 9.8 hangs up at once."""

TRIES, SECONDS_BETWEEN = 3, 1.0


def ssh_command(host: str, port: int, keys: Mapping[str, str], folder: Path, command: str) -> list[str]:
    """Runs a command on a server: by its own key and pinned host key, kept in the folder; no setting of the user's counts."""
    login, known_hosts = folder / "key", folder / "known_hosts"
    login.touch(mode=0o600)
    login.write_text(keys["login_private_key"])
    known_hosts.write_text(f"server {keys['host_public_key']}\n")
    options = {
        "IdentityFile": str(login),
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "UserKnownHostsFile": str(known_hosts),
        "GlobalKnownHostsFile": "/dev/null",
        "HostKeyAlias": "server",
        "StrictHostKeyChecking": "yes",
        "BatchMode": "yes",
        "LogLevel": "ERROR",
        "ConnectTimeout": "15",
        "ServerAliveInterval": "15",
    }
    settings = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
    return ["ssh", "-F", "/dev/null", *settings, "-p", str(port), f"root@{host}", command]


def lets_in(host: str, port: int, keys: Mapping[str, str]) -> bool:
    """Whether a server takes our key. Only a refusal is a no: what does not answer may be rebooting, or out of our reach."""
    if shutil.which("ssh") is None:
        return True
    with tempfile.TemporaryDirectory() as folder:
        command = ssh_command(host, port, keys, Path(folder), "true")
        for _ in range(TRIES):
            result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
            if result.returncode != NOT_CONNECTED or not any(sign in result.stderr for sign in REFUSED):
                return True
            time.sleep(SECONDS_BETWEEN)
    return False
