"""Instant machines: SSH answers from a script."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.sandbox.conftest import Sandbox, free_port, wait_for
from tests.sandbox.real.conftest import Machine, boot, delete_all


@pytest.fixture(scope="module")
def instant_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    sandbox = Sandbox(tmp_path_factory.mktemp("instant") / "home", ssh_port=free_port(), machines="instant").started()
    yield sandbox
    sandbox.remove()


@pytest.fixture
def instant(instant_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield instant_sandbox
    for path in ("/faults", "/answers", "/requests"):
        instant_sandbox.control("DELETE", path)
    delete_all(instant_sandbox)


def answer(sandbox: Sandbox, **rule: object) -> None:
    done = sandbox.control("POST", "/answers", json=rule)
    assert done.status_code == 201, done.text


def asked(sandbox: Sandbox) -> list[dict[str, Any]]:
    commands: list[dict[str, Any]] = sandbox.control("GET", "/answers/asked").json()["commands"]
    return commands


def with_input(machine: Machine, script: str) -> subprocess.CompletedProcess[str]:
    """As the engine runs a step."""
    login = ["-i", str(machine.key_pair), "-p", str(machine.sandbox.ssh_port), f"root@{machine.address}"]
    argv = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o", "LogLevel=ERROR", *machine.options, *login]
    return subprocess.run([*argv, 'bash -c "$(cat)"'], input=script, capture_output=True, text=True, timeout=20)


def test_commands_succeed_and_say_nothing_unless_told_otherwise(instant: Sandbox, key_pair: Path) -> None:
    machine = boot(instant, key_pair, "s")
    assert (machine.ssh("anything").returncode, machine.output("anything")) == (0, "")
    answer(instant, command="machine-id", stdout="abc\n")
    answer(instant, command="step two", status=3, stderr="no luck\n", times=1)
    assert machine.output("cat /etc/machine-id") == "abc"
    failed = with_input(machine, "# step two\nexit 0\n")
    assert (failed.returncode, failed.stderr.strip()) == (3, "no luck")
    assert with_input(machine, "# step two\nexit 0\n").returncode == 0
    assert [(item["command"], item["input"], item["status"]) for item in asked(instant)][-2:] == [
        ('bash -c "$(cat)"', "# step two\nexit 0\n", 3),
        ('bash -c "$(cat)"', "# step two\nexit 0\n", 0),
    ]


def test_the_rule_set_last_counts_and_servers_are_told_apart(instant: Sandbox, key_pair: Path) -> None:
    one, two = boot(instant, key_pair, "one"), boot(instant, key_pair, "two")
    answer(instant, stdout="any")
    answer(instant, server="t*", stdout="mine", seconds=0.3)
    began = time.monotonic()
    assert (one.output("x"), two.output("x")) == ("any", "mine") and time.monotonic() - began > 0.3
    answer(instant, lost=True)
    assert one.ssh("x").returncode == 255


def test_only_the_right_keys_get_in_and_the_host_key_is_that_of_the_user_data(
    instant: Sandbox, key_pair: Path, tmp_path: Path
) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True)
    public = (tmp_path / "host.pub").read_text().strip()
    keys = {"ed25519_private": (tmp_path / "host").read_text(), "ed25519_public": public}
    machine = boot(instant, key_pair, "pinned", user_data="#cloud-config\n" + json.dumps({"ssh_keys": keys}))
    known = tmp_path / "known"
    known.write_text(f"[{machine.address}]:{instant.ssh_port} {public}\n")
    strict = ("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}")
    assert Machine(instant, machine.server, key_pair, *strict).ssh("x").returncode == 0
    stranger = Machine(instant, machine.server, tmp_path / "host")
    assert "Permission denied" in stranger.ssh("x").stderr


def test_power(instant: Sandbox, key_pair: Path) -> None:
    machine = boot(instant, key_pair, "power")
    machine.server.shutdown().wait_until_finished()
    assert machine.status() == "off" and machine.ssh("x").returncode == 255
    machine.server.power_on().wait_until_finished()
    assert machine.ssh("x").returncode == 0
    machine.server.power_off().wait_until_finished()
    assert machine.ssh("x").returncode == 255


def test_the_rescue_system_lets_in_its_own_keys(instant: Sandbox, key_pair: Path, tmp_path: Path) -> None:
    """As hcloud-upload-image goes: rescue, boot, ssh, dd, snapshot."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "rescue")], check=True)
    sdk = instant.sdk()
    key = sdk.ssh_keys.create(name="rescue", public_key=(tmp_path / "rescue.pub").read_text())
    machine = boot(instant, key_pair, "upload")
    machine.server.enable_rescue(ssh_keys=[key.id]).action.wait_until_finished()
    machine.server.reset().wait_until_finished()
    rescue = Machine(instant, machine.server, tmp_path / "rescue").wait_for_ssh()
    assert with_input(rescue, "xz -dc | dd of=/dev/sda bs=4M && sync").returncode == 0
    assert "Permission denied" in machine.ssh("x").stderr
    machine.server.power_off().wait_until_finished()
    machine.server.create_image(description="uploaded").action.wait_until_finished()
    machine.server.power_on().wait_until_finished()
    assert machine.wait_for_ssh().ssh("x").returncode == 0
    assert "Permission denied" in rescue.ssh("x").stderr
    key.delete()


def test_a_new_password_is_taken(instant: Sandbox, key_pair: Path) -> None:
    machine = boot(instant, key_pair, "password")
    answer = machine.server.reset_password()
    answer.action.wait_until_finished()
    import asyncssh  # noqa: PLC0415 - slow to load

    async def log_in() -> int | None:
        options: dict[str, Any] = {"username": "root", "password": answer.root_password, "known_hosts": None}
        async with asyncssh.connect(machine.address, instant.ssh_port, client_keys=None, **options) as connection:
            return (await connection.run("true", stdin=asyncssh.DEVNULL)).exit_status

    assert asyncio.run(log_in()) == 0


def test_troubles_on_order(instant: Sandbox, key_pair: Path) -> None:
    for fault in ({"kind": "no_boot", "server": "dead"}, {"kind": "ssh_refused", "server": "late", "seconds": 0.5}):
        assert instant.control("POST", "/faults", json=fault).status_code == 201
    assert instant.control("POST", "/faults", json={"kind": "disk_full", "server": "full"}).status_code == 201
    dead, late, full = (boot(instant, key_pair, name) for name in ("dead", "late", "full"))
    assert late.ssh("x").returncode == 255
    late.wait_for_ssh()
    dead.server.shutdown().wait_until_finished()
    assert (dead.status(), dead.ssh("x").returncode) == ("running", 255)
    done = full.ssh("x")
    assert done.returncode == 1 and "No space left on device" in done.stderr


def test_connections_can_be_broken(instant: Sandbox, key_pair: Path) -> None:
    machine = boot(instant, key_pair, "broken").wait_for_ssh()
    answer(instant, command="sleep", seconds=30)
    with ThreadPoolExecutor() as pool:
        running = pool.submit(machine.ssh, "sleep 30")
        wait_for(lambda: len(asked(instant)) > 1)
        assert instant.control("POST", "/servers/broken/hang_up").status_code == 204
        assert running.result(timeout=10).returncode == 255
    assert machine.ssh("true").returncode == 0
    assert instant.control("POST", "/servers/nobody/hang_up").status_code == 404


def test_rules_and_servers_outlive_a_kill(make_sandbox: Callable[..., Sandbox], key_pair: Path) -> None:
    sandbox = make_sandbox(ssh_port=free_port(), machines="instant").started()
    answer(sandbox, stdout="kept")
    machine = boot(sandbox, key_pair, "s")
    os.kill(sandbox.pid(), signal.SIGKILL)
    wait_for(lambda: machine.ssh("x").returncode == 255)
    sandbox.started()
    assert machine.output("x") == "kept"


@pytest.mark.parametrize("rule", [{"command": "("}, {"status": 256}, {"comand": "x"}])
def test_rules_that_make_no_sense_are_refused(instant: Sandbox, rule: dict[str, object]) -> None:
    done = instant.control("POST", "/answers", json=rule)
    assert done.status_code == 422 and re.search("expression|255|comand", done.text)
