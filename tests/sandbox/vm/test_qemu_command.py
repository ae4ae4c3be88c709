"""What QEMU is told of a machine, by which programs in it tell machines apart."""

from pathlib import Path
from uuid import UUID

from sandbox.machines import Boot
from sandbox.machines.accelerator import EMULATORS, Accelerator
from sandbox.machines.vm import VmMachine, qemu_command


def uuid_of(number: int) -> str:
    machine = VmMachine(Path("/home/machines") / str(number), f"sandbox-0123abcd-{number}", ())
    boot = Boot(number, "node", f"127.1.2.{number}")
    command = qemu_command(machine, boot, next(iter(EMULATORS)), Accelerator(name="tcg", why="a test"))
    return command[command.index("-uuid") + 1]


def test_each_machine_keeps_a_product_uuid_of_its_own() -> None:
    assert str(UUID(uuid_of(7))) == uuid_of(7), "also when it starts again"
    assert uuid_of(7) != uuid_of(8)
