"""Where our stand-in of the command plugin does more than the official one: it never hangs and keeps quiet when told to."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.empty_pb2 import Empty

from tests.plugins.conftest import command_plugins
from tests.plugins.plugin import Plugin, Resource, refusal, wait_until
from tests.plugins.sshd import ADDRESS, Sshd

STAND_INS = {name: path for name, path in command_plugins().items() if name == "stand-in"}


@pytest.fixture(params=list(STAND_INS.values()), ids=list(STAND_INS))
def plugin(request: pytest.FixtureRequest) -> Iterator[Plugin]:
    plugin = Plugin(request.param)
    plugin.configure()
    yield plugin
    plugin.close()


def test_cancelling_ends_the_remote_command_at_once(plugin: Plugin, sshd: Sshd, tmp_path: Path) -> None:
    remote = Resource(plugin, "command:remote:Command", "cancelled")
    command = f"trap 'echo ended > {tmp_path}/ended; exit' TERM; echo begun; while :; do sleep 0.05; done"
    result = plugin.in_background(refusal, remote.create, connection=sshd.connection(), create=command)
    remote.wait_for_log("begun")
    start = time.monotonic()
    plugin.stub.Cancel(Empty())
    assert "cancel" in result.result(10)
    assert time.monotonic() - start < 3
    wait_until((tmp_path / "ended").exists, 5, lambda: "the command still runs")


def test_cancelling_ends_a_local_command_and_what_it_started(plugin: Plugin, tmp_path: Path) -> None:
    local = Resource(plugin, "command:local:Command", "cancelled-here")
    command = f"(while :; do date +%N > {tmp_path}/alive; sleep 0.05; done) & echo begun; wait"
    result = plugin.in_background(refusal, local.create, create=command)
    local.wait_for_log("begun")
    plugin.stub.Cancel(Empty())
    result.result(10)
    time.sleep(0.2)
    last = (tmp_path / "alive").read_text()
    time.sleep(0.3)
    assert (tmp_path / "alive").read_text() == last


def test_cancelling_ends_the_wait_for_a_server(plugin: Plugin) -> None:
    remote = Resource(plugin, "command:remote:Command", "waiting")
    connection = {"host": ADDRESS, "port": 1, "dialErrorLimit": -1}
    result = plugin.in_background(refusal, remote.create, connection=connection, create="true")
    wait_until(lambda: len(remote.log) > 2, 10, lambda: str(remote.log))
    plugin.stub.Cancel(Empty())
    assert "cancel" in result.result(3)


def test_a_server_that_says_nothing_costs_one_time_limit(plugin: Plugin) -> None:
    remote = Resource(plugin, "command:remote:Command", "silent")
    with socket.socket() as silent:
        silent.bind((ADDRESS, 0))
        silent.listen()
        connection = {"host": ADDRESS, "port": silent.getsockname()[1], "dialErrorLimit": 0, "perDialTimeout": 1}
        start = time.monotonic()
        error = refusal(remote.create, connection=connection, create="true")
    assert time.monotonic() - start < 3
    assert "time limit" in error


def test_with_logging_off_the_error_keeps_the_output_to_itself(plugin: Plugin, sshd: Sshd) -> None:
    remote = Resource(plugin, "command:remote:Command", "quiet")
    error = refusal(remote.create, connection=sshd.connection(), create="seq -s - 1 9; exit 5", logging="none")
    assert "status 5" in error
    assert "1-2-3" not in error


def test_long_lines_come_whole_and_long_outputs_are_cut_in_errors(plugin: Plugin, sshd: Sshd) -> None:
    remote = Resource(plugin, "command:remote:Command", "long")
    line = "head -c 200000 /dev/zero | tr '\\0' x; echo"
    outputs = remote.create(connection=sshd.connection(), create=line)
    assert outputs["stdout"] == remote.log[0] == "x" * 200000
    error = refusal(remote.create, connection=sshd.connection(), create="seq 3000; echo the end; exit 1")
    assert error.rstrip().endswith("the end")
    assert len(error) < 10_000
