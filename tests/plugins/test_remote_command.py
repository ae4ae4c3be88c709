"""command.remote.Command, against a real SSH server."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.plugin import Resource, is_secret, refusal, wait_until
from tests.plugins.sshd import ADDRESS, PASSWORD, Sshd, free_port, make_key

NOWHERE = {"host": ADDRESS, "port": 1, "dialErrorLimit": 0}


def test_create_runs_the_command_and_keeps_both_outputs(remote: Resource, sshd: Sshd) -> None:
    outputs = remote.create(connection=sshd.connection(), create="echo out; echo; echo err >&2")
    assert (outputs["stdout"], outputs["stderr"]) == ("out\n", "err")
    assert re.fullmatch(f"{remote.name}[0-9a-f]{{8}}", remote.id)


def test_without_a_create_command_nothing_connects(remote: Resource) -> None:
    outputs = remote.create(connection=NOWHERE, delete="true")
    assert (outputs["stdout"], outputs["stderr"]) == ("", "")


def test_a_preview_runs_nothing(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    touch = f"touch {tmp_path}/ran"
    remote.preview_create(connection=sshd.connection(), create=touch)
    remote.create(connection=NOWHERE)
    remote.preview_update(connection=sshd.connection(), update=touch)
    assert not (tmp_path / "ran").exists()


def test_update_runs_the_update_command_with_the_outputs_of_before(remote: Resource, sshd: Sshd) -> None:
    commands = {
        "create": "echo first; echo problem >&2",
        "update": "echo $PULUMI_COMMAND_STDOUT,$PULUMI_COMMAND_STDERR",
    }
    remote.create(connection=sshd.connection(), **commands)
    outputs = remote.update(connection=sshd.connection(), stdin="changed", **commands)
    assert outputs["stdout"] == "first,problem"
    assert outputs["stderr"] == ""


def test_outputs_of_before_can_be_left_out(remote: Resource, sshd: Sshd) -> None:
    settings: dict[str, Any] = {"connection": sshd.connection(), "addPreviousOutputInEnv": False}
    remote.create(create="echo first", **settings)
    outputs = remote.update(update="echo [$PULUMI_COMMAND_STDOUT]", **settings)
    assert outputs["stdout"] == "[]"


def test_update_without_a_command_runs_create_again(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    command = f"echo run >> {tmp_path}/runs; wc -l < {tmp_path}/runs"
    remote.create(connection=sshd.connection(), create=command)
    assert remote.update(connection=sshd.connection(), create=command, stdin="changed")["stdout"] == "2"


def test_update_without_any_command_keeps_the_outputs(remote: Resource, sshd: Sshd) -> None:
    remote.create(connection=sshd.connection(), create="echo kept")
    assert remote.update(connection=NOWHERE)["stdout"] == "kept"


def test_delete_runs_its_command_with_the_outputs_of_before(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    delete = f'echo "$PULUMI_COMMAND_STDOUT" > {tmp_path}/deleted'
    remote.create(connection=sshd.connection(), create="echo made", delete=delete)
    remote.delete()
    assert (tmp_path / "deleted").read_text() == "made\n"


def test_delete_without_a_command_connects_to_nothing(remote: Resource) -> None:
    remote.create(connection=NOWHERE)
    remote.delete()


def test_same_inputs_are_no_change(remote: Resource, sshd: Sshd) -> None:
    inputs = {"connection": sshd.connection(), "create": "true", "triggers": ["a", 1, {"deep": [True]}]}
    remote.create(**inputs)
    assert remote.diff(**inputs).changes == remote.diff(**inputs).DIFF_NONE


@pytest.mark.parametrize(
    "change",
    [
        {"triggers": ["b"]},
        {"triggers": ["a", "b"]},
        {"create": "false"},
        {"update": "true"},
        {"environment": {"ALLOWED": "1"}},
        {"connection": {**NOWHERE, "user": "someone"}},
    ],
    ids=str,
)
def test_every_changed_input_is_a_change(remote: Resource, change: dict[str, Any]) -> None:
    """That triggers replace is the engine's doing, at the wish of the Python package: test_with_the_engine has it."""
    inputs: dict[str, Any] = {"connection": NOWHERE, "triggers": ["a"]}
    remote.create(**inputs)
    answer = remote.diff(**{**inputs, **change})
    assert answer.changes == answer.DIFF_SOME
    assert list(answer.diffs) == list(change)


def test_environment_reaches_the_command(remote: Resource, sshd: Sshd) -> None:
    value = "with space, \"quote\", $dollar and 'more'"
    outputs = remote.create(connection=sshd.connection(), environment={"ALLOWED": value}, create='printf %s "$ALLOWED"')
    assert outputs["stdout"] == value


def test_environment_that_the_server_refuses_fails_and_is_named(remote: Resource, sshd: Sshd) -> None:
    error = refusal(remote.create, connection=sshd.connection(), environment={"REFUSED": "hush"}, create="true")
    assert "REFUSED" in error
    assert "hush" not in error + "".join(remote.log)


def test_stdin_reaches_the_command(remote: Resource, sshd: Sshd) -> None:
    text = "line\n" * 20_000
    outputs = remote.create(connection=sshd.connection(), stdin=text, create="wc -c")
    assert outputs["stdout"].strip() == str(len(text))


@pytest.mark.parametrize(
    ("logging", "shown"),
    [
        (None, {"to stdout", "to stderr"}),
        ("stdoutAndStderr", {"to stdout", "to stderr"}),
        ("stdout", {"to stdout"}),
        ("stderr", {"to stderr"}),
        ("none", set()),
    ],
)
def test_logging_selects_what_is_shown_and_changes_nothing_else(
    remote: Resource, sshd: Sshd, logging: str | None, shown: set[str]
) -> None:
    inputs = {"connection": sshd.connection(), "create": "echo to stdout; echo to stderr >&2"}
    outputs = remote.create(**inputs, **({"logging": logging} if logging else {}))
    assert set(remote.log) == shown
    assert (outputs["stdout"], outputs["stderr"]) == ("to stdout", "to stderr")


def test_lines_are_shown_while_the_command_runs(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    command = f"echo begun; until [ -e {tmp_path}/go ]; do sleep 0.02; done; printf unended"
    result = remote.plugin.in_background(remote.create, connection=sshd.connection(), create=command)
    remote.wait_for_log("begun")
    assert not result.done()
    (tmp_path / "go").touch()
    assert result.result(10)["stdout"] == "begun\nunended"
    assert remote.log == ["begun", "unended"]


def test_a_failing_command_is_told_with_its_status_and_output(remote: Resource, sshd: Sshd) -> None:
    error = refusal(remote.create, connection=sshd.connection(), create="echo said; echo cried >&2; exit 3")
    assert "exited with status 3" in error
    assert "said" in error and "cried" in error


def test_a_failing_delete_is_an_error(remote: Resource, sshd: Sshd) -> None:
    remote.create(connection=sshd.connection(), delete="exit 4")
    assert "exited with status 4" in refusal(remote.delete)


def test_a_server_that_is_not_there_is_dialled_up_to_the_limit(remote: Resource) -> None:
    connection = {"host": ADDRESS, "port": free_port(), "dialErrorLimit": 2}
    error = refusal(remote.create, connection=connection, create="true")
    assert "after 2 failed attempts" in error
    assert "connection refused" in error
    assert [line for line in remote.log if line.startswith("Dial ")] == [
        "Dial 1/2 failed: retrying",
        "Dial 2/2 failed: retrying",
    ]


@pytest.mark.parametrize("limit", [-1, 30])
def test_dialling_goes_on_until_the_server_is_there(remote: Resource, tmp_path: Path, limit: int) -> None:
    late = Sshd(tmp_path / "late")
    inputs = {"connection": late.connection(dialErrorLimit=limit), "create": "echo up"}
    result = remote.plugin.in_background(remote.create, **inputs)
    wait_until(lambda: len(remote.log) >= 2, 10, lambda: f"only {remote.log}")
    late.start()
    try:
        assert result.result(20)["stdout"] == "up"
    finally:
        late.stop()


def test_a_server_that_takes_no_connection_costs_one_time_limit_a_dial(remote: Resource) -> None:
    with socket.socket() as server, socket.socket() as filler:
        server.bind((ADDRESS, 0))
        server.listen(0)
        filler.connect(server.getsockname())  # the queue is full now, and what comes next hangs
        connection = {"host": ADDRESS, "port": server.getsockname()[1], "dialErrorLimit": 0, "perDialTimeout": 1}
        start = time.monotonic()
        refusal(remote.create, connection=connection, create="true")
    assert 0.9 < time.monotonic() - start < 3


def test_defaults_are_those_of_the_schema(remote: Resource) -> None:
    connection = remote.checked({"connection": {"host": "h", "proxy": {"host": "p"}}})["connection"]["value"]
    defaults = {"user": "root", "port": 22, "dialErrorLimit": 10, "perDialTimeout": 15}
    assert {name: connection[name] for name in defaults} == defaults
    assert {name: connection["proxy"][name] for name in defaults} == defaults


def test_the_pinned_host_key_must_be_the_servers(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    other = make_key(tmp_path / "other").with_suffix(".pub").read_text()
    connection = sshd.connection(hostKey=other, dialErrorLimit=1)
    error = refusal(remote.create, connection=connection, create=f"touch {tmp_path}/ran")
    assert "host key mismatch" in error
    assert not (tmp_path / "ran").exists()


def test_a_pinned_key_of_another_algorithm_is_refused(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-f", tmp_path / "ecdsa"], check=True)
    connection = sshd.connection(hostKey=(tmp_path / "ecdsa.pub").read_text(), dialErrorLimit=0)
    assert "handshake failed" in refusal(remote.create, connection=connection, create="true")


def test_without_a_pinned_host_key_any_is_accepted(remote: Resource, sshd: Sshd) -> None:
    assert remote.create(connection=sshd.connection(hostKey=None), create="echo in")["stdout"] == "in"


def test_a_host_key_that_is_none_is_an_error(remote: Resource, sshd: Sshd) -> None:
    error = refusal(remote.create, connection=sshd.connection(hostKey="nonsense"), create="true")
    assert "key" in error


def test_a_key_that_the_server_does_not_know_is_refused(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    stranger = make_key(tmp_path / "stranger").read_text()
    error = refusal(remote.create, connection=sshd.connection(privateKey=stranger, dialErrorLimit=0), create="true")
    assert "unable to authenticate" in error
    assert stranger.splitlines()[1] not in error


def test_a_locked_key_opens_with_its_password(remote: Resource, sshd: Sshd) -> None:
    connection = sshd.connection(privateKey=sshd.locked_key, privateKeyPassword="open sesame")
    assert remote.create(connection=connection, create="echo in")["stdout"] == "in"
    assert "open sesame" not in refusal(
        remote.create,
        connection=sshd.connection(privateKey=sshd.locked_key, privateKeyPassword="open sesame!"),
        create="true",
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a user a password for a test")
def test_a_password_opens_too(remote: Resource, sshd: Sshd) -> None:
    connection = sshd.connection(privateKey=None, password=PASSWORD)
    assert remote.create(connection=connection, create="echo in")["stdout"] == "in"
    wrong = sshd.connection(privateKey=None, password="battery staple", dialErrorLimit=0)
    error = refusal(remote.create, connection=wrong, create="true")
    assert "handshake failed" in error
    assert "battery" not in error + "".join(remote.log)


def test_an_agent_gives_its_keys(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    socket_path = tmp_path / "agent"
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", socket_path], stdout=subprocess.DEVNULL)
    try:
        wait_until(socket_path.exists, 5, lambda: "no agent")
        environment = {"SSH_AUTH_SOCK": str(socket_path), "PATH": "/usr/bin:/bin"}
        subprocess.run(["ssh-add", "-q", sshd.folder / "user_key"], env=environment, check=True)
        connection = sshd.connection(privateKey=None, agentSocketPath=str(socket_path))
        assert remote.create(connection=connection, create="echo in")["stdout"] == "in"
    finally:
        agent.terminate()
        agent.wait()


def test_a_connection_goes_through_a_proxy(remote: Resource, sshd: Sshd, tmp_path: Path) -> None:
    behind = Sshd(tmp_path / "behind").start()
    try:
        connection = behind.connection(proxy=sshd.connection())
        outputs = remote.create(connection=connection, create="echo $SSH_CONNECTION")
        assert outputs["stdout"].split()[3] == str(behind.port)
    finally:
        behind.stop()


def test_a_proxy_that_is_not_there_is_named_as_such(remote: Resource, sshd: Sshd) -> None:
    connection = sshd.connection(proxy={**NOWHERE, "privateKey": sshd.private_key})
    assert "proxy" in refusal(remote.create, connection=connection, create="true")


def test_a_connection_lost_in_mid_command_is_an_error_that_says_so(remote: Resource, tmp_path: Path) -> None:
    server = Sshd(tmp_path / "doomed").start()
    try:
        command = "echo begun; sleep 30"
        result = remote.plugin.in_background(refusal, remote.create, connection=server.connection(), create=command)
        remote.wait_for_log("begun")
        start = time.monotonic()
        server.cut_connections()
        error = result.result(10)
    finally:
        server.stop()
    assert time.monotonic() - start < 5
    assert "without exit status" in error
    assert "begun" in error


def test_many_commands_at_once_keep_their_outputs_apart(remote: Resource, sshd: Sshd) -> None:
    resources = [Resource(remote.plugin, remote.type, f"{remote.name}-{i}") for i in range(8)]
    results: list[str] = [""] * len(resources)

    def create(i: int) -> None:
        command = f"for n in 1 2 3; do echo {i}; sleep 0.01; done"
        results[i] = resources[i].create(connection=sshd.connection(dialErrorLimit=10), create=command)["stdout"]

    threads = [threading.Thread(target=create, args=(i,)) for i in range(len(resources))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [f"{i}\n{i}\n{i}" for i in range(len(resources))]


def test_the_connection_is_kept_as_a_secret(remote: Resource, sshd: Sshd) -> None:
    remote.create(connection=sshd.connection(), create="true")
    assert is_secret(remote.outputs["connection"])
