"""command.local.Command and command.local.run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pulumi.runtime.proto import provider_pb2

from tests.plugins.plugin import Plugin, Resource, from_struct, refusal, to_struct


def test_create_update_and_delete_run_here(local: Resource, tmp_path: Path) -> None:
    commands = {
        "create": "echo made; echo aside >&2",
        "update": "echo $PULUMI_COMMAND_STDOUT again",
        "delete": f'echo "$PULUMI_COMMAND_STDOUT" > {tmp_path}/deleted',
    }
    outputs = local.create(**commands)
    assert (outputs["stdout"], outputs["stderr"]) == ("made", "aside")
    assert local.update(stdin="changed", **commands)["stdout"] == "made again"
    local.delete()
    assert (tmp_path / "deleted").read_text() == "made again\n"


def test_settings_reach_the_command(local: Resource, tmp_path: Path) -> None:
    outputs = local.create(
        create="import os, sys; print(os.getcwd(), os.environ['NAME'], sys.stdin.read())",
        interpreter=["python3", "-c"],
        dir=str(tmp_path),
        environment={"NAME": "a value"},
        stdin="typed",
    )
    assert outputs["stdout"] == f"{tmp_path} a value typed"


def test_the_environment_of_the_engine_is_there(local: Resource) -> None:
    assert local.create(create="echo $PATH")["stdout"] == os.environ["PATH"]


@pytest.mark.parametrize(("logging", "shown"), [(None, {"out", "err"}), ("stderr", {"err"}), ("none", set())])
def test_logging_selects_what_is_shown(local: Resource, logging: str | None, shown: set[str]) -> None:
    local.create(create="echo out; echo err >&2", **({"logging": logging} if logging else {}))
    assert set(local.log) == shown


def test_a_failing_command_is_told_with_its_status_and_output(local: Resource) -> None:
    error = refusal(local.create, create="echo said; exit 7")
    assert "exit status 7" in error and "said" in error


def test_files_are_collected_by_pattern(local: Resource, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("a.txt", "b.log", "sub/c.txt", "sub/secret.txt"):
        (tmp_path / name).write_text(name)
    patterns = ["**.txt", "!**secret*"]
    outputs = local.create(create="true", dir=str(tmp_path), assetPaths=patterns, archivePaths=["*.log"])
    assert set(outputs["assets"]) == {"a.txt", "sub/c.txt"}
    assert set(outputs["archive"]["assets"]) == {"b.log"}


def test_the_function_runs_each_time(command_plugin: Plugin) -> None:
    arguments = to_struct({"command": "echo $NAME", "environment": {"NAME": "value"}})
    answer = command_plugin.stub.Invoke(provider_pb2.InvokeRequest(tok="command:local:run", args=arguments))
    returned = from_struct(getattr(answer, "return"))
    assert (returned["stdout"], returned["command"]) == ("value", "echo $NAME")


def test_same_inputs_are_no_change(make: Callable[[str], Resource]) -> None:
    resource = make("command:local:Command")
    resource.create(create="true", triggers=[1])
    assert resource.diff(create="true", triggers=[1]).changes == provider_pb2.DiffResponse.DIFF_NONE
    assert list(resource.diff(create="true", triggers=[2]).diffs) == ["triggers"]
