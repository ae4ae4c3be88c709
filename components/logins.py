"""How to log in to a server that is kept after a failure: its key goes to a file that only its owner reads, outside of git."""

from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(".pulumi") / "logins"


@dataclass(frozen=True)
class Login:
    """What `ssh` needs to know of a server; the host key is the one that it was made with."""

    name: str
    host: str
    port: int
    host_key: str
    private_key: str

    def write(self) -> str:
        """Write it down and return the command that uses it."""
        FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
        key, config, known_hosts = _files(self.name)
        key.unlink(missing_ok=True)
        key.touch(mode=0o600)
        key.write_text(self.private_key)
        known_hosts.write_text(f"[{self.host}]:{self.port} {self.host_key}\n{self.host} {self.host_key}\n")
        config.write_text(
            f"Host {self.name}\n  HostName {self.host}\n  Port {self.port}\n  User root\n  IdentitiesOnly yes\n"
            f'  IdentityFile "{key.absolute()}"\n  UserKnownHostsFile "{known_hosts.absolute()}"\n'
        )
        return f"ssh -F {config} {self.name}"


def forget(name: str) -> None:
    """The server is gone."""
    for file in _files(name):
        file.unlink(missing_ok=True)


def _files(name: str) -> tuple[Path, Path, Path]:
    return FOLDER / name, FOLDER / f"{name}.config", FOLDER / f"{name}.known_hosts"
