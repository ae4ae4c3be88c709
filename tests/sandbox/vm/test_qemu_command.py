"""What QEMU is told of a machine, by which programs in it tell machines apart."""

import asyncio
from pathlib import Path
from uuid import UUID

import pytest

from sandbox.errors import SandboxError
from sandbox.machines import Boot, VolumeDisk, vm_volumes
from sandbox.machines.accelerator import EMULATORS, Accelerator
from sandbox.machines.vm import VmMachine, qemu_command

EXT4_MAGIC = b"\x53\xef"


def uuid_of(number: int) -> str:
    machine = VmMachine(Path("/home/machines") / str(number), f"sandbox-0123abcd-{number}", ())
    boot = Boot(number, "node", f"127.1.2.{number}")
    command = qemu_command(machine, boot, next(iter(EMULATORS)), Accelerator(name="tcg", why="a test"))
    return command[command.index("-uuid") + 1]


def test_each_machine_keeps_a_product_uuid_of_its_own() -> None:
    assert str(UUID(uuid_of(7))) == uuid_of(7), "also when it starts again"
    assert uuid_of(7) != uuid_of(8)


def test_a_volume_is_found_where_the_api_says() -> None:
    """udev makes /dev/disk/by-id/scsi-0HC_Volume_7 of these."""
    node, device = vm_volumes.VolumeFiles(Path("/home/a,b")).node(7), vm_volumes.device(7)
    assert (device["vendor"], device["product"], device["device_id"]) == ("HC", "Volume", "7")
    assert device["drive"] == node["node-name"] and node["file"]["filename"] == "/home/a,b/7.img"


def test_the_file_of_a_volume_is_made_once_and_grows(tmp_path: Path) -> None:
    files = vm_volumes.VolumeFiles(tmp_path)
    path = asyncio.run(files.ready(VolumeDisk(7, 10, "ext4")))
    with path.open("rb") as file:
        assert file.read(0x43A)[0x438:] == EXT4_MAGIC
    assert path.stat().st_size == 10 << 30 and path.stat().st_blocks * 512 < 1 << 28, "it takes no room yet"
    before = path.stat().st_ino
    files.grow(VolumeDisk(7, 12))
    assert asyncio.run(files.ready(VolumeDisk(7, 12, "ext4"))) == path
    assert (path.stat().st_size, path.stat().st_ino) == (12 << 30, before)
    files.forget_others({8})
    assert list(tmp_path.iterdir()) == []


def test_a_file_system_that_cannot_be_made_names_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda *_given, **_options: None)
    with pytest.raises(SandboxError, match="apt-get install xfsprogs"):
        asyncio.run(vm_volumes.VolumeFiles(tmp_path).ready(VolumeDisk(7, 10, "xfs")))
    assert not (tmp_path / "7.img").exists(), "half made is not made"
