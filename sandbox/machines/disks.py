"""Disks and snapshots: layers over a base image, which disk.sh puts together where they are used.

A disk is a directory with ``base`` (a link to the base image in the cache), ``frozen/001``... (links to layers that never
change again), ``upper`` (what changed since) and ``plain`` (what must not lie on an overlay). Disks that come from one
another share frozen layers, so making one takes no time; a layer goes with the last disk that has it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from sandbox.errors import CloudError
from sandbox.process import CommandError, run
from sandbox.settings import Home

log = logging.getLogger(__name__)
PART_SUFFIX = ".part"
"""Ends the name of what becomes a layer."""
PART = "part-"  # begins the name of what is being made
SPARE = 64 << 20  # bytes that stay free beside a disk


class Disks:
    """Makes and drops the disks of one sandbox: all or nothing, also when the store gets full or we are killed."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.sweeping: set[asyncio.Task[None]] = set()
        self.sizes: dict[Path, asyncio.Future[int]] = {}  # of what never changes

    def make(self, base_image: Path, target: Path) -> None:
        """A disk with nothing but the base image."""
        with self.whole(target) as disk:
            (disk / "base").symlink_to(base_image)

    async def copy(self, source: Path, target: Path) -> None:
        """A disk like another, which may be in use."""
        changing = [part for part in (source / "upper", source / "plain") if part.exists()]
        await self.require(sum([await used_bytes(part) for part in changing]))
        with self.whole(target) as disk:
            (disk / "base").symlink_to((source / "base").readlink())
            (disk / "frozen").mkdir()
            for layer in frozen(source):
                (disk / "frozen" / layer.name).symlink_to(layer.readlink())
            for part in changing:
                await copy_tree(part, disk / part.name)
            self.freeze(disk)

    def freeze(self, disk: Path) -> None:
        """Freeze what changed since the last time, so that copies share it; for a disk that is not in use."""
        if not (disk / "upper").exists():
            return
        layer = self.home.layers / str(uuid4())
        (disk / "frozen").mkdir(exist_ok=True)
        (disk / "frozen" / f"{len(frozen(disk)) + 1:03}").symlink_to(layer)
        (disk / "upper").rename(layer)  # last: until then the link leads nowhere and is passed over

    @contextlib.contextmanager
    def whole(self, target: Path) -> Iterator[Path]:
        """A directory to fill beside its place, which is then renamed."""
        part = self.home.trash / f"{PART}{uuid4()}"
        part.mkdir()
        try:
            yield part
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.rename(target)
        finally:
            self.drop(part)

    async def used(self, disk: Path) -> int:
        """Bytes: what is its own, its layers, its base image."""
        shared = [layer.resolve() for layer in (*frozen(disk), disk / "base")]
        return await used_bytes(disk) + sum([await self.size_of(layer) for layer in shared])

    async def size_of(self, layer: Path) -> int:
        """Bytes of what never changes: measured once."""
        if layer not in self.sizes:
            self.sizes[layer] = asyncio.ensure_future(used_bytes(layer))
        return await asyncio.shield(self.sizes[layer])

    async def require(self, size: int) -> None:
        """Refuse when so many bytes have no room; what lies in the trash makes room first."""
        needed = size + SPARE
        if self.free() < needed:
            await self.close()
        if self.free() < needed:
            raise store_full(self.home.path, f"{needed >> 20} MB needed, {self.free() >> 20} MB free")

    def free(self) -> int:
        """Bytes."""
        return shutil.disk_usage(self.home.trash).free

    def drop(self, path: Path) -> None:
        """Out of the way at once, with the layers that nothing else has; the files are deleted later."""
        if path.exists():
            dropped = self.discard(path)
            self.sweep(dropped, *map(self.discard, self.unused_layers()))

    def discard(self, path: Path) -> Path:
        """Into the trash."""
        return path.rename(self.home.trash / f"old-{uuid4()}")

    def unused_layers(self) -> list[Path]:
        """Those that no disk has, nor one that is being made."""
        snapshots = [*self.home.snapshots.iterdir(), *self.home.snapshots.glob("*/vm")]
        disks = [*self.home.machines.glob("*/disk"), *snapshots, *self.home.trash.glob(f"{PART}*")]
        used = {layer.readlink() for disk in disks for layer in (*frozen(disk), *layers_of_vm(disk))}
        making = {f"{layer.name}{PART_SUFFIX}" for layer in used}
        return [layer for layer in self.home.layers.iterdir() if layer not in used and layer.name not in making]

    def sweep(self, *paths: Path) -> None:
        """Delete what lies in the trash, in the background."""
        if existing := [str(path) for path in paths if path.exists()]:
            task = asyncio.create_task(self.remove(existing))
            self.sweeping.add(task)
            task.add_done_callback(self.sweeping.discard)

    async def remove(self, paths: list[str]) -> None:
        """Delete for good. What cannot be deleted now is tried again at the next start."""
        try:
            await run("rm", "-rf", "--one-file-system", *paths)
        except CommandError as failure:
            log.warning("not deleted: %s", failure.finished.output)

    async def close(self) -> None:
        """Wait for what is being deleted."""
        await asyncio.gather(*self.sweeping, return_exceptions=True)


def frozen(disk: Path) -> list[Path]:
    """Links to its layers, the oldest first."""
    return sorted((disk / "frozen").glob("*"))


def layers_of_vm(disk: Path) -> list[Path]:
    """Links to the layers that a machine with a kernel of its own writes to, or is about to (see vm_disks)."""
    return [link for link in (disk / "top", disk / "next") if link.is_symlink()]


async def copy_tree(source: Path, target: Path) -> None:
    """``cp -a``.

    The source may be in use: files that vanish meanwhile are left out, as in any copy of a running disk.
    """
    try:
        await run("cp", "-a", "--one-file-system", "--no-target-directory", str(source), str(target))
    except CommandError as failure:
        problems = [line for line in failure.finished.output.splitlines() if "No such file or directory" not in line]
        if any("No space left on device" in line for line in problems):
            raise store_full(target.parent.parent, "no space left while copying a disk") from failure
        if problems:
            raise


async def used_bytes(directory: Path) -> int:
    """Bytes on disk, as ``du`` counts them."""
    output = ""
    with contextlib.suppress(CommandError):  # a file vanished while du looked
        output = (await run("du", "--summarize", "--one-file-system", "--block-size=1", str(directory))).output
    last = output.splitlines()[-1] if output else "0"
    return int(last.split()[0])


def store_full(store: Path, reason: str) -> CloudError:
    """The image store is to this cloud what the quota is to an account of the real one."""
    remedy = "delete snapshots or servers, or start the sandbox with --home on a larger disk"
    return CloudError("resource_limit_exceeded", f"the image store {os.fspath(store)} is full: {reason}; {remedy}")
