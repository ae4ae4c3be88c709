"""A server with a kernel of its own, from its first boot to its deletion. One machine for all of this file: a boot takes long."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sandbox.machines.vm_disks import layers
from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.real.conftest import Machine, boot
from tests.sandbox.real.traces import traces
from tests.sandbox.vm.conftest import KERNEL

BOOT_SECONDS = 600.0
"""Without hardware virtualisation a boot takes about 50 s of a processor that nobody else uses."""

USER_DATA = """#cloud-config
write_files:
- {path: /etc/greeting, content: hello}
"""


@pytest.fixture(scope="module")
def machine(vm_sandbox: Sandbox, key_pair: Path) -> Iterator[Machine]:
    made = boot(vm_sandbox, key_pair, "kernel", user_data=USER_DATA, labels=KERNEL)
    yield came_up(made)
    made.server.delete().wait_until_finished()
    wait_for(lambda: not running_on(vm_sandbox, made), 60, 0.1)


def came_up(machine: Machine) -> Machine:
    wait_for_machine(machine, lambda: machine.ssh("true").returncode == 0)
    return machine


def wait_for_machine(machine: Machine, condition: Callable[[], object]) -> None:
    """Where it does not come true, the end of the console says what the machine does instead."""
    try:
        wait_for(condition, BOOT_SECONDS, 1)
    except AssertionError as late:
        console = machine.sandbox.home / "machines" / str(machine.server.id) / "console.log"
        last = "\n".join(console.read_text(errors="replace").splitlines()[-40:])
        raise AssertionError(f"{late}\nits console ends with:\n{last}") from late


def running_on(sandbox: Sandbox, machine: Machine) -> set[str]:
    return {trace for trace in traces(sandbox.home) if f"-{machine.server.id}" in trace or "/m1" in trace}


def boot_id(machine: Machine) -> str:
    return machine.output("cat /proc/sys/kernel/random/boot_id")


def test_it_boots_like_a_server(machine: Machine) -> None:
    """What a container cannot show: an initrd has mounted /run, the root was grown, nothing failed."""
    assert machine.output("systemd-detect-virt --container || true") == "none"
    assert machine.output("systemctl is-system-running --wait") == "running"
    assert machine.output("cloud-init status --wait").endswith("done")
    assert machine.output("cat /etc/greeting") == "hello"
    assert "noexec" in machine.output("findmnt --noheadings --output OPTIONS /run").split(",")
    assert machine.ssh("install -m 755 /bin/true /run/true && /run/true").stderr.endswith("Permission denied\n")


def test_it_has_what_its_server_type_says(machine: Machine) -> None:
    assert machine.output("nproc") == "2"
    assert 3700 < int(machine.output("free --mebi | awk '/^Mem:/ {print $2}'")) < 4096
    assert machine.output("lsblk --noheadings --nodeps --bytes --output SIZE /dev/sda") == str(40 << 30)
    assert int(machine.output("df --output=size --block-size=1G / | tail -1")) >= 38, "growpart has grown the root"


def test_the_kernel_is_its_own(machine: Machine) -> None:
    machine.output("modprobe br_netfilter && sysctl -w net.bridge.bridge-nf-call-iptables=1 kernel.panic=42")
    assert Path("/proc/sys/kernel/panic").read_text().strip() != "42"


def test_it_reaches_names_and_the_host(machine: Machine) -> None:
    assert machine.output("getent hosts deb.debian.org")


def test_a_killed_sandbox_finds_it_again(machine: Machine) -> None:
    before = boot_id(machine)
    os.kill(machine.sandbox.pid(), signal.SIGKILL)
    assert boot_id(machine) == before
    machine.sandbox.started()
    assert (machine.status(), boot_id(machine)) == ("running", before)


def test_connections_can_be_broken(machine: Machine) -> None:
    broken = "(sleep 1; true) & wait; sleep 30"
    done = machine.sandbox.control("POST", "/servers/kernel/hang_up")
    assert done.status_code < 300, broken
    wait_for(lambda: machine.ssh("true").returncode == 0, 20, 0.2)


def test_a_snapshot_of_it_while_it_runs_is_a_layer(machine: Machine) -> None:
    machine.output("echo before >/root/mark && sync")
    made = machine.server.create_image(description="running", labels={})
    made.action.wait_until_finished()
    machine.output("echo after >/root/mark && sync")
    home = machine.sandbox.home
    snapshot, disk = home / "snapshots" / str(made.image.id), home / "machines" / str(machine.server.id) / "disk"
    assert layers(snapshot) == layers(disk), "both go on from the same layer"
    assert (disk / "top").readlink() not in layers(snapshot)
    machine.sandbox.sdk().images.get_by_id(made.image.id).delete()
    assert machine.output("cat /root/mark") == "after"


def test_it_reboots_and_goes_off_by_its_button(machine: Machine) -> None:
    before = boot_id(machine)
    machine.server.reboot().wait_until_finished()

    def is_up_again() -> bool:
        shown = machine.ssh("cat /proc/sys/kernel/random/boot_id")
        return shown.returncode == 0 and shown.stdout.strip() != before

    wait_for_machine(machine, is_up_again)
    assert machine.output("cat /root/mark") == "after"
    machine.server.shutdown().wait_until_finished()
    wait_for_machine(machine, lambda: machine.status() == "off")
