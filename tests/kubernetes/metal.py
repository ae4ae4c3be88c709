"""A bare-metal server, as far as QEMU can be one: an NVMe disk, an Intel network card, a BIOS or UEFI, and nothing of a cloud.

A tarball is written to its disk as installimage does, with the partitions that `./node-images render install-image` begins with.
"""

import asyncio
import shutil
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from benchmarks.ready import until_ready
from sandbox.machines import accelerator
from sandbox.machines.accelerator import EMULATORS
from sandbox.machines.base_images import BaseImages
from sandbox.settings import cache_root
from tests.e2e.bare_metal import install, run, unpack

SCRIPT = Path(__file__).with_name("installimage.sh")
DONE = "installimage: done"
HOSTNAME = "cluster-control-plane"
ADDRESS = "10.0.2.15"
DISK_MB = 20 * 1024
INSTALL_SECONDS, END_SECONDS = 3600, 60
FIRMWARE = Path("/usr/share/OVMF")
BIOS, UEFI = "BIOS", "UEFI"
BIOS_BOOT = "21686148-6449-6E6F-744E-656564454649"
"""Type of the partition into which GRUB puts its core, where a disk with a GPT boots by BIOS."""
PROGRAMS = {
    str(FIRMWARE / "OVMF_CODE_4M.fd"): "ovmf",
    "mkfs.vfat": "dosfstools",
    "qemu-img": "qemu-utils",
    "sfdisk": "fdisk",
}
"""Program, or path of a file -> Debian package."""


@dataclass(frozen=True)
class Partition:
    """In MiB; `mount` is empty for the one of GRUB."""

    mount: str
    type: str
    start: int
    size: int


LAYOUT = (
    Partition("", BIOS_BOOT, 1, 1),
    Partition("/boot/efi", "U", 2, 512),
    Partition("/boot", "L", 514, 1024),
    Partition("/", "L", 1538, DISK_MB - 1538 - 1),
)


def boots_of_tarball(archive: Path, folder: Path, user_data: str) -> dict[str, float]:
    """Seconds from power-on until the node was Ready, by firmware. Each boot has the disk as installimage leaves it."""
    disk = installed(archive, folder, user_data)
    return {firmware: round(ready_by(firmware, disk, folder), 1) for firmware in (BIOS, UEFI)}


def installed(archive: Path, folder: Path, user_data: str) -> Path:
    """A disk with the tarball, and the seed that CAPH's post-install script leaves."""
    tree, disk = folder / "tree", folder / "disk.raw"
    unpack(archive, tree)
    run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / "key"))
    install(tree, HOSTNAME, (folder / "key.pub").read_text(), user_data)
    with (tree / "etc/hosts").open("a") as hosts:
        hosts.write(f"{ADDRESS} {HOSTNAME}\n")
    shutil.copyfile(SCRIPT, tree / "installimage.sh")
    (tree / "installimage.sh").chmod(0o700)
    kernel, initrd = kernel_of(tree, folder)
    root = write_disk(tree, disk)
    shutil.rmtree(tree)
    boot = ["-kernel", str(kernel), "-initrd", str(initrd), "-append", arguments(root), "-no-reboot"]
    finish(disk, boot, folder)
    return disk


def kernel_of(tree: Path, folder: Path) -> tuple[Path, Path]:
    """Copies of the kernel and its initrd, for the one boot that no boot loader can do."""
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    initrd = kernel.with_name(kernel.name.replace("vmlinuz-", "initrd.img-"))
    return Path(shutil.copy(kernel, folder / "kernel")), Path(shutil.copy(initrd, folder / "initrd"))


def arguments(root: str) -> str:
    """The kernel's command line by which the script is its first process."""
    return f"root=UUID={root} rw console=ttyS0 init=/installimage.sh panic=-1"


def write_disk(tree: Path, disk: Path) -> str:
    """Partitions and file systems with what is in the tree; returns the UUID of the root file system."""
    run("truncate", f"--size={DISK_MB}M", str(disk))
    subprocess.run(["sfdisk", "--quiet", str(disk)], input=table(LAYOUT), text=True, check=True)
    uuids = {"/boot/efi": "5B1C-3E7A", "/boot": str(uuid4()), "/": str(uuid4())}
    (tree / "etc/fstab").write_text(fstab(uuids))
    boot = Path(shutil.move(tree / "boot", tree.with_name("boot")))
    (tree / "boot").mkdir(mode=0o755)
    for partition in LAYOUT:
        if partition.type == "U":
            place = f"--offset={partition.start * 2048}"
            identifier = uuids[partition.mount].replace("-", "")
            # Clusters as on a partition of this size: by the size of the disk it would take so few that UEFI reads no FAT32.
            sizes = ["-F", "32", "-s", "8"]
            run("mkfs.vfat", *sizes, "-i", identifier, place, str(disk), str(partition.size * 1024))
        elif partition.mount:
            source = boot if partition.mount == "/boot" else tree
            place = f"offset={partition.start << 20},root_owner=0:0"
            command = ["mke2fs", "-q", "-F", "-t", "ext4", "-U", uuids[partition.mount], "-d", str(source), "-E", place]
            run(*command, str(disk), f"{partition.size}M")
    shutil.rmtree(boot)
    return uuids["/"]


def table(layout: Sequence[Partition]) -> str:
    """As sfdisk takes it."""
    rows = [f"start={item.start}MiB, size={item.size}MiB, type={item.type}" for item in layout]
    return "\n".join(["label: gpt", *rows, ""])


def fstab(uuids: dict[str, str]) -> str:
    """As installimage writes it."""
    options = {"/boot/efi": "vfat umask=0077 0 1", "/boot": "ext4 defaults 0 0", "/": "ext4 defaults 0 0"}
    rows = [f"UUID={uuids[mount]} {mount} {rest}" for mount, rest in options.items()]
    return "\n".join(["proc /proc proc defaults 0 0", *rows, ""])


def finish(disk: Path, boot: Sequence[str], folder: Path) -> None:
    """Run installimage's commands on the disk. Raises RuntimeError with their last words where one of them fails."""
    console = folder / "install.log"
    with subprocess.Popen(qemu(disk, "raw", console, boot)) as machine:
        try:
            machine.wait(INSTALL_SECONDS)
        except subprocess.TimeoutExpired:
            machine.kill()
    said = console.read_text(errors="replace")
    if DONE not in said:
        raise RuntimeError("\n".join(["installimage's commands did not end well:", *said.splitlines()[-40:]]))


def ready_by(firmware: str, disk: Path, folder: Path) -> float:
    """Seconds from power-on until the disk's node is Ready. The disk itself stays as it is."""
    layer, console = folder / f"{firmware}.qcow2", folder / f"{firmware}.log"
    run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", str(disk), str(layer))
    console.touch()
    start = time.monotonic()
    with subprocess.Popen(qemu(layer, "qcow2", console, firmware_of(firmware, folder))) as machine:
        try:
            said = until_ready(console, lambda: machine.poll() is None)
        finally:
            machine.terminate()
            machine.wait(END_SECONDS)
    if f"booted by {firmware}" not in said:
        raise RuntimeError(f"not booted by {firmware}: {said}")
    return time.monotonic() - start


def firmware_of(name: str, folder: Path) -> list[str]:
    """QEMU's options; its BIOS is the default. UEFI has its variables in a file of the machine's own."""
    if name == BIOS:
        return []
    variables = shutil.copyfile(FIRMWARE / "OVMF_VARS_4M.fd", folder / "variables.fd")
    flash = "if=pflash,format=raw,file"
    return ["-drive", f"{flash}={FIRMWARE / 'OVMF_CODE_4M.fd'},readonly=on", "-drive", f"{flash}={variables}"]


def qemu(disk: Path, how: str, console: Path, boot: Sequence[str]) -> list[str]:
    """The server, with its serial port in a file. It reaches nobody: all that its node needs is in the tarball."""
    images = BaseImages(cache_root() / "base-images")
    chosen = asyncio.run(accelerator.choose(images.kernel, images.directory, "x86"))
    return [
        EMULATORS["x86"],
        *("-nodefaults", "-no-user-config", "-display", "none", "-vga", "std"),
        *accelerator.arguments(chosen, "x86"),
        *("-smp", "2", "-m", "4096M", "-serial", f"file:{console}", "-device", "virtio-rng-pci"),
        *("-drive", f"if=none,id=disk,file={disk},format={how},cache=unsafe"),
        *("-device", "nvme,drive=disk,serial=disk,bootindex=1"),
        *("-netdev", "user,id=network,restrict=on", "-device", "e1000e,netdev=network,addr=0x5"),
        *boot,
    ]
