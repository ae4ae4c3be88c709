"""Disks of machines with a kernel of their own: chains of qcow2 files, each of which holds what changed since the one before.

A disk is a directory with ``base`` (a link to the disk of a base image in the cache; none where it was made of a container's
snapshot), ``frozen/001``... (links to layers that never change again) and ``top`` (a link to the layer that is written to). While
a snapshot is made, ``next`` is a link to the layer that becomes the top. All layers lie in the store's ``layers``, as those of
containers do, and go with the last disk that has them.
"""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

from sandbox.machines.disks import PART_SUFFIX, Disks, frozen
from sandbox.machines.vm_disk import make_disk
from sandbox.process import run

SUFFIX = ".qcow2"
DISK = Path(__file__).parent / "disk.sh"


class VmDisks:
    """Makes them, in the store of `disks`."""

    def __init__(self, disks: Disks) -> None:
        self.disks = disks

    def make(self, base: Path, target: Path) -> None:
        """A disk with nothing but the base image's."""
        with self.disks.whole(target) as disk:
            (disk / "base").symlink_to(base)

    def copy(self, source: Path, target: Path) -> None:
        """A disk like another that is frozen."""
        with self.disks.whole(target) as disk:
            if (source / "base").is_symlink():
                (disk / "base").symlink_to((source / "base").readlink())
            link_layers(disk, [layer.readlink() for layer in frozen(source)])

    async def from_container(self, snapshot: Path, target: Path) -> None:
        """A disk of the container's snapshot: its files in a file system behind a boot loader."""
        layer = self.new_layer()
        gigabytes = 2 + (await self.disks.used(snapshot) * 5 // 4 >> 30)
        with self.disks.whole(target) as disk:
            link_layers(disk, [layer])
            await make_disk(snapshot / "root", layer, gigabytes, within=("sh", str(DISK), str(snapshot), "no"))

    async def prepare_top(self, disk: Path, size_gb: int) -> Path:
        """The layer to write to, of the size that the machine sees; made anew where the last one was frozen."""
        self.settle(disk)
        top = disk / "top"
        if not top.is_symlink():
            top.symlink_to(self.new_layer())  # the link comes first: a layer that nothing links to is deleted
        layer = top.readlink()
        if not layer.exists():
            part = layer.with_name(f"{layer.name}{PART_SUFFIX}")
            below = layers(disk)[-1]
            await run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "qcow2", "-b", str(below), str(part))
            part.rename(layer)
        await run("qemu-img", "resize", "-q", str(layer), f"{size_gb}G")
        return layer

    def freeze(self, disk: Path) -> None:
        """What was written is a layer now; for a machine that is off."""
        self.settle(disk)
        top = disk / "top"
        if top.is_symlink():
            link_layers(disk, [top.readlink()])
            top.unlink()

    def announce_next(self, disk: Path) -> Path:
        """Before a running machine is told to write to another layer: its path, on record."""
        self.settle(disk)
        layer = self.new_layer()
        (disk / "next").symlink_to(layer)
        return layer

    def settle(self, disk: Path) -> None:
        """After it, or after a kill in between: what was the top is frozen if the machine has begun to write to the next."""
        upcoming, top = disk / "next", disk / "top"
        if not upcoming.is_symlink():
            return
        if upcoming.exists():
            if top.readlink() not in [layer.readlink() for layer in frozen(disk)]:
                link_layers(disk, [top.readlink()])
            upcoming.rename(top)
        else:
            upcoming.unlink()

    def new_layer(self) -> Path:
        """A path for one."""
        return self.disks.home.layers / f"{uuid4()}{SUFFIX}"

    def used(self, disk: Path) -> int:
        """Bytes of all its layers, as they lie on the disk."""
        return sum(layer.stat().st_blocks * 512 for layer in layers(disk))


def layers(disk: Path) -> list[Path]:
    """Files of the chain, the lowest first, without the one that is written to."""
    base = [(disk / "base").resolve()] if (disk / "base").is_symlink() else []
    return [*base, *(layer.resolve() for layer in frozen(disk))]


def link_layers(disk: Path, paths: list[Path]) -> None:
    """Add frozen layers at the end."""
    (disk / "frozen").mkdir(exist_ok=True)
    for path in paths:
        (disk / "frozen" / f"{len(frozen(disk)) + 1:03}").symlink_to(path)


def is_vm_disk(disk: Path) -> bool:
    """Whether it is of this kind, and not a container's: its layers are files."""
    return any(layer.is_file() for layer in layers(disk))
