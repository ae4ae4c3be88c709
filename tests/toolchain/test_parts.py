"""Parts are finished once, whatever happens on the way: an interrupt, a kill, a second set-up at the same time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from toolchain import parts
from toolchain.layout import CHECKOUT

# Takes the lock, then makes two parts; notes each start. The second part waits for a file `go`.
SCRIPT = """
import sys, time
from pathlib import Path
from toolchain import parts
from toolchain.progress import Progress

root = Path(sys.argv[1])

def build(folder):
    with (root / "builds").open("a") as file:
        print(folder.name, file=file)
    (folder / "half").touch()
    while folder.name == "slow" and not (root / "go").exists():
        time.sleep(0.01)
    (folder / "whole").touch()

with parts.locked(root / "lock", Progress(sys.stdout)):
    parts.ensure(root / "quick", build)
    parts.ensure(root / "slow", build)
print("ready", flush=True)
"""


def start(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(root)],
        cwd=CHECKOUT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def wait_for(file: Path) -> None:
    until = time.monotonic() + 10
    while not file.exists():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_after_any_end_the_next_run_goes_on_where_it_stopped(tmp_path: Path, ending: signal.Signals) -> None:
    first = start(tmp_path)
    wait_for(tmp_path / "slow" / "half")
    os.kill(first.pid, ending)
    first.wait()
    first.communicate()
    (tmp_path / "go").touch()

    second = start(tmp_path)
    assert "ready" in second.communicate(timeout=20)[0]
    assert (tmp_path / "builds").read_text().split() == ["quick", "slow", "slow"]
    assert (tmp_path / "slow" / "whole").exists()


def test_a_second_at_the_same_time_waits_and_finds_all_done(tmp_path: Path) -> None:
    first = start(tmp_path)
    wait_for(tmp_path / "slow" / "half")
    second = start(tmp_path)
    assert second.stdout is not None
    assert "waiting" in second.stdout.readline()
    (tmp_path / "go").touch()
    assert "ready" in first.communicate(timeout=20)[0]
    assert "ready" in second.communicate(timeout=20)[0]
    assert (tmp_path / "builds").read_text().split() == ["quick", "slow"]


def test_a_part_that_failed_leaves_nothing_to_the_next_try(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "rest").touch()
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space"):
        parts.ensure(tmp_path / "part", fail)
    assert not parts.is_complete(tmp_path / "part")
    parts.ensure(tmp_path / "part", lambda folder: None)
    assert [path.name for path in (tmp_path / "part").iterdir()] == [parts.MARKER]


def test_a_part_is_named_after_all_that_shapes_it(tmp_path: Path) -> None:
    names = {parts.part_folder(tmp_path, "part", shaped_by) for shaped_by in ({"a": 1}, {"a": 2}, {"a": 1, "b": 1})}
    assert len(names) == 3
    assert parts.part_folder(tmp_path, "part", {"a": 1, "b": 2}) == parts.part_folder(
        tmp_path, "part", {"b": 2, "a": 1}
    )
