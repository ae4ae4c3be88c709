"""The how-to pages show what commands print."""

import re
from datetime import date
from pathlib import Path

import pytest

from cli.refresh import refresh_stack_file

PAGES = Path("docs/how-to")


def shown(page: str) -> list[str]:
    return re.findall(r"```text\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)


def test_the_refresh_says_what_the_page_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (text,) = shown("refresh-for-a-cve.md")
    moved = re.findall(r"asOf .* → (\S+)", text)
    file = tmp_path / "stacks" / "Pulumi.prod.yaml"
    file.parent.mkdir()
    file.write_text(Path("stacks/Pulumi.prod.yaml").read_text())
    monkeypatch.chdir(tmp_path)
    said: list[str] = []
    refresh_stack_file(Path("stacks/Pulumi.prod.yaml"), date.fromisoformat(moved[0]), said.append)
    assert said == text.splitlines()
