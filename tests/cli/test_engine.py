"""What the engine says while it works is shown; its first error is left to whoever asked."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from cli import engine
from toolchain.layout import CHECKOUT


def test_progress_is_passed_on_up_to_the_first_error(capsys: pytest.CaptureFixture[str]) -> None:
    script = "echo building it >&2; echo '{}'; echo 'error: no room' >&2; echo '  Make room' >&2; exit 3"
    result = engine._run_aloud(["sh", "-c", script])
    assert (result.returncode, result.stdout) == (3, "{}\n")
    assert result.stderr == "building it\nerror: no room\n  Make room\n"
    assert capsys.readouterr().err == "building it\n"


# --- the real engine, asked from a shell that tells it how to write ---

PROGRAM = "import pulumi\npulumi.export('snapshots', {'debian-13/1.36.4': 'a'})\n"
TOLD = {
    "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "true",
    "PULUMI_OPTION_FILE": "elsewhere.json",
    "PULUMI_OPTION_SHELL": "true",
    "PULUMI_OPTION_VERSION": "1",
    "PULUMI_OPTION_CWD": "/",
    "PULUMI_OPTION_CONFIG_FILE": "/nowhere.yaml",
    "PULUMI_OPTION_TARGET": "urn:pulumi:test::x::y::z",
}
"""Each of them alone makes one of the calls below fail, or answer nothing, where it reaches the engine."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stack of its own, in a folder that has the checkout's ./pulumiw."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "state").mkdir()
    (folder / "Pulumi.yaml").write_text("name: told\nruntime: python\n")
    (folder / "__main__.py").write_text(PROGRAM)
    (folder / "pulumiw").write_text(f'#!/bin/sh\nexec {CHECKOUT}/pulumiw "$@"\n')
    (folder / "pulumiw").chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULUMI_BACKEND_URL", f"file://{folder}/state")
        patch.setenv("PULUMI_CONFIG_PASSPHRASE", "test")
        patch.setattr(engine, "ROOT", folder)
        for words in (["stack", "init", "test"], ["up", "--yes", "--skip-preview", "--stack", "test"]):
            subprocess.run(
                [folder / "pulumiw", *words, "--non-interactive"], cwd=folder, check=True, capture_output=True
            )
        for name, value in TOLD.items():
            patch.setenv(name, value)
        yield folder


def test_what_a_shell_tells_the_engine_changes_no_answer_to_us(project: Path) -> None:
    assert engine.stack_outputs("test") == {"snapshots": {"debian-13/1.36.4": "a"}}
    assert "told-test" in engine.read_state("test").names
    assert engine.preview("test")["changeSummary"] == {"same": 1}
    assert not (project / "elsewhere.json").exists()
