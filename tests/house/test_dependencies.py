"""Every Python package that we import is declared, and every one that comes with them is pinned by its sum."""

import re
from importlib.metadata import packages_distributions
from pathlib import Path

from tests.house.test_imports import ALLOWED, imported, sources

PINNED_BY_ANOTHER = {"pydantic_core"}
"""pydantic is declared, and pins it."""


def test_every_imported_package_is_declared() -> None:
    """What another package brings today may be gone tomorrow."""
    declared = {
        name.lower().replace("_", "-")
        for file in ("requirements.txt", "requirements-dev.txt")
        for name in re.findall(r"^([\w.-]+)", Path(file).read_text(), re.M)
    }
    brought_by = packages_distributions()
    files = [file for folder in (*ALLOWED, "tests", "benchmarks") for file in sources(folder)]
    tops = {name.partition(".")[0] for file in files for name in imported(file)} - PINNED_BY_ANOTHER
    known = {top: {name.lower().replace("_", "-") for name in brought_by[top]} for top in tops if top in brought_by}
    assert {top: names for top, names in known.items() if not names & declared} == {}


def test_the_lock_has_what_is_declared_and_a_sum_of_everything() -> None:
    lock, wanted = Path("requirements.lock").read_text(), set[tuple[str, str]]()
    for file in ("requirements.txt", "requirements-dev.txt"):
        wanted |= set(re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?(==\S+)", Path(file).read_text(), re.M))
    locked = re.findall(r"^([\w.-]+)(?:\[[\w,-]+\])?(==\S+)[^\\]*\\\n    --hash=sha256:", lock, re.M)
    every = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==", lock, re.M)
    assert len(locked) == len(every)
    written = {(name.lower().replace(".", "-"), version) for name, version in locked}
    assert {(name.lower().replace(".", "-"), version) for name, version in wanted} - written == set(), "run: make lock"
