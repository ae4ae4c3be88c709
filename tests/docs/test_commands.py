"""docs/commands.md names every command, option and target, and no other."""

import re
from pathlib import Path

import typer

from cli.__main__ import app

PAGE = Path("docs/commands.md").read_text()


def row_of(command: str) -> str:
    (row,) = re.findall(rf"^\| `{command}` \|.*$", PAGE, re.MULTILINE)
    return row


def test_every_command_has_a_row_with_its_options() -> None:
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    for name, command in commands.items():
        wanted = {parameter.opts[0] for parameter in command.params if parameter.opts[0].startswith("--")}
        assert set(re.findall(r"`(--[a-z-]+)`", row_of(name).split("|")[2])) == wanted - {"--help"}, name
    table = PAGE[PAGE.index("## ./node-images") : PAGE.index("## ./pulumiw")]
    assert set(re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)) == set(commands)


def test_every_target_is_named() -> None:
    targets = set(re.findall(r"^([a-z-]+):.*## ", Path("Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)`", PAGE)) == targets
