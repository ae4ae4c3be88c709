"""A bare-metal server, as far as this machine can be one: a tarball, prepared as installimage and CAPH do, and booted."""

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.machines import Boot, seed
from sandbox.machines.base_images import BaseImages
from sandbox.machines.nspawn import NspawnMachines
from sandbox.settings import Home, Settings
from tests.e2e.workspace import free_port

EXTRACT = [
    *("tar", "-x", "--anchored", "--numeric-owner", "--xattrs", "--xattrs-include=security.capability"),
    *("--exclude", "sys", "--exclude", "proc", "--exclude", "dev", "-z"),
]
"""The words by which installimage unpacks."""


def run(*command: str) -> str:
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout.strip()


def unpack(archive: Path, disk: Path) -> None:
    disk.mkdir(parents=True)
    run(*EXTRACT, "-f", str(archive), "-C", str(disk))
    for directory in ("dev", "proc", "run", "sys"):
        (disk / directory).mkdir(exist_ok=True)


def in_chroot(disk: Path, command: str) -> str:
    return run("chroot", str(disk), "/usr/bin/env", "bash", "-c", command)


def install(disk: Path, hostname: str, public_key: str, user_data: str) -> None:
    """What installimage writes without a disk, and the seed that CAPH's post-install script leaves."""
    for file in ("etc/hostname", "etc/resolv.conf", "etc/machine-id"):
        path = disk / file
        assert path.is_file() and not path.is_symlink(), f"{file} must be a file that installimage can fill"
        assert path.read_text() == ""
    (disk / "etc/hostname").write_text(f"{hostname}\n")
    (disk / "etc/fstab").write_text("proc /proc proc defaults 0 0\n")
    (disk / "etc/network/interfaces").write_text("auto lo\niface lo inet loopback\n")
    (disk / "etc/sysctl.d/99-hetzner.conf").write_text("net.ipv4.conf.all.rp_filter=1\n")
    run("systemd-machine-id-setup", "--root", str(disk))
    authorized = disk / "root/.ssh/authorized_keys"
    authorized.parent.mkdir(mode=0o700, exist_ok=True)
    assert not authorized.exists()
    authorized.write_text(public_key)
    nocloud = disk / "var/lib/cloud/seed/nocloud-net"
    nocloud.mkdir(parents=True)
    (nocloud / "meta-data").write_text(f"local-hostname: {hostname}\n")
    (nocloud / "user-data").write_text(user_data)


@dataclass(frozen=True)
class Server:
    """A booted one, as `ssh` reaches it."""

    address: str
    ssh_port: int


@contextmanager
def booted(home: Path, hostname: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """Boots what lies in `home/installed`, without the sandbox's own seed for cloud-init: what CAPH left must do."""
    monkeypatch.setattr(seed, "CLOUD_INIT_ARGUMENTS", ())
    settings = Settings(port=free_port(), ssh_port=free_port())
    place = Home(home)
    place.make()
    address = settings.machine_address(1)
    with asyncio.Runner() as runner:
        machines = NspawnMachines(place, settings, BaseImages(home / "none"))
        machines.new_disk(1, home / "installed")
        runner.run(machines.power_on(Boot(1, hostname, address)))
        try:
            yield Server(address, settings.ssh_port)
        finally:
            runner.run(gone(machines))


async def gone(machines: NspawnMachines) -> None:
    await machines.power_off(1)
    machines.delete_disk(1)
    await machines.close()
