"""Paths of the command line are meant from where somebody types them."""

import subprocess
from pathlib import Path

import pytest

from cli.places import CALLER, as_typed

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("typed", "meant"), [("a.json", "/home/me/a.json"), ("/b.json", "/b.json"), ("../c", "/home/me/../c"), ("-", "-")]
)
def test_a_path_is_of_the_caller(monkeypatch: pytest.MonkeyPatch, typed: str, meant: str) -> None:
    monkeypatch.setenv(CALLER, "/home/me")
    assert as_typed(typed) == Path(meant)


def test_in_the_checkout_it_stays_short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CALLER, raising=False)
    assert as_typed("a.json") == Path("a.json")


def test_files_are_read_and_written_where_the_command_is_typed(tmp_path: Path) -> None:
    (tmp_path / "exports.json").write_bytes((ROOT / "docs" / "exports.example.json").read_bytes())
    command = [ROOT / "node-images", "catalogue", "--exports", "exports.json", "--output", "page"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "page" / "index.html").exists()
