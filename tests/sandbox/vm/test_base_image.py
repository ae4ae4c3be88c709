"""What a base image boots with, on a disk made of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sandbox.machines.base_images import BaseImages, base_image
from sandbox.settings import cache_root
from tests.sandbox.vm.test_disk import Disk, make, opened, output


@pytest.fixture(scope="module")
def tree() -> Path:
    """Made on first use and then cached."""
    return asyncio.run(BaseImages(cache_root() / "base-images").ready("debian-13", lambda *_: None))


@pytest.fixture(scope="module")
def disk(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Disk:
    directory = tmp_path_factory.mktemp("base")
    return opened(make(tree, directory / "disk.qcow2", 10), directory / "opened")


def test_the_initrd_has_what_checks_and_mounts_the_root(tree: Path) -> None:
    (initrd,) = (tree / "boot").glob("initrd.img-*")
    files = output("chroot", tree, "lsinitramfs", f"/boot/{initrd.name}").splitlines()
    assert "usr/sbin/fsck.ext4" in files
    assert any("/virtio_scsi.ko" in file for file in files)


def test_its_kernel_is_debians_for_clouds(tree: Path) -> None:
    (kernel,) = (tree / "boot").glob("vmlinuz-*")
    assert kernel.name.endswith("-cloud-amd64")
    assert (tree / "boot" / kernel.name.replace("vmlinuz", "initrd.img")).exists()


def test_the_file_system_on_its_disk_is_clean(disk: Disk) -> None:
    output("e2fsck", "-f", "-n", disk.root)


def test_both_boot_loaders_look_for_the_root_of_fstab(disk: Disk, tree: Path) -> None:
    uuid = output("blkid", "--probe", "--match-tag", "UUID", "--output", "value", disk.root).strip()
    assert f"UUID={uuid} / ext4 " in (tree / "etc/fstab").read_text()
    for target in ("i386-pc", "x86_64-efi"):
        assert f"search.fs_uuid {uuid} root" in (tree / f"boot/grub/{target}/load.cfg").read_text()
        assert (tree / f"boot/grub/{target}/normal.mod").exists()
    room = int(str(disk.partitions()[14]["size"])) * 512
    assert (tree / "boot/grub/i386-pc/core.img").stat().st_size < room


def test_the_kernel_speaks_on_screen_and_serial_line(disk: Disk) -> None:
    assert "ro console=tty0 console=ttyS0,115200" in disk.file("/boot/grub/grub.cfg")


def test_architectures_are_told_apart(tmp_path: Path) -> None:
    images = BaseImages(tmp_path)
    names = [images.path("debian-13", architecture).name for architecture in ("x86", "arm")]
    assert names[0].startswith("debian-13-amd64-") and names[1].startswith("debian-13-arm64-")
    assert names[0].rsplit("-", 1)[1] != names[1].rsplit("-", 1)[1]
    arm = base_image("debian-13", "arm")
    assert "linux-image-cloud-arm64" in arm.packages()
    assert "--architectures=arm64" in arm.command(Path("/target"))
