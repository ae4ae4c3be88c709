"""The daemon stopped or killed, two sandboxes at once, a full disk: machines and files afterwards."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import hcloud
import pytest

from tests.sandbox.conftest import Sandbox, free_port, wait_for
from tests.sandbox.real.conftest import Machine, boot
from tests.sandbox.real.traces import its_own_network, traces

Make = Callable[..., Sandbox]


@pytest.fixture
def own(make_sandbox: Make) -> Iterator[Sandbox]:
    """A sandbox that a test may maltreat; whatever it did, a reset leaves no trace."""
    sandbox = make_sandbox(ssh_port=free_port(), machines="real").started()
    yield sandbox
    sandbox.remove()
    assert not traces(sandbox.home)


def started_at(machine: Machine) -> str:
    return machine.output("systemctl show --property=UserspaceTimestampMonotonic")


def test_machines_outlive_a_killed_daemon_and_are_adopted(own: Sandbox, key_pair: Path) -> None:
    machine = boot(own, key_pair, "survivor").wait_for_ssh()
    before = started_at(machine)
    os.kill(own.pid(), signal.SIGKILL)
    assert started_at(machine) == before
    own.started()
    assert (machine.status(), started_at(machine)) == ("running", before)
    machine.ssh("systemctl poweroff")
    machine.wait_until_off()
    machine.server.delete().wait_until_finished()
    wait_for(lambda: not traces(own.home) - its_own_network(own.home), 60, 0.1)


def test_a_machine_that_powered_itself_off_meanwhile_stays_off(own: Sandbox, key_pair: Path) -> None:
    machine = boot(own, key_pair, "quitter").wait_for_ssh()
    os.kill(own.pid(), signal.SIGKILL)
    machine.ssh("systemctl poweroff")
    wait_for(lambda: (own.home / "machines" / str(machine.server.id) / "off").exists(), 30)
    own.started()
    assert machine.status() == "off"


def test_stop_and_start_bring_back_what_ran_and_only_that(own: Sandbox, key_pair: Path) -> None:
    machine = boot(own, key_pair, "again").wait_for_ssh()
    idle = boot(own, key_pair, "idle")
    idle.server.power_off().wait_until_finished()
    machine.output("echo kept > /root/kept")
    assert own.command("stop").returncode == 0
    assert [trace for trace in traces(own.home) if not trace.startswith("file")] == []
    own.started()
    assert machine.wait_for_ssh().output("cat /root/kept") == "kept"
    assert (machine.status(), idle.status()) == ("running", "off")


def test_stop_and_reset_after_a_kill_end_the_machines(own: Sandbox, key_pair: Path) -> None:
    boot(own, key_pair, "orphan").wait_for_ssh()
    os.kill(own.pid(), signal.SIGKILL)
    stopped = own.command("stop")
    assert stopped.returncode == 0 and "ending the machines" in stopped.stdout
    assert [trace for trace in traces(own.home) if not trace.startswith("file")] == []
    assert own.command("reset").returncode == 0
    assert not own.home.exists() and not traces(own.home)


def test_a_kill_while_a_disk_is_copied_leaves_no_half_disk(own: Sandbox, key_pair: Path) -> None:
    machine = boot(own, key_pair, "half").wait_for_ssh()
    machine.output("head -c 500M /dev/zero > /root/much")
    made = machine.server.create_image(description="half")
    wait_for(lambda: list((own.home / "trash").glob("part-*/upper")), 30, 0.005)
    os.kill(own.pid(), signal.SIGKILL)
    own.started()
    made.action.reload()
    assert made.action.status == "error" and own.sdk().images.get_all(type=["snapshot"]) == []
    wait_for(lambda: not list((own.home / "trash").iterdir()), 60, 0.1)
    assert list((own.home / "snapshots").iterdir()) == []
    assert machine.output("stat --format=%s /root/much") == str(500 << 20)


def test_two_sandboxes_with_machines_do_not_meet(own: Sandbox, make_sandbox: Make, key_pair: Path) -> None:
    other = make_sandbox(ssh_port=own.ssh_port, machines="real").started()
    here, there = boot(own, key_pair, "here"), boot(other, key_pair, "there")
    assert here.address != there.address
    assert (here.wait_for_ssh().output("hostname"), there.wait_for_ssh().output("hostname")) == ("here", "there")
    own.command("stop")
    assert there.output("hostname") == "there"


def test_a_taken_address_is_left_out(own: Sandbox, key_pair: Path) -> None:
    with socket.socket() as holder:
        holder.bind((f"127.{own.port >> 8}.{own.port & 255}.1", own.ssh_port))
        holder.listen()
        assert boot(own, key_pair, "second").address.endswith(".2")


def test_faults_of_machines(own: Sandbox, key_pair: Path) -> None:
    """One that never boots, one whose SSH is late, one whose disk is full."""
    for fault in ({"kind": "no_boot", "server": "dead"}, {"kind": "ssh_refused", "server": "late", "seconds": 2}):
        assert own.control("POST", "/faults", json=fault).status_code == 201
    own.control("POST", "/faults", json={"kind": "disk_full", "server": "full"})
    full, dead, late = (boot(own, key_pair, name) for name in ("full", "dead", "late"))
    assert (dead.status(), late.status()) == ("running", "running") and late.ssh("true").returncode != 0
    dead.server.shutdown().wait_until_finished()
    late.wait_for_ssh()
    assert dead.status() == "running" and dead.ssh("true").returncode != 0
    assert full.wait_for_ssh().output("cloud-init status --wait").endswith("done")

    def is_full() -> bool:
        return "No space left on device" in full.ssh("head -c 100000 /dev/zero > /etc/x").stderr

    wait_for(is_full, 20, 0.2)
    for machine in (full, dead):
        machine.server.power_off().wait_until_finished()
        assert machine.status() == "off"


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A store with room for one disk, not for two."""
    store = tmp_path / "small"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=560M", "tmpfs", str(store)], check=True)
    yield store
    subprocess.run(["umount", str(store)], check=True)


def test_disk_full(small_disk: Path, key_pair: Path) -> None:
    sandbox = Sandbox(small_disk / "home", ssh_port=free_port(), machines="real").started()
    try:
        machine = boot(sandbox, key_pair, "first").wait_for_ssh()
        machine.output("fallocate -l 200M /root/much")
        with pytest.raises(hcloud.APIException) as refused:
            boot(sandbox, key_pair, "second")
        assert refused.value.code == "resource_limit_exceeded"
        assert f"image store {sandbox.home} is full" in str(refused.value) and "MB free" in str(refused.value)
        with pytest.raises(hcloud.APIException, match="is full"):
            machine.server.create_image(description="x")
        assert [server.name for server in sandbox.sdk().servers.get_all()] == ["first"]
        assert sandbox.sdk().images.get_all(type=["snapshot"]) == []
        assert machine.wait_for_ssh().output("hostname") == "first"
        machine.server.delete().wait_until_finished()
        assert boot(sandbox, key_pair, "third").status() == "running"  # in the room that the first one made
    finally:
        sandbox.command("reset")


def test_a_disk_too_full_to_start_with(tmp_path: Path) -> None:
    store = tmp_path / "tiny"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=10M", "tmpfs", str(store)], check=True)
    try:
        done = Sandbox(store / "home", machines="real").start()
        assert done.returncode == 1 and "MB free" in done.stderr and "--home" in done.stderr
    finally:
        subprocess.run(["umount", str(store)], check=True)
