"""A volume in a machine with a kernel of its own: a disk that comes, grows and goes while the machine runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hcloud.locations import Location

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.real.conftest import Machine, boot
from tests.sandbox.vm.conftest import KERNEL

BOOT_SECONDS = 600.0
GUEST_SECONDS = 60.0


@pytest.fixture(scope="module")
def machine(vm_sandbox: Sandbox, key_pair: Any) -> Iterator[Machine]:
    made = boot(vm_sandbox, key_pair, "holder", labels=KERNEL)
    wait_for(lambda: made.ssh("true").returncode == 0, BOOT_SECONDS, 1)
    yield made
    made.server.delete().wait_until_finished()


@pytest.fixture(scope="module")
def volume(vm_sandbox: Sandbox, machine: Machine) -> Iterator[Any]:
    sdk = vm_sandbox.sdk()
    place = Location(name=machine.server.location.name)
    made = sdk.volumes.create(size=10, name="data", location=place, format="ext4")
    made.action.wait_until_finished()
    yield made.volume
    sdk.volumes.get_by_id(made.volume.id).delete()


def test_it_comes_grows_and_goes(machine: Machine, volume: Any) -> None:
    device = volume.linux_device

    def has_device() -> bool:
        return machine.ssh(f"test -b {device}").returncode == 0

    assert not has_device()
    volume.attach(machine.server).wait_until_finished()
    wait_for(has_device, GUEST_SECONDS, 1)
    assert machine.output(f"lsblk -no FSTYPE {device}").strip() == "ext4"
    machine.output(f"mount {device} /mnt && echo kept > /mnt/file && umount /mnt")
    volume.resize(12).wait_until_finished()
    wait_for(lambda: machine.output(f"blockdev --getsize64 {device}").strip() == str(12 << 30), GUEST_SECONDS, 1)
    volume.detach().wait_until_finished()
    wait_for(lambda: not has_device(), GUEST_SECONDS, 1)


def test_a_machine_boots_with_it(machine: Machine, volume: Any) -> None:
    machine.server.power_off().wait_until_finished()
    volume.attach(machine.server).wait_until_finished()
    machine.server.power_on().wait_until_finished()
    wait_for(lambda: machine.ssh("true").returncode == 0, BOOT_SECONDS, 1)
    assert machine.output(f"mount {volume.linux_device} /mnt && cat /mnt/file && umount /mnt").strip() == "kept"
    volume.detach().wait_until_finished()
