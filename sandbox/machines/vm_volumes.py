"""Volumes of machines with a kernel of their own: sparse files, which QEMU shows as SCSI disks.

A guest finds one at the path that the API names, /dev/disk/by-id/scsi-0HC_Volume_N: udev makes it of vendor, product and id.
A file is made when a machine needs it first, under another name until it is whole.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sandbox.errors import SandboxError
from sandbox.machines import VolumeDisk
from sandbox.machines.disks import PART_SUFFIX
from sandbox.process import run
from sandbox.settings import SBIN

FORMATTERS = {"ext4": ("mkfs.ext4", "-q", "-F"), "xfs": ("mkfs.xfs", "-q", "-f")}
PACKAGES = {"ext4": "e2fsprogs", "xfs": "xfsprogs"}
Options = Mapping[str, Any]


class VolumeFiles:
    """The data of all volumes, in one directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def path(self, volume: int) -> Path:
        """Its file, which may not be there yet."""
        return self.directory / f"{volume}.img"

    async def ready(self, volume: VolumeDisk) -> Path:
        """The file, made if it is not there."""
        path = self.path(volume.number)
        if not path.exists():
            part = path.with_name(f"{path.name}{PART_SUFFIX}")
            part.unlink(missing_ok=True)
            grow(part, volume.size)
            if volume.format:
                await run(*formatter(volume.format), str(part))
            part.rename(path)
        grow(path, volume.size)
        return path

    def node(self, volume: int) -> Options:
        """The file, as QEMU is told of it."""
        cache = {"no-flush": True}
        file = {"driver": "file", "filename": str(self.path(volume)), "discard": "unmap"}
        return {"driver": "raw", "node-name": name_of(volume), "cache": cache, "discard": "unmap", "file": file}

    def grow(self, volume: VolumeDisk) -> None:
        """To its new size, if there is a file."""
        if self.path(volume.number).exists():
            grow(self.path(volume.number), volume.size)

    def delete(self, volume: int) -> None:
        """No error when there is none."""
        self.path(volume).unlink(missing_ok=True)

    def forget_others(self, volumes: set[int]) -> None:
        """Also what was half made."""
        for path in self.directory.iterdir():
            if path.suffix != ".img" or int(path.stem) not in volumes:
                path.unlink()


def formatter(file_system: str) -> list[str]:
    """The command that makes it. Raises SandboxError where it is not installed."""
    name, *options = FORMATTERS[file_system]
    program = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")
    if program is None:
        raise SandboxError(f"{name} is not there", f"apt-get install {PACKAGES[file_system]}")
    return [program, *options]


def grow(path: Path, gigabytes: int) -> None:
    """Make it, or make it larger; what is new takes no room."""
    with path.open("ab") as file:
        if file.tell() < gigabytes << 30:
            file.truncate(gigabytes << 30)


def name_of(volume: int) -> str:
    """In QEMU, of the file and of the disk."""
    return f"volume-{volume}"


def device(volume: int) -> Options:
    """The disk that the guest sees."""
    seen = {"vendor": "HC", "product": "Volume", "serial": str(volume), "device_id": str(volume)}
    return {"driver": "scsi-hd", "id": name_of(volume), "drive": name_of(volume), **seen}
