"""The key of a toolchain, versions, and what set-up says on the way."""

from __future__ import annotations

import io
import time
from pathlib import Path

import pytest

from tests.toolchain.conftest import copy_of_checkout
from toolchain.layout import Layout, cache_root, toolchain_key
from toolchain.pins import Pins, fits, version_numbers
from toolchain.progress import Progress, clock


@pytest.mark.parametrize(
    "file",
    [
        "requirements.lock",
        "toolchain/pins.json",
        "toolchain/go/plugins/go.sum",
        "toolchain/go/plugins/command/main.go",
    ],
)
def test_every_pinned_file_changes_the_key(tmp_path: Path, file: str) -> None:
    checkout = copy_of_checkout(tmp_path / "checkout")
    before = toolchain_key(checkout)
    with (checkout / file).open("a") as changed:
        changed.write("\n")
    assert toolchain_key(checkout) != before


def test_nothing_else_changes_the_key(tmp_path: Path) -> None:
    checkout = copy_of_checkout(tmp_path / "checkout")
    before = toolchain_key(checkout)
    for file in ("README.md", "toolchain/__main__.py", "toolchain/go/plugins/notes.txt"):
        (checkout / file).write_text("changed")
    assert toolchain_key(checkout) == before == toolchain_key(copy_of_checkout(tmp_path / "another"))


def test_the_cache_is_where_the_user_wants_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("NODE_IMAGES_CACHE", raising=False)
    assert cache_root() == Path("/home/me/.cache/node-images")
    monkeypatch.setenv("XDG_CACHE_HOME", "/xdg")
    assert cache_root() == Path("/xdg/node-images")
    monkeypatch.setenv("NODE_IMAGES_CACHE", "/mine")
    assert cache_root() == Path("/mine")
    assert Layout.of().ready.parent == Path("/mine/toolchain")


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("v3.259.0", (3, 259, 0)), ("go version go1.26.8 linux/amd64", (1, 26, 8)), ("go1.27rc1", (1, 27)), ("none", ())],
)
def test_versions_are_read_from_what_programs_say(text: str, numbers: tuple[int, ...]) -> None:
    assert version_numbers(text) == numbers


@pytest.mark.parametrize(
    ("version", "fitting"),
    [("v3.259.0", True), ("3.272.0", True), ("3.260", True), ("3.258.9", False), ("4.0.0", False), ("?", False)],
)
def test_a_version_fits_from_the_minimum_on(version: str, fitting: bool) -> None:
    assert fits(version, "3.259.0") is fitting


def test_the_pins_are_complete() -> None:
    pins = Pins.load()
    assert set(pins.plugins) == {"hcloud", "command"}
    assert fits(pins.engine_built, pins.engine_minimum) and fits(pins.engine_release, pins.engine_minimum)


def test_durations_are_minutes_and_seconds() -> None:
    assert [clock(seconds) for seconds in (0.4, 61, 600)] == ["0:00", "1:01", "10:00"]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_sees_a_live_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolchain.progress.LIVE_SECONDS", 0.01)
    stream = Terminal()
    progress = Progress(stream)
    with progress.part("Engine"):
        progress.detail("Engine", "3 of 9 packages")
        time.sleep(0.1)
    progress.close()
    assert "\r\033[K  Engine (3 of 9 packages) 0:00" in stream.getvalue()
    assert stream.getvalue().endswith("  Engine: done in 0:00\n\r\033[K")


def test_a_log_gets_plain_lines_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("toolchain.progress.PLAIN_SECONDS", 0.02)
    stream = io.StringIO()
    progress = Progress(stream)
    with progress.part("Engine"), progress.part("Python"):
        time.sleep(0.1)
    progress.close()
    lines = stream.getvalue().splitlines()
    assert "  Engine 0:00 | Python 0:00" in lines
    assert lines[-1] == "  Engine: done in 0:00"
    assert "\r" not in stream.getvalue() and "\033" not in stream.getvalue()


def test_a_failed_part_is_not_called_done() -> None:
    stream = io.StringIO()
    progress = Progress(stream)
    with pytest.raises(ValueError), progress.part("Engine"):
        raise ValueError
    progress.close()
    assert "done" not in stream.getvalue()
