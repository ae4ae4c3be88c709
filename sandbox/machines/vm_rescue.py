"""The rescue system of machines with a kernel of their own: the newest base image, on a disk that goes when the machine is off.

QEMU starts its kernel itself and gives it the disk as /dev/vda, so that the machine's own stays /dev/sda, whatever is written to
it; nothing of that one is mounted, as both may have the same UUIDs. vm.sh takes the files once: a reboot boots from the disk.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sandbox.machines import Boot, vm_seed
from sandbox.machines.accelerator import CONSOLES
from sandbox.machines.hosted import write_files

SYSTEM = "debian-13"


def write(directory: Path, boot: Boot, architecture: str, tree: Path, disk: Path) -> None:
    """What vm.sh needs: the seed, links to kernel, initrd and disk, and the kernel's arguments."""
    kernel = max((tree / "boot").glob("vmlinuz-*"), key=lambda path: path.stat().st_mtime)
    write_files(directory, {"arguments": arguments(architecture)})
    write_files(directory / "seed", vm_seed.files(told(boot)))
    links = {"kernel": kernel, "initrd": kernel.with_name(kernel.name.replace("vmlinuz", "initrd.img")), "base": disk}
    for name, target in links.items():
        (directory / name).symlink_to(target)


def told(boot: Boot) -> Boot:
    """What its cloud-init reads. The password counts where no key was given: it is to be changed at the first login."""
    rescue = boot.of_rescue()
    return replace(rescue, root_password=None) if rescue.public_keys else rescue


def arguments(architecture: str) -> str:
    """Of the kernel."""
    return f"root=/dev/vda1 rw fstab=no console=tty0 console={CONSOLES[architecture]}\n"
