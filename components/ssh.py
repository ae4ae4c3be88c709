"""A server's SSH: whether it answers, and by the program ssh what the command provider cannot do, such as taking a file."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from hetzner.errors import CloudError
from hetzner.waiting import Rarely, often, polls

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


def wait_for_ssh(host: str, port: int, seconds: float, still_there: Callable[[], bool] = lambda: True) -> None:
    """Wait until an SSH server greets on the port; raises CloudError if none does, or its server has been deleted meanwhile."""
    if greets(host, port):
        return
    rarely = Rarely()
    for waited in polls(seconds, often):
        if greets(host, port):
            return
        if rarely.is_due(waited) and not still_there():
            raise CloudError(f"the server at {host} was deleted while it booted: its run has ended")
    raise CloudError(
        f"no SSH server on {host}:{port} within {seconds:.0f} s (node-images:timeouts.boot): the server did not boot,\n"
        f"    or port {port} is not its sshd's (node-images:sshPort), or you come from elsewhere than node-images:sshFrom says.\n"
        "    Look at the server's console; with onFailure: keep it stays for that"
    )


def greets(host: str, port: int, seconds: float = 5) -> bool:
    """Whether an SSH server answers there. A port that is forwarded may take a connection and end it at once."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False
