"""The rescue system of a server with a kernel of its own writes its disk, as those do who upload images."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.sandbox.conftest import Sandbox
from tests.sandbox.real.conftest import Machine, boot
from tests.sandbox.vm.conftest import KERNEL
from tests.sandbox.vm.test_vm_life import came_up, wait_for_machine

BOOT_SECTORS = "bs=1M count=2"


def test_what_is_written_in_the_rescue_system_boots(vm_sandbox: Sandbox, key_pair: Path, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "key")], check=True)
    key = vm_sandbox.sdk().ssh_keys.create(name="rescue", public_key=(tmp_path / "key.pub").read_text())
    machine = boot(vm_sandbox, key_pair, "upload", labels=KERNEL, start_after_create=False)
    machine.server.enable_rescue(ssh_keys=[key.id]).action.wait_until_finished()
    machine.server.power_on().wait_until_finished()
    rescue = came_up(Machine(vm_sandbox, machine.server, tmp_path / "key"))
    assert rescue.output("hostname; findmnt --noheadings --output SOURCE /").split() == ["rescue", "/dev/vda1"]
    assert rescue.output("lsblk --noheadings --nodeps --bytes --output SIZE /dev/sda") == str(40 << 30)
    assert rescue.output("findmnt --noheadings --source /dev/sda1 || true") == ""
    rescue.output(f"dd if=/dev/sda of=/root/start {BOOT_SECTORS} && dd if=/dev/zero of=/dev/sda {BOOT_SECTORS}")
    rescue.output("gzip -c /root/start | gzip -dc | dd of=/dev/sda bs=1M conv=fsync")
    rescue.ssh("systemctl --no-block reboot")
    wait_for_machine(machine, lambda: machine.ssh("true").returncode == 0)
    assert machine.output("hostname; findmnt --noheadings --output SOURCE /").split() == ["upload", "/dev/sda1"]
    machine.server.delete().wait_until_finished()
    key.delete()
