"""What a base image boots with, on a disk made of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sandbox.machines.base_images import NATIVE, BaseImages, base_image
from sandbox.machines.host import architecture
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


def test_what_installs_another_architecture_is_not_translated(tmp_path: Path) -> None:
    """Stand-ins in a root of nothing else: the host's own programs lie over them, and leave nothing."""
    own, other = {"x86": ("x86", "arm"), "arm": ("arm", "x86")}[architecture()]
    hooks = [word for word in base_image("debian-13", other).command(tmp_path) if "-hook=" in word]
    assert [word.split('"')[2].split()[0] for word in hooks] == ["begin", "before", "after", "end"]
    assert str(NATIVE) not in " ".join(base_image("debian-13", own).command(tmp_path))
    programs = tmp_path / "usr" / "bin"
    programs.mkdir(parents=True)
    (tmp_path / "usr" / "local" / "bin").mkdir(parents=True)
    for name in ("dpkg-deb", "grep", "uname", "systemctl"):
        (programs / name).write_text(name)
    script = 'sh "$1" begin "$2"; wc -c "$2"/usr/bin/*; echo o | chroot "$2" /usr/bin/grep -c o; sh "$1" end "$2"'
    seen = output("unshare", "--mount", "sh", "-euc", script, "sh", NATIVE, tmp_path).splitlines()
    sizes = {Path(name).name: int(size) for size, name in (line.split() for line in seen[:4])}
    assert sizes.keys() == {"dpkg-deb", "grep", "uname", "systemctl"}
    assert sizes["grep"] > 10_000 and sizes["dpkg-deb"] > 10_000, "the host's"
    assert sizes["uname"] == len("uname") and sizes["systemctl"] == len("systemctl"), "these tell of the machine"
    assert seen[-1] == "1"
    assert {path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")} - {"usr/lib"} == {
        *("usr/local", "usr/local/bin"),
        *("usr", "usr/bin", "usr/bin/dpkg-deb", "usr/bin/grep", "usr/bin/uname", "usr/bin/systemctl"),
    }
