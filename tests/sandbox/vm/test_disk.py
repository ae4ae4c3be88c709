"""Bootable disks of root trees, read with the programs of others: sfdisk, e2fsck, debugfs, mtools."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from sandbox.errors import SandboxError
from sandbox.machines.hosted import DISK
from sandbox.machines.vm_disk import command, make_disk
from tests.sandbox.conftest import wait_for

ROOT_UUID = "11111111-2222-4333-8444-555555555555"
SECTOR = 512
CORE = bytes(range(256)) * 200
BOOT = b"\xeb\x63" + bytes(510)
NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
"""The extended attribute of a program that may open raw sockets (version 2, effective)."""


def output(*argv: str | Path) -> str:
    done = subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def make_tree(tree: Path) -> Path:
    """What a disk needs at least, with content that is easy to lose."""
    for directory in ("etc/default/grub.d", "boot/grub/i386-pc", "boot/grub/x86_64-efi", "usr/bin", "dev", "home/user"):
        (tree / directory).mkdir(parents=True)
    (tree / "etc/fstab").write_text(
        f"UUID={ROOT_UUID} / ext4 defaults 0 1\nUUID=1234-ABCD /boot/efi vfat defaults 0 1\n"
    )
    (tree / "etc/default/grub").write_text('GRUB_CMDLINE_LINUX_DEFAULT="quiet"\nGRUB_CMDLINE_LINUX=""\n')
    (tree / "etc/default/grub.d/50-own.cfg").write_text('GRUB_CMDLINE_LINUX="console=ttyS0 own=1"\n')
    for version in ("6.9.1-cloud", "6.12.8-cloud", "6.13.0-cloud"):
        (tree / f"boot/vmlinuz-{version}").write_text("kernel")
    for version in ("6.9.1-cloud", "6.12.8-cloud"):
        (tree / f"boot/initrd.img-{version}").write_text("initrd")
    (tree / "boot/grub/i386-pc/boot.img").write_bytes(BOOT)
    (tree / "boot/grub/i386-pc/core.img").write_bytes(CORE)
    (tree / "boot/grub/x86_64-efi/core.efi").write_bytes(b"efi" + CORE)
    (tree / "boot/grub/grub.cfg").write_text("old")
    ping = tree / "usr/bin/ping"
    ping.write_text("ping")
    os.setxattr(ping, "security.capability", NET_RAW)
    os.link(ping, tree / "usr/bin/ping4")
    (tree / "usr/bin/sudo").write_text("sudo")
    (tree / "usr/bin/sudo").chmod(0o4755)
    (tree / "usr/bin/sh").symlink_to("dash")
    os.mknod(tree / "dev/null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chown(tree / "home/user", 1000, 1001)
    return tree


@dataclass(frozen=True)
class Disk:
    """One disk as a raw file, and its root file system as another."""

    raw: Path
    root: Path

    def partitions(self) -> dict[int, dict[str, object]]:
        table = json.loads(output("sfdisk", "--json", self.raw))["partitiontable"]
        assert table["label"] == "gpt"
        return {int(str(entry["node"]).removeprefix(str(self.raw))): entry for entry in table["partitions"]}

    def debugfs(self, request: str) -> str:
        return output("debugfs", "-R", request, self.root)

    def file(self, path: str) -> str:
        return self.debugfs(f"cat {path}")


def opened(qcow2: Path, where: Path) -> Disk:
    where.mkdir()
    output("qemu-img", "convert", "-O", "raw", qcow2, where / "raw")
    disk = Disk(where / "raw", where / "root")
    root = disk.partitions()[1]
    span = [f"skip={root['start']}", f"count={root['size']}"]
    output("dd", f"if={disk.raw}", f"of={disk.root}", f"bs={SECTOR}", "conv=sparse", *span)
    return disk


def make(tree: Path, target: Path, size_gb: int = 2) -> Path:
    asyncio.run(make_disk(tree, target, size_gb))
    return target


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tree(tmp_path_factory.mktemp("v m") / "tree")


@pytest.fixture(scope="module")
def qcow2(tree: Path) -> Path:
    return make(tree, tree.with_name("disk.qcow2"))


@pytest.fixture(scope="module")
def disk(qcow2: Path) -> Disk:
    return opened(qcow2, qcow2.with_name("opened"))


def test_it_is_sparse_and_as_large_as_asked(qcow2: Path) -> None:
    facts = json.loads(output("qemu-img", "info", "--output=json", qcow2))
    assert (facts["format"], facts["virtual-size"]) == ("qcow2", 2 << 30)
    assert qcow2.stat().st_blocks * SECTOR < 64 << 20
    assert not qcow2.with_name(f"{qcow2.name}.part").exists()


def test_the_layout_is_that_of_hetzner(disk: Disk) -> None:
    output("sfdisk", "--verify", disk.raw)
    partitions = disk.partitions()
    types = {number: str(entry["type"]).upper() for number, entry in partitions.items()}
    assert types[14] == "21686148-6449-6E6F-744E-656564454649"  # BIOS boot
    assert types[15] == "C12A7328-F81F-11D2-BA4B-00A0C93EC93B"  # EFI system
    assert types[1] == "0FC63DAF-8483-4772-8E79-3D69D8477DE4"  # Linux
    assert max(partitions, key=lambda number: int(str(partitions[number]["start"]))) == 1, (
        "growpart needs the root last"
    )


def test_the_root_file_system_is_clean_and_has_the_uuid_of_fstab(disk: Disk) -> None:
    output("e2fsck", "-f", "-n", disk.root)
    assert output("blkid", "--probe", "--match-tag", "UUID", "--output", "value", disk.root).strip() == ROOT_UUID
    blocks = int(disk.debugfs("stats").split("Block count:")[1].split()[0])
    assert blocks * 4096 <= int(str(disk.partitions()[1]["size"])) * SECTOR


def test_grub_reads_its_features(disk: Disk) -> None:
    features = disk.debugfs("features").split(":")[1].split()
    assert "extent" in features and "has_journal" in features
    assert not {"metadata_csum_seed", "orphan_file", "casefold", "encrypt"} & set(features)


def test_owners_modes_links_devices_and_capabilities_survive(disk: Disk, tmp_path: Path) -> None:
    assert "User:  1000   Group:  1001" in disk.debugfs("stat /home/user")
    assert "Mode:  04755" in disk.debugfs("stat /usr/bin/sudo")
    assert 'Fast link dest: "dash"' in disk.debugfs("stat /usr/bin/sh")
    assert "Type: character special" in disk.debugfs("stat /dev/null")
    assert "01:03" in disk.debugfs("stat /dev/null")
    ping = disk.debugfs("stat /usr/bin/ping")
    assert "Links: 2" in ping
    assert ping.split()[:2] == disk.debugfs("stat /usr/bin/ping4").split()[:2], "another inode"
    # Not beside the disk, as a command of debugfs ends a name at a blank.
    disk.debugfs(f"ea_get -f {tmp_path / 'capability'} /usr/bin/ping security.capability")
    assert (tmp_path / "capability").read_bytes() == NET_RAW


def test_the_menu_boots_the_newest_kernel_that_has_an_initrd(disk: Disk, tree: Path) -> None:
    menu = disk.file("/boot/grub/grub.cfg")
    assert f"linux /boot/vmlinuz-6.12.8-cloud root=UUID={ROOT_UUID} ro console=ttyS0 own=1 quiet\n" in menu
    assert "initrd /boot/initrd.img-6.12.8-cloud\n" in menu
    assert "set timeout=0\n" in menu
    assert "Mode:  0600" in disk.debugfs("stat /boot/grub/grub.cfg")
    assert (tree / "boot/grub/grub.cfg").read_text() == "old", "the tree was changed"


def test_the_boot_sector_leads_to_grub(disk: Disk) -> None:
    start = int(str(disk.partitions()[14]["start"]))
    with disk.raw.open("rb") as raw:
        boot = raw.read(SECTOR)
        raw.seek(start * SECTOR)
        core = raw.read(len(CORE))
    assert boot[:2] == BOOT[:2] and boot[510:] == b"\x55\xaa"
    assert int.from_bytes(boot[0x5C:0x64], "little") == start
    assert int.from_bytes(core[0x1F4:0x1FC], "little") == start + 1
    assert core[:0x1F4] == CORE[:0x1F4] and core[0x1FC:] == CORE[0x1FC:]


def test_uefi_finds_grub(disk: Disk) -> None:
    esp = f"{disk.raw}@@{int(str(disk.partitions()[15]['start'])) * SECTOR}"
    for name in ("BOOT/BOOTX64.EFI", "debian/grubx64.efi"):
        copy = disk.raw.with_name(name.replace("/", "-"))
        output("mcopy", "-i", esp, f"::/EFI/{name}", copy)
        assert copy.read_bytes() == b"efi" + CORE
    assert "1234-ABCD" in output("mdir", "-i", esp, "::/")


def test_a_containers_disk_is_put_together_first(tree: Path, tmp_path: Path) -> None:
    container = tmp_path / "container"
    (container / "upper/etc").mkdir(parents=True)
    (container / "base").symlink_to(tree)
    (container / "plain").mkdir()
    (container / "upper/etc/own").write_text("own")
    os.mknod(container / "upper/home", stat.S_IFCHR, os.makedev(0, 0))  # deleted
    (container / "plain/image").write_text("image")
    target = tmp_path / "disk.qcow2"
    asyncio.run(make_disk(container / "root", target, 2, within=("sh", str(DISK), str(container), "no")))
    made = opened(target, tmp_path / "opened")
    output("e2fsck", "-f", "-n", made.root)
    assert made.file("/etc/own") == "own"
    assert made.file("/var/lib/containerd/image") == "image"
    assert " home" not in made.debugfs("ls /")
    assert "Links: 2" in made.debugfs("stat /usr/bin/ping")
    assert not any((container / "root").iterdir()), "something is still mounted"


@pytest.mark.parametrize(
    ("missing", "reason"),
    [
        ("etc/fstab", "names no root file system by UUID"),
        ("boot/initrd.img-*", "no kernel with an initrd"),
        ("boot/grub/x86_64-efi/core.efi", "no boot loader"),
    ],
)
def test_what_cannot_boot_is_refused_in_words(tmp_path: Path, missing: str, reason: str) -> None:
    tree = make_tree(tmp_path / "tree")
    for path in tree.glob(missing):
        path.unlink()
    with pytest.raises(SandboxError, match=reason):
        make(tree, tmp_path / "disk.qcow2")
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_a_disk_that_is_too_small_is_refused(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    (tree / "large").write_bytes(bytes(600 << 20))
    with pytest.raises(SandboxError, match="too much for a disk of 1 GB; choose a larger one"):
        make(tree, tmp_path / "disk.qcow2", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]


def test_killed_half_way_it_leaves_one_part_that_the_next_run_removes(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    (tree / "large").write_bytes(os.urandom(64 << 20))
    target, part = tmp_path / "disk.qcow2", tmp_path / "disk.qcow2.part"
    maker = subprocess.Popen(command(tree, target, 2), stderr=subprocess.DEVNULL)
    wait_for((part / "disk").exists, step=0.001)
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    wait_for(lambda: not using(part))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.qcow2.part", "tree"]
    (part / "left over").touch()
    make(tree, target)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["disk.qcow2", "tree"]


def test_cancelled_it_leaves_nothing(tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    part = tmp_path / "disk.qcow2.part"

    async def cancelled() -> None:
        making = asyncio.create_task(make_disk(tree, tmp_path / "disk.qcow2", 2))
        while not part.exists():
            await asyncio.sleep(0.001)
        making.cancel()
        with pytest.raises(asyncio.CancelledError):
            await making

    asyncio.run(cancelled())
    assert [path.name for path in tmp_path.iterdir()] == ["tree"]
    assert not using(part)


def using(path: Path) -> list[str]:
    """Command lines of processes that name it."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_text().split("\0")
        except OSError:
            continue
        found += [" ".join(words)] if any(str(path).removesuffix(".part") in word for word in words) else []
    return found
