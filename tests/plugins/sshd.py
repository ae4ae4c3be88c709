"""A real OpenSSH server for one test session: own address, port, keys and log, as the user who runs the tests."""

from __future__ import annotations

import contextlib
import getpass
import os
import shutil
import signal
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

from toolchain.layout import cache_root

INSTALLED = Path("/usr/sbin/sshd")
ADDRESS = "127.0.0.1"
PASSWORD = "correct horse"
# Root's sshd wants a folder in /run and a user of its own to exist, and the tests want a password that root has not.
# It gets all of it where nobody else sees it.
AS_ROOT = """
mount -t tmpfs tmpfs /run && mkdir /run/sshd || exit
{ grep -v ^sshd: /etc/passwd; echo sshd:x:65533:65534::/run/sshd:/usr/sbin/nologin; } > /run/passwd
{ grep -v ^root: /etc/shadow; echo "root:$HASH:20000::::::"; } > /run/shadow
mount --bind /run/passwd /etc/passwd && mount --bind /run/shadow /etc/shadow && exec "$@"
"""
UNSEEN = ["unshare", "--mount", "sh", "-c", AS_ROOT, "sshd"]


@dataclass(frozen=True)
class Programs:
    """Where OpenSSH's server is: installed, or unpacked from its packages without installing (and starting) it."""

    sshd: Path
    sftp_server: Path
    libraries: Path | None = None

    @classmethod
    def find(cls) -> Programs:
        if INSTALLED.exists():
            return cls(INSTALLED, Path("/usr/lib/openssh/sftp-server"))
        root = cache_root() / "openssh-server"
        if not (root / "usr/sbin/sshd").exists():
            unpack("openssh-server", root)
        libraries = next(root.glob("**/libwrap.so.*"), root / "lib").parent
        return cls(root / "usr/sbin/sshd", root / "usr/lib/openssh/sftp-server", libraries)


def unpack(package: str, root: Path) -> None:
    """Fetch a Debian package with what it needs, and unpack all of it in one step."""
    staging = root.with_name(f".{root.name}-{os.getpid()}")
    (staging / "archives/partial").mkdir(parents=True)
    fetch = ["apt-get", "install", "--download-only", "--yes", "--no-install-recommends"]
    options = ["-o", f"Dir::Cache::archives={staging}/archives", "-o", "Debug::NoLocking=1"]
    subprocess.run([*fetch, *options, package], check=True, capture_output=True)
    for archive in (staging / "archives").glob("*.deb"):
        subprocess.run(["dpkg-deb", "--extract", archive, staging], check=True)
    shutil.rmtree(staging / "archives")
    shutil.rmtree(root, ignore_errors=True)
    staging.rename(root)


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind((ADDRESS, 0))
        return int(listener.getsockname()[1])


def make_key(file: Path, passphrase: str = "") -> Path:
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", passphrase, "-C", "", "-f", str(file)]
    subprocess.run(command, check=True)
    return file


def hashed(password: str) -> str:
    command = ["openssl", "passwd", "-6", password]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@dataclass
class Sshd:
    """One server; `start` and `stop` as often as a test likes."""

    folder: Path
    programs: Programs = field(default_factory=Programs.find)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.host_key = make_key(self.folder / "host_key").with_suffix(".pub").read_text().strip()
        self.private_key = make_key(self.folder / "user_key").read_text()
        self.locked_key = make_key(self.folder / "locked_key", "open sesame").read_text()
        keys = [(self.folder / f"{name}.pub").read_text() for name in ("user_key", "locked_key")]
        (self.folder / "authorized_keys").write_text("".join(keys))
        (self.folder / "config").write_text(self.config())

    def config(self) -> str:
        return f"""
ListenAddress {ADDRESS}:{self.port}
HostKey {self.folder}/host_key
AuthorizedKeysFile {self.folder}/authorized_keys
PidFile none
StrictModes no
UsePAM no
PermitRootLogin yes
PasswordAuthentication {"yes" if os.geteuid() == 0 else "no"}
MaxStartups 100
AcceptEnv ALLOWED PULUMI_COMMAND_STDOUT PULUMI_COMMAND_STDERR
Subsystem sftp {self.programs.sftp_server}
"""

    def start(self) -> Sshd:
        wrapper = UNSEEN if os.geteuid() == 0 else []
        environment = {**os.environ, "HASH": hashed(PASSWORD)}
        if self.programs.libraries:
            environment["LD_LIBRARY_PATH"] = str(self.programs.libraries)
        words = [*wrapper, str(self.programs.sshd), "-D", "-e", "-f", str(self.folder / "config")]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(words, stderr=log, env=environment, start_new_session=True)
        until = time.monotonic() + 10
        while not self.listens():
            assert self.process.poll() is None and time.monotonic() < until, (self.folder / "log").read_text()
            time.sleep(0.01)
        return self

    def listens(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex((ADDRESS, self.port)) == 0

    def stop(self) -> None:
        """End the server and every session of it."""
        if self.process is None:
            return
        for child in self.sessions():
            _kill(child)
        self.process.terminate()
        self.process.wait()
        self.process = None

    def sessions(self) -> list[int]:
        """List the processes that serve connections."""
        assert self.process is not None
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return [int(pid) for pid in children.split()]

    def cut_connections(self) -> None:
        """End all sessions as a crash of the machine would: without a word about the commands in them."""
        for session in self.sessions():
            for process in [*_descendants(session), session]:
                _kill(process)

    def connection(self, **changes: object) -> dict[str, object]:
        settings = {
            "host": ADDRESS,
            "port": self.port,
            "user": getpass.getuser(),
            "privateKey": self.private_key,
            "hostKey": self.host_key,
            "dialErrorLimit": 2,
        }
        return {name: value for name, value in {**settings, **changes}.items() if value is not None}


def _descendants(pid: int) -> list[int]:
    file = Path(f"/proc/{pid}/task/{pid}/children")
    children = [int(child) for child in file.read_text().split()] if file.exists() else []
    return [found for child in children for found in (child, *_descendants(child)) if _is_sshd(found)]


def _is_sshd(pid: int) -> bool:
    file = Path(f"/proc/{pid}/comm")
    return file.exists() and file.read_text().startswith("sshd")


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
