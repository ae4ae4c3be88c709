"""Every command that takes a stack says in words that there is none of that name, and what to do."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from cli import engine
from cli.__main__ import app
from images.stackfile import PROJECT

FROM_THE_STATE = [
    ["summary"],
    ["sweep"],
    ["report"],
    ["report", "--markdown"],
    ["manifests"],
    ["catalogue"],
    ["diff", "a", "b"],
]
FROM_THE_FILE = [
    ["sweep"],
    ["artifacts"],
    ["refresh"],
    ["render", "script", "--os", "debian-13", "--kubernetes", "1.36.4"],
]


def told(command: list[str], stack: str) -> str:
    result = CliRunner().invoke(app, [*command, "--stack", stack])
    assert result.exit_code == 1
    assert isinstance(result.exception, SystemExit), "no traceback"
    return result.output


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a stack file, and an engine that knows of no stack."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "ROOT", tmp_path)
    (tmp_path / "pulumiw").write_text("#!/bin/sh\necho \"error: no stack named 'prod' found\" >&2\nexit 6\n")
    (tmp_path / "pulumiw").chmod(0o755)
    config = {"hcloud:token": "t" * 64, f"{PROJECT}:images": [{"os": "debian-13", "kubernetes": "1.36.4"}]}
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": config}))
    return tmp_path


@pytest.mark.parametrize("command", FROM_THE_STATE, ids=" ".join)
def test_a_stack_that_the_engine_does_not_know(command: list[str]) -> None:
    text = told(command, "prod")
    for part in (
        "--stack = prod",
        "no such stack",
        "./pulumiw stack ls",
        "stack init prod",
        "./pulumiw up --stack prod",
    ):
        assert part in text


@pytest.mark.parametrize("command", FROM_THE_FILE, ids=" ".join)
def test_a_stack_without_a_stack_file(command: list[str]) -> None:
    text = told(command, "nowhere")
    for part in ("stacks/Pulumi.nowhere.yaml", "no readable stack file", "./pulumiw stack ls"):
        assert part in text


@pytest.mark.parametrize("text", ["config: [", "[]", "config: 1", ""])
def test_a_broken_stack_file_is_told_where_it_is_read_for_the_token_alone(checkout: Path, text: str) -> None:
    (checkout / "stacks" / "Pulumi.prod.yaml").write_text(text)
    assert "stacks/Pulumi.prod.yaml" in told(["sweep"], "prod")
