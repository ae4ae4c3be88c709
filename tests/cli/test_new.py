"""A stack file from options or answers, which the program and the schema take."""

from pathlib import Path

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner, Result

from cli import new
from cli.__main__ import app
from images.schema import schema_line
from images.stackfile import load_stack_file
from recipe import load_catalog, load_lock
from tests.images.test_schema import SCHEMA


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str, answers: str | None = None) -> Result:
    return CliRunner().invoke(app, ["new", *arguments], input=answers)


def written(name: str) -> str:
    text = Path(f"stacks/Pulumi.{name}.yaml").read_text()
    jsonschema.validate(yaml.safe_load(text), SCHEMA, jsonschema.Draft7Validator)
    return text


def test_options_alone_make_one() -> None:
    result = run(
        "prod", "--os", "debian-13", "--os", "rocky-9", "--kubernetes", "1.36.4", "--kubernetes", "1.35.8",
        "--architecture", "amd64", "--architecture", "arm64", "--location", "hel1",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    for part in ("stacks/Pulumi.prod.yaml", "stack init prod", "config set --secret hcloud:token --stack prod"):
        assert part in result.stdout
    assert written("prod").startswith(f"{schema_line()}\nconfig:\n")
    settings = load_stack_file(Path("stacks/Pulumi.prod.yaml"), load_catalog())
    assert [(item.os, item.kubernetes, item.architectures) for item in settings.images] == [
        ("debian-13", ["1.36.4", "1.35.8"], ["amd64", "arm64"]),
        ("rocky-9", ["1.36.4", "1.35.8"], ["amd64", "arm64"]),
    ]
    assert settings.locations == ["hel1"]


def test_without_a_terminal_the_rest_is_what_is_usual() -> None:
    assert run("dev").exit_code == 0
    newest = new.newest_version(load_catalog(), load_lock())
    assert written("dev") == (
        f"{schema_line()}\nconfig:\n  node-images:images:\n    - os: debian-13\n      kubernetes:\n        - {newest}\n"
    )


def test_on_a_terminal_it_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(new, "is_asked", lambda: True)
    result = run(answers="staging\nubuntu-24.04, debian-12\n\namd64 arm64\nfsn1\n")
    assert result.exit_code == 0, result.output
    for part in ("Name of the stack", "Operating systems (debian-12", "Kubernetes versions", "Locations"):
        assert part in result.stdout
    settings = load_stack_file(Path("stacks/Pulumi.staging.yaml"), load_catalog())
    assert [item.os for item in settings.images] == ["ubuntu-24.04", "debian-12"]
    assert settings.locations == ["fsn1"]


@pytest.mark.parametrize(
    "before", ["encryptionsalt: v1:abc=\n", "encryptionsalt: v1:abc=\nconfig:\n  hcloud:token:\n    secure: v1:abc\n"]
)
def test_a_file_that_pulumi_made_is_filled_in(before: str) -> None:
    Path("stacks").mkdir()
    Path("stacks/Pulumi.dev.yaml").write_text(before)
    assert run("dev", "--kubernetes", "1.36.4").exit_code == 0
    document = yaml.safe_load(written("dev"))
    assert document["encryptionsalt"] == "v1:abc="
    assert document["config"]["node-images:images"][0]["kubernetes"] == ["1.36.4"]
    assert ("hcloud:token" in document["config"]) == ("token" in before)


def test_a_stack_file_is_never_overwritten() -> None:
    assert run("dev").exit_code == 0
    before = written("dev")
    result = run("dev", "--kubernetes", "1.35.8")
    assert result.exit_code == 1
    assert "is there, and says already which images it keeps" in result.stderr
    assert written("dev") == before


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["dev", "--os", "debian-14"], "not an operating system of recipe/catalog.yaml"),
        (["dev", "--kubernetes", "1.36"], "not a full Kubernetes version"),
        (["a/b"], "not the name of a stack"),
        ([], "not the name of a stack"),
    ],
)
def test_mistakes_are_told_and_nothing_is_written(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert not Path("stacks").exists()


def test_a_version_without_sums_is_told() -> None:
    result = run("dev", "--kubernetes", "1.36.99")
    assert result.exit_code == 0
    assert "./node-images lock 1.36.99" in result.stderr
