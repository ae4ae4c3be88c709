"""The plugins and ./pulumiw together, with a small program of its own stack and state."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.plugins.sshd import Sshd
from toolchain.layout import CHECKOUT

PROGRAM = """
import json, pathlib
import pulumi
from pulumi_command import remote

settings = json.loads(pathlib.Path("settings.json").read_text())
connection = remote.ConnectionArgs(
    host=settings["host"], port=settings["port"], user=settings["user"],
    private_key=settings["privateKey"], host_key=settings["hostKey"], dial_error_limit=2,
)
step = remote.Command(
    "step", connection=connection, create=settings["create"], delete=settings["delete"], triggers=settings["triggers"]
)
pulumi.export("stdout", step.stdout)
"""


@dataclass
class Project:
    """A Pulumi project in a folder of its own, whose path has a blank."""

    folder: Path
    state: Path

    def pulumi(self, *words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PULUMI_BACKEND_URL": f"file://{self.state}",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_STACK": "test",
        }
        command = [
            str(CHECKOUT / "pulumiw"),
            "--cwd",
            str(self.folder),
            "--non-interactive",
            "--color",
            "never",
            *words,
        ]
        result = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert not check or result.returncode == 0, result.stdout + result.stderr
        return result

    def write(self, connection: dict[str, object], **settings: object) -> None:
        defaults = {"create": "echo done", "delete": "true", "triggers": ["one"]}
        (self.folder / "settings.json").write_text(json.dumps({**connection, **defaults, **settings}))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    folder, state = tmp_path / "a project", tmp_path / "state"
    folder.mkdir()
    state.mkdir()
    (folder / "Pulumi.yaml").write_text("name: plugin-test\nruntime: python\n")
    (folder / "__main__.py").write_text(PROGRAM)
    project = Project(folder, state)
    project.pulumi("stack", "init", "test", "--no-select")
    yield project


def test_a_step_runs_once_and_again_when_its_triggers_change(project: Project, sshd: Sshd, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    settings = {"create": f"echo step runs | tee -a {runs}", "delete": f"echo removed >> {runs}"}
    project.write(sshd.connection(), **settings)
    assert "step runs" in project.pulumi("up", "--yes", "--skip-preview").stdout
    project.pulumi("preview", "--expect-no-changes")

    project.write(sshd.connection(), **settings, triggers=["two"])
    assert "+-" in project.pulumi("up", "--yes", "--skip-preview").stdout
    assert runs.read_text().splitlines() == ["step runs", "step runs", "removed"]
    assert project.pulumi("stack", "output", "stdout").stdout.strip() == "step runs"


def test_a_step_that_fails_is_told_by_name_with_its_output(project: Project, sshd: Sshd) -> None:
    project.write(sshd.connection(), create="echo half way; echo no space left >&2; exit 28")
    result = project.pulumi("up", "--yes", "--skip-preview", check=False)
    assert result.returncode != 0
    told = result.stdout + result.stderr
    assert "command:remote:Command (step)" in told
    assert "exited with status 28" in told and "no space left" in told
    assert sshd.private_key.splitlines()[1] not in told

    project.write(sshd.connection(), create="echo mended")
    project.pulumi("up", "--yes", "--skip-preview")
