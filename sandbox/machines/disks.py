"""Disks and snapshots: plain directories, copied whole, made under another name and renamed when complete.

Not overlays: containerd needs a real file system under /var/lib/containerd, and without mounts nothing can stay mounted.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import time
from pathlib import Path
from uuid import uuid4

from sandbox.errors import CloudError
from sandbox.process import CommandError, run

SPARE = 64 << 20  # bytes that stay free beside a copy
QUIET_SECONDS = 5.0


class Disks:
    """Makes and drops directories; ``trash`` lies on the same file system as all of them.

    What is in the trash is deleted when no copy has run for a while: deleting slows copying down several times (ext4
    goes through the inodes that were just freed), and nobody waits for it, unless space is short.
    """

    def __init__(self, trash: Path, quiet: float = QUIET_SECONDS) -> None:
        self.trash = trash
        self.quiet = quiet
        self.sweeping: set[asyncio.Task[None]] = set()
        self.hurry = asyncio.Event()
        self.copying = 0
        self.last_copy = -quiet

    async def copy(self, source: Path, target: Path) -> None:
        """Copy ``source`` to ``target``: all or nothing, also when the disk gets full or we are killed."""
        await self.require_space(source)
        part = self.trash / f"part-{uuid4()}"
        self.copying += 1
        try:
            await copy_tree(source, part)
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            part.rename(target)
        finally:
            self.copying -= 1
            self.last_copy = time.monotonic()
            self.drop(part)

    async def require_space(self, source: Path) -> None:
        """Refuse before starting what cannot fit."""
        await self.require(await used_bytes(source))

    async def require(self, size: int) -> None:
        """Refuse when so many bytes have no room; what lies in the trash makes room first."""
        needed = size + SPARE
        if self.free() < needed:
            await self.close()
        if self.free() < needed:
            raise store_full(self.trash.parent, f"{needed >> 20} MB needed, {self.free() >> 20} MB free")

    def free(self) -> int:
        """Bytes."""
        return shutil.disk_usage(self.trash).free

    def drop(self, path: Path) -> None:
        """Out of the way at once; the files are deleted later."""
        if path.parent != self.trash:
            if not path.exists():
                return
            path = path.rename(self.trash / f"{path.name}-{uuid4()}")
        self.sweep(path)

    def sweep(self, *paths: Path) -> None:
        """Delete what lies in the trash, in the background."""
        if existing := [str(path) for path in paths if path.exists()]:
            task = asyncio.create_task(self.remove(existing))
            self.sweeping.add(task)
            task.add_done_callback(self.sweeping.discard)

    async def remove(self, paths: list[str]) -> None:
        """Delete for good, once it is quiet or there is a hurry."""
        while not self.hurry.is_set() and (self.copying or time.monotonic() - self.last_copy < self.quiet):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self.hurry.wait(), 0.5)
        await run("rm", "-rf", "--one-file-system", *paths)

    async def close(self) -> None:
        """Delete what there is to delete now, and wait for it."""
        self.hurry.set()
        await asyncio.gather(*self.sweeping, return_exceptions=True)
        self.hurry.clear()


async def copy_tree(source: Path, target: Path) -> None:
    """``cp -a``, sharing blocks where the file system can.

    The source may be in use: files that vanish meanwhile are left out, as in any copy of a running disk.
    """
    try:
        await run("cp", "-a", "--one-file-system", "--reflink=auto", str(source), str(target))
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
