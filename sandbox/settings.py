"""Where a sandbox keeps its things and how it was started."""

from __future__ import annotations

import hashlib
import os
from enum import StrEnum
from ipaddress import ip_network
from pathlib import Path

from pydantic import BaseModel

from sandbox.resources.conditions import Conditions

SBIN = "/usr/sbin:/sbin"
"""Where root's programs are, which is not on everybody's PATH."""
DEFAULT_PORT = 8787
DEFAULT_SSH_PORT = 2222
LOOPBACK_LIMIT = 254
UNREACHED = ip_network("198.18.0.0/15")
# Opens the first project, as the stack files of the sandbox do. No secret: the API listens on the loopback interface alone.
TOKEN = "sandbox" * 9 + "1"


class MachineKind(StrEnum):
    """What stands behind a server."""

    vm = "vm"
    real = "real"
    light = "light"
    instant = "instant"
    none = "none"

    @property
    def hosted(self) -> bool:
        """Whether machines are processes of this host, which need root and a base image."""
        return self in (MachineKind.vm, MachineKind.real, MachineKind.light)


class Architecture(StrEnum):
    """Of a server's processor."""

    x86 = "x86"
    arm = "arm"


BOOTED = {MachineKind.vm, MachineKind.real}
"""The kinds that boot a system image, and so need one that is there."""


class Speed(StrEnum):
    """How long actions take: as fast as the machine can, or as long as at Hetzner."""

    instant = "instant"
    realistic = "realistic"


class Settings(BaseModel):
    """The options of ``start``.

    ``from_snapshot``: what servers that are made from snapshots are, where that is another kind than ``machines``. ``vm_for``: a
    label selector; servers that it matches are of the kind ``vm`` in any case. ``emulate``: another architecture than the
    host's, whose servers boot as well. ``known_tokens``: no others than those that were made, and that of ``env``.
    """

    port: int = DEFAULT_PORT
    ssh_port: int = DEFAULT_SSH_PORT
    machines: MachineKind = MachineKind.real
    from_snapshot: MachineKind | None = None
    vm_for: str = ""
    emulate: Architecture | None = None
    speed: Speed = Speed.instant
    conditions: Conditions | None = None
    known_tokens: bool = False

    @property
    def kinds(self) -> set[MachineKind]:
        """All kinds that servers may be of."""
        return {self.machines, self.from_snapshot or self.machines, MachineKind.vm if self.vm_for else self.machines}

    @property
    def api_url(self) -> str:
        """What clients take as HCLOUD_ENDPOINT."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def control_url(self) -> str:
        """The control plane beside the API."""
        return f"http://127.0.0.1:{self.port}/_sandbox"

    @property
    def address_limit(self) -> int:
        """How many servers can have an address."""
        return UNREACHED.num_addresses - 1 if self.machines == MachineKind.none else LOOPBACK_LIMIT

    def machine_address(self, number: int) -> str:
        """Address of the ``number``-th machine: a /24 of its own per API port, so that sandboxes do not meet.

        Ports begin at 1024, so the range begins at 127.4.0.0: clear of 127.0.0.1, 127.0.1.1 and 127.0.0.53. Where no machine
        listens there may be more than such a range has: those have addresses that lead nowhere.
        """
        if number > LOOPBACK_LIMIT:
            return str(UNREACHED[number])
        return f"127.{self.port >> 8}.{self.port & 255}.{number}"


class Home:
    """Paths below the state directory (``--home``)."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.key = hashlib.sha256(os.fsencode(self.path)).hexdigest()[:8]  # tells sandboxes of one host apart
        self.lock = self.path / "daemon.lock"
        self.daemon = self.path / "daemon.json"
        self.log = self.path / "daemon.log"
        self.state = self.path / "state.db"
        self.machines = self.path / "machines"
        self.snapshots = self.path / "snapshots"
        self.layers = self.path / "layers"
        self.volumes = self.path / "volumes"
        self.trash = self.path / "trash"

    def make(self) -> None:
        """Create the directories; what machines hold is for root's eyes only, as it contains private keys."""
        self.path.mkdir(parents=True, exist_ok=True)
        for directory in (self.machines, self.snapshots, self.layers, self.volumes, self.trash):
            directory.mkdir(mode=0o700, exist_ok=True)


def default_home() -> Path:
    """$SANDBOX_HOME, else .sandbox in the checkout (the parent of this package)."""
    given = os.environ.get("SANDBOX_HOME")
    return Path(given) if given else Path(__file__).resolve().parent.parent / ".sandbox"


def cache_root() -> Path:
    """Where base images are cached: shared by every sandbox of this user, outside any checkout."""
    if given := os.environ.get("NODE_IMAGES_CACHE"):
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "node-images"
