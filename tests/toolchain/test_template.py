"""`pulumi new` from this repository makes a project that works, with the real engine."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest
import yaml

from tests.e2e.workspace import ROOT, checkout

NAME = "my-images"


def run(folder: Path, *command: str | Path, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=600)


@pytest.fixture(scope="module")
def env() -> dict[str, str]:
    hidden = ("PULUMI_STACK", "PULUMI_BACKEND_URL", "HCLOUD_TOKEN", "HCLOUD_ENDPOINT")
    kept = {name: value for name, value in os.environ.items() if name not in hidden}
    return {**kept, "PULUMI_CONFIG_PASSPHRASE": "test"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory, env: dict[str, str]) -> Path:
    """What `pulumi new` makes of the repository."""
    template, made = tmp_path_factory.mktemp("template"), tmp_path_factory.mktemp("project")
    (checkout(template) / ".venv").unlink()
    options = ["--generate-only", "--yes", "--force", "--name", NAME, "--description", "Ours"]
    done = run(made, ROOT / "pulumiw", "-C", made, "new", template, *options, env=env)
    assert done.returncode == 0, done.stderr
    assert "./node-images new NAME" in done.stdout
    return made


def done(project: Path, env: dict[str, str], *command: str) -> str:
    result = run(project, *command, env=env)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_project_is_the_users_own(project: Path) -> None:
    document = yaml.safe_load((project / "Pulumi.yaml").read_text())
    assert (document["name"], document["description"]) == (NAME, "Ours")
    assert document["stackConfigDir"] == "stacks"
    assert "template" not in document


def test_its_first_commands_lead_to_a_preview(project: Path, env: dict[str, str]) -> None:
    steps: Sequence[Sequence[str]] = (
        ["make", "setup"],
        ["./node-images", "new", "mine", "--kubernetes", "1.36.4"],
        ["./pulumiw", "stack", "init", "mine"],
    )
    for command in steps:
        done(project, env, *command)
    text = (project / "stacks" / "Pulumi.mine.yaml").read_text()
    assert text.startswith("# yaml-language-server:"), "the engine keeps it"
    assert "encryptionsalt:" in text
    preview = run(project, "./pulumiw", "preview", "--stack", "mine", env=env)
    assert preview.returncode != 0
    assert "no API token: hcloud:token is not in the stack file" in preview.stdout + preview.stderr
