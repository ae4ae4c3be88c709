"""Volumes are plugged into QEMU by its monitor: here one that is held before its first instruction, so no machine boots."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from sandbox.machines import VolumeDisk, accelerator, host, vm, vm_volumes
from sandbox.machines.accelerator import EMULATORS, Accelerator
from sandbox.machines.vm import VmMachine, VmMachines, command, has_disk
from tests.sandbox.conftest import wait_for

DISK = VolumeDisk(7, 10)
START_SECONDS = 120.0
SCRIPT = Path(vm.__file__).with_suffix(".sh")
HELD = (
    *(EMULATORS[host.architecture()], "-S", "-m", "128M", "-nodefaults", "-no-user-config", "-display", "none"),
    *accelerator.arguments(Accelerator(name="tcg", why="a test"), host.architecture()),
    *("-device", "virtio-scsi-pci"),
)


class Held(VmMachines):
    """Knows one machine, whose QEMU the test runs."""

    def __init__(self, directory: Path, machine: VmMachine) -> None:
        self.volumes = vm_volumes.VolumeFiles(directory)
        self.held = machine

    def machine(self, number: int) -> VmMachine:
        return self.held

    def running(self, machine: int) -> bool:
        return True


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Held]:
    socket = tmp_path / "monitor"
    machine = cast(VmMachine, SimpleNamespace(unit="held", monitor=socket, run=tmp_path / "run"))
    monitor = ("-qmp", f"unix:{socket},server=on,wait=off")
    (tmp_path / "volumes").mkdir()
    qemu = subprocess.Popen([*HELD, *monitor])
    try:
        wait_for(socket.exists, START_SECONDS, 0.1)
        yield Held(tmp_path / "volumes", machine)
    finally:
        qemu.kill()
        qemu.wait()


def sizes(machine: VmMachine) -> dict[str, int]:
    found: list[dict[str, Any]] = asyncio.run(command(machine, "query-named-block-nodes", {"flat": True}))
    return {item["node-name"]: item["image"]["virtual-size"] for item in found}


def test_a_volume_comes_grows_and_goes(machines: Held) -> None:
    asyncio.run(machines.attach_volume(1, DISK))
    asyncio.run(machines.attach_volume(1, DISK))  # as after a kill before it was on record
    assert asyncio.run(has_disk(machines.held, DISK.number))
    asyncio.run(machines.resize_volume(VolumeDisk(7, 12), 1))
    assert sizes(machines.held)["volume-7"] == 12 << 30 == machines.volumes.path(7).stat().st_size
    asyncio.run(machines.detach_volume(1, 7))
    assert not asyncio.run(has_disk(machines.held, DISK.number)) and "volume-7" not in sizes(machines.held)
    asyncio.run(machines.detach_volume(1, 7))  # no error when it is gone already
    asyncio.run(machines.attach_volume(1, VolumeDisk(7, 12)))


def test_a_machine_starts_again_with_the_volumes_it_has_now(machines: Held) -> None:
    """vm.sh gives QEMU what lies in the run directory; here ``echo`` stands for QEMU."""
    asyncio.run(machines.attach_volume(1, DISK))
    assert '"node-name": "volume-7"' in started(machines) and '"device_id": "7"' in started(machines)
    asyncio.run(machines.detach_volume(1, 7))
    assert "volume-7" not in started(machines)


def test_qemu_starts_with_a_volume(machines: Held) -> None:
    asyncio.run(machines.volumes.ready(DISK))
    described = [json.dumps(options) for options in (machines.volumes.node(7), vm_volumes.device(7))]
    asked = '{"execute": "qmp_capabilities"}{"execute": "query-block"}{"execute": "quit"}'
    qemu = [*HELD, "-blockdev", described[0], "-device", described[1], "-qmp", "stdio"]
    done = subprocess.run(qemu, input=asked, capture_output=True, text=True, timeout=START_SECONDS)
    assert done.returncode == 0 and '"volume-7"' in done.stdout, done.stdout + done.stderr


def started(machines: Held) -> str:
    """The command line that vm.sh makes."""
    run, disk = machines.held.run, machines.held.run.parent / "disk"
    (run / "seed").mkdir(parents=True, exist_ok=True)
    disk.mkdir(exist_ok=True)
    (disk / "top").unlink(missing_ok=True)
    (disk / "top").symlink_to("layer")
    done = subprocess.run(["sh", str(SCRIPT), str(run), "cidata", str(disk), "echo"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
