"""Resource names and types are typed once: in images/names.py."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from images import names
from images.names import Part, Record
from tests.house.test_imports import sources

OWNER = Path("images/names.py")
WORDS = {Record.TARBALL, Record.PUBLISHED}
"""These are words of people as well, such as the title of a phase."""
TYPES = {names.STACK, names.SNAPSHOT, names.NODE_IMAGE, *({*Record} - WORDS), *(record.type for record in Record)}


def literals(file: Path) -> Iterator[str]:
    """All texts in the code of a file, those in f-strings among them, without docstrings."""
    tree = ast.parse(file.read_text())
    documentation = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def is_name(text: str) -> bool:
    ends_as_a_part = text.startswith(("-", "/")) and text.endswith(tuple(Part))
    return text.removeprefix(":") in TYPES or ends_as_a_part or text == names.BILL_SUFFIX


@pytest.mark.parametrize("folder", ["images", "components", "adapters", "cli"])
def test_no_name_is_typed_twice(folder: str) -> None:
    typed = [f"{file}: {text}" for file in sources(folder) if file != OWNER for text in literals(file) if is_name(text)]
    assert typed == []


@pytest.mark.parametrize("text", ["-verifier-server", "/tarball", "EphemeralServer", "node-images:index:NodeImage"])
def test_a_name_would_be_seen(text: str, tmp_path: Path) -> None:
    file = tmp_path / "typed.py"
    file.write_text(f"name = f'{{key}}{text}'\n")
    assert any(is_name(found) for found in literals(file))
