"""Commands and a stack file that opens environments of Pulumi ESC: they read the file alone, and say so."""

from pathlib import Path
from typing import Any

import pulumi.runtime.config
import pytest
import yaml
from typer.testing import CliRunner

from cli.__main__ import app
from components.environment import _given

CONFIG = {"node-images:images": [{"os": "debian-13", "kubernetes": "1.36.4"}]}


def told(folder: Path, document: dict[str, Any], *command: str) -> tuple[int, str]:
    (folder / "stacks" / "Pulumi.prod.yaml").write_text(yaml.safe_dump(document))
    result = CliRunner().invoke(app, [*command, "--stack", "prod"])
    assert not result.exception or isinstance(result.exception, SystemExit), "no traceback"
    return result.exit_code, result.output


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("HCLOUD_TOKEN", "HCLOUD_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stacks").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    "command", [["artifacts"], ["refresh"], ["render", "script", "--os", "debian-13", "--kubernetes", "1.36.4"]]
)
def test_a_file_whose_settings_are_in_an_environment(checkout: Path, command: list[str]) -> None:
    status, output = told(checkout, {"environment": ["prod/images"]}, *command)
    assert status == 1
    assert "environment = prod/images" in output
    assert "Pulumi ESC" in output


def test_a_file_that_has_all_by_itself_is_read_with_a_warning(checkout: Path) -> None:
    status, output = told(checkout, {"environment": ["prod/images"], "config": CONFIG}, "artifacts")
    assert status == 0
    assert "warning: stacks/Pulumi.prod.yaml: read without prod/images of Pulumi ESC" in output
    assert "https://dl.k8s.io/" in output


def test_a_token_of_an_environment_is_given_by_the_shell(checkout: Path) -> None:
    status, output = told(checkout, {"environment": ["prod/token"]}, "sweep", "--all")
    assert status == 1
    assert "Pulumi ESC (prod/token)" in output
    assert "give it in HCLOUD_TOKEN" in output


def test_an_encrypted_endpoint_is_given_by_the_shell(checkout: Path) -> None:
    config = {**CONFIG, "hcloud:token": "t" * 64, "hcloud:endpoint": {"secure": "v1:x"}}
    status, output = told(checkout, {"config": config}, "sweep", "--all")
    assert status == 1
    assert "give it in HCLOUD_ENDPOINT" in output


def test_the_program_knows_ours_of_the_settings_that_the_engine_gives() -> None:
    config = {"node-images:node": "{}", "hcloud:token": "t", "node-images:sshPort": "22"}
    pulumi.runtime.config.set_all_config(config, ["hcloud:token", "node-images:node"])
    try:
        given = _given()
    finally:
        pulumi.runtime.config.set_all_config({}, [])
    assert given.values == {"node-images:node": "{}", "node-images:sshPort": "22"}
    assert list(given.secret) == ["node-images:node"]
