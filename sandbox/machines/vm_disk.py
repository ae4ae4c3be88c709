"""Bootable disks: a root tree becomes a qcow2 file with partitions and boot loaders for BIOS and for UEFI."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.process import CommandError, run

SCRIPT = Path(__file__).parent / "vm_disk.sh"
# In namespaces of its own: when it is killed, no process and no mount of it is left.
ISOLATED = ("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc")


async def make_disk(tree: Path, target: Path, size_gb: int, *, within: Sequence[str] = ()) -> None:
    """Make ``target``, a disk of that size, of the tree, which stays as it is (some seconds).

    ``within`` begins the command line, for a tree that is put together first: ``("sh", disk.sh, DISK, "no")``.
    """
    try:
        await run(*command(tree, target, size_gb, within))
    except CommandError as failure:
        reason = failure.finished.output.strip() or failure.message
        raise SandboxError(f"could not make the disk {target}: {reason}") from failure
    finally:
        await asyncio.to_thread(shutil.rmtree, f"{target}.part", ignore_errors=True)


def maker_digest() -> str:
    """Of what shapes a disk beside its tree: another way to make it is another disk."""
    return hashlib.sha256(SCRIPT.read_bytes()).hexdigest()[:8]


def command(tree: Path, target: Path, size_gb: int, within: Sequence[str] = ()) -> list[str]:
    """What makes it."""
    return [*ISOLATED, *within, "sh", str(SCRIPT), str(tree), str(target), str(size_gb)]
