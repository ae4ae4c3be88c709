"""The scanners of the tests: built once, and all that they are compiled from goes then."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pytest

from tests.toolchain.conftest import executable
from toolchain import parts, scanners
from toolchain.errors import SetupError
from toolchain.layout import CHECKOUT, Layout
from toolchain.progress import Progress

# Stands for the go command: fills both caches, and makes the programs unless it is to fail.
GO = """#!/bin/sh
mkdir -p "$GOMODCACHE" "$GOCACHE"
echo called >> "$GOMODCACHE/../../calls"
[ ! -e "$GOMODCACHE/../../broken" ] || { echo 'no route to host'; exit 1; }
while [ "$1" != -o ]; do shift; done
touch "$2/grype"
"""


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    checkout = tmp_path / "checkout"
    shutil.copytree(CHECKOUT / scanners.FOLDER, checkout / scanners.FOLDER)
    return Layout(checkout, tmp_path / "cache", "key")


@pytest.fixture(autouse=True)
def go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    executable(tmp_path / "bin" / "go", GO)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")


def ensure(layout: Layout) -> Path:
    return scanners.ensure(layout, Progress(io.StringIO()))


def test_they_are_built_once_and_their_caches_go(layout: Layout) -> None:
    folder = ensure(layout)
    assert ensure(layout) == folder
    assert (folder / "grype").exists()
    assert (layout.toolchain / "calls").read_text() == "called\n"
    assert not (layout.toolchain / "scanners-caches").exists()


def test_after_a_failure_the_next_run_goes_on_with_the_caches(layout: Layout) -> None:
    layout.toolchain.mkdir(parents=True)
    (layout.toolchain / "broken").touch()
    with pytest.raises(SetupError, match="no route to host"):
        ensure(layout)
    assert not parts.is_complete(scanners.folder_of(layout))
    assert (layout.toolchain / "scanners-caches" / "modules").is_dir()
    (layout.toolchain / "broken").unlink()
    assert parts.is_complete(ensure(layout))


def test_other_versions_are_other_programs(layout: Layout) -> None:
    before = scanners.folder_of(layout)
    pins = layout.checkout / scanners.FOLDER / "go.mod"
    pins.write_text(pins.read_text().replace("grype v0.", "grype v9."))
    assert scanners.folder_of(layout) != before


def test_without_go_it_says_what_it_is_for(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="the tests need trivy and grype"):
        ensure(layout)
