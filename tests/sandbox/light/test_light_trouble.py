"""The daemon stopped or killed: light machines and their files afterwards."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.real.conftest import boot
from tests.sandbox.real.traces import traces


def test_machines_outlive_a_killed_daemon_and_are_adopted(own: Sandbox, key_pair: Path) -> None:
    machine, quitter = boot(own, key_pair, "survivor").wait_for_ssh(), boot(own, key_pair, "quitter").wait_for_ssh()
    machine.output("touch /run/mark")
    os.kill(own.pid(), signal.SIGKILL)
    machine.output("ls /run/mark")
    quitter.ssh("poweroff")
    wait_for(lambda: (own.home / "machines" / str(quitter.server.id) / "off").exists())
    own.started()
    assert (machine.status(), quitter.status()) == ("running", "off")
    assert machine.output("ls /run/mark") == "/run/mark"
    machine.ssh("poweroff")
    machine.wait_until_off()
    for one in (machine, quitter):
        one.server.delete().wait_until_finished()
    wait_for(lambda: not traces(own.home), 60, 0.1)


def test_a_machine_ends_with_its_runner(own: Sandbox, key_pair: Path) -> None:
    machine = boot(own, key_pair, "orphan").wait_for_ssh()
    record = json.loads((own.home / "machines" / str(machine.server.id) / "process.json").read_text())
    os.kill(record["pid"], signal.SIGKILL)
    machine.wait_until_off()
    wait_for(lambda: not [trace for trace in traces(own.home) if not trace.startswith("file")], 10, 0.05)
    machine.server.power_on().wait_until_finished()
    machine.wait_for_ssh()


def test_stop_and_start_bring_back_what_ran(own: Sandbox, key_pair: Path) -> None:
    machine, idle = boot(own, key_pair, "again").wait_for_ssh(), boot(own, key_pair, "idle")
    idle.server.power_off().wait_until_finished()
    machine.output("echo kept > /root/kept")
    assert own.command("stop").returncode == 0
    assert [trace for trace in traces(own.home) if not trace.startswith("file")] == []
    own.started()
    assert machine.wait_for_ssh().output("cat /root/kept") == "kept"
    assert (machine.status(), idle.status()) == ("running", "off")


def test_reset_after_a_kill_ends_the_machines(own: Sandbox, key_pair: Path) -> None:
    own.control("POST", "/faults", json={"kind": "no_boot", "server": "dead"})
    boot(own, key_pair, "orphan").wait_for_ssh()
    boot(own, key_pair, "dead")
    os.kill(own.pid(), signal.SIGKILL)
    assert own.command("reset").returncode == 0
    assert not own.home.exists() and not traces(own.home)


def test_kills_at_any_moment_leave_only_whole_images_and_known_files(own: Sandbox, key_pair: Path) -> None:
    """The sandbox is killed in the middle of snapshots and deletions; what it lists afterwards must be bootable."""
    machine = boot(own, key_pair, "source").wait_for_ssh()
    machine.output("head -c 30000000 /dev/urandom > /root/content; sha256sum < /root/content > /root/sum; sync")
    drawn = random.Random(5)
    for _ in range(4):
        pid, sdk = own.pid(), own.sdk()
        for image in sdk.images.get_all(type=["snapshot"])[1:]:
            image.delete()
        made = sdk.servers.get_by_id(machine.server.id).create_image(description="x")
        time.sleep(drawn.random() * 0.12)
        os.kill(pid, signal.SIGKILL)
        own.started()
        made.action.reload()
        listed = own.sdk().images.get_all(type=["snapshot"])
        assert all(image.status == "available" for image in listed)
        assert (made.image.id in [image.id for image in listed]) == (made.action.status == "success")
        stored = {int(path.name) for path in (own.home / "snapshots").iterdir()}
        assert stored == {image.id for image in listed}
    own.sdk().servers.get_by_id(machine.server.id).create_image(description="last").action.wait_until_finished()
    for number, image in enumerate(own.sdk().images.get_all(type=["snapshot"])):
        copy = boot(own, key_pair, f"copy-{number}", image=image).wait_for_ssh()
        assert copy.output("sha256sum < /root/content | diff - /root/sum && echo whole") == "whole"
