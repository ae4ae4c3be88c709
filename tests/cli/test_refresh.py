"""`./node-images refresh` edits the stack file in place, or says why it cannot."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from cli.__main__ import app

FILE = """\
config:
  node-images:images:
    - os: debian-13
      kubernetes: 1.36.1 # what clusters run
  node-images:asOf: "2026-01-01"
"""


@pytest.fixture(autouse=True)
def stack(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    file = tmp_path / "stacks" / "Pulumi.prod.yaml"
    file.parent.mkdir()
    file.write_text(FILE)
    return file


def refresh(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["refresh", "--stack", "prod", *arguments])


def test_the_file_is_moved_and_the_moves_are_told(stack: Path) -> None:
    result = refresh("--as-of", "2026-02-03")
    assert result.exit_code == 0, result.output
    release, moment = result.stdout.splitlines()
    assert release.startswith("stacks/Pulumi.prod.yaml: debian-13 1.36.1 → 1.36.")
    assert moment == "stacks/Pulumi.prod.yaml: asOf 2026-01-01 → 2026-02-03"
    assert "# what clusters run" in stack.read_text()


def test_today_is_the_default(stack: Path) -> None:
    refresh()
    assert f'asOf: "{datetime.now(UTC).date()}"' in stack.read_text()


def test_nothing_to_move_leaves_the_file(stack: Path) -> None:
    refresh("--as-of", "2026-02-03")
    before = stack.stat().st_mtime_ns
    assert refresh("--as-of", "2026-02-03").stdout == "stacks/Pulumi.prod.yaml: nothing to move\n"
    assert stack.stat().st_mtime_ns == before


def test_a_stack_without_a_date_says_so(stack: Path) -> None:
    stack.write_text(FILE.replace("  node-images:asOf", "  # node-images:asOf"))
    assert "asOf is not set" in refresh().stdout


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        (FILE.replace("debian-13", "debian-99"), [], "images[0].os = debian-99"),
        ("config: [", [], "not valid YAML"),
        (FILE, ["--as-of", "2999-01-01"], "no package archive knows the future"),
        (FILE, ["--as-of", "soon"], "soon"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(stack: Path, text: str, arguments: list[str], said: str) -> None:
    stack.write_text(text)
    result = refresh(*arguments)
    assert result.exit_code != 0
    assert said in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert stack.read_text() == text


def test_a_stack_without_a_file() -> None:
    result = CliRunner().invoke(app, ["refresh", "--stack", "nowhere"])
    assert result.exit_code == 1
    assert "no readable stack file" in result.stderr
