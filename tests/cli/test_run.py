"""./pulumiw's run of the engine, with a stand-in for the engine that writes an event log."""

import json
import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from cli.run import wrapped
from tests.cli.test_screen import BUILDS, STACK, URN, at_work, failed, said

ROOT = Path(__file__).parents[2]
# It takes the last word but one for the event log, as it is given.
ENGINE = """#!/usr/bin/env python3
import os, signal, sys, time
here = os.path.dirname(os.path.abspath(sys.argv[0]))
log = sys.argv[sys.argv.index("--event-log") + 1]
open(here + "/words", "a").write(" ".join(sys.argv[1:]) + "\\n")
open(here + "/pid", "w").write(str(os.getpid()))
signal.signal(signal.SIGINT, lambda *_: open(here + "/interrupted", "a").write("x"))
open(log, "w").write(open(here + "/events").read())
print("from the engine", flush=True)
end = time.monotonic() + float(open(here + "/seconds").read())
while time.monotonic() < end and not os.path.exists(here + "/interrupted"):
    time.sleep(0.05)
time.sleep(0.2)
sys.exit(int(open(here + "/code").read()))
"""


class Engine:
    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "engine"
        self.file.write_text(ENGINE)
        self.file.chmod(0o755)
        self.will([*at_work(BUILDS[4])])
        self.sweeps("echo leftovers: $*")

    def sweeps(self, script: str) -> None:
        """What ./node-images does instead of asking the API."""
        (self.folder / "node-images").write_text(f"#!/bin/sh\n{script}\n")
        (self.folder / "node-images").chmod(0o755)

    def will(self, events: list[object], code: int = 0, seconds: float = 0) -> None:
        (self.folder / "events").write_text("".join(f"{json.dumps(event)}\n" for event in events))
        (self.folder / "code").write_text(str(code))
        (self.folder / "seconds").write_text(str(seconds))

    def command(self, *words: str) -> list[str]:
        code = f"import cli.run, sys, pathlib; cli.run.LOGS = pathlib.Path({str(self.folder / 'logs')!r}); "
        code += f"cli.run.NODE_IMAGES = pathlib.Path({str(self.folder / 'node-images')!r}); "
        code += "sys.exit(cli.run.main(sys.argv[1:]))"
        return [sys.executable, "-c", code, "sandbox", words[0], str(self.file), *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, cwd=ROOT, timeout=120)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.command(*words), cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
        )
        wait_for(self.folder / "pid")
        time.sleep(0.3)
        return process


def wait_for(file: Path) -> None:
    deadline = time.monotonic() + 60
    while not file.exists() or not file.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine(tmp_path)


def failure() -> list[object]:
    return [
        *at_work(BUILDS[4]),
        *(said(111, STACK, f"error: {text}", "error") for text in failed().errors),
    ]


def test_where_nobody_watches_the_engine_speaks_and_we_have_the_last_word(engine: Engine) -> None:
    engine.will(failure(), code=255)
    result = engine.run("up", "--yes")
    assert result.returncode == 255
    assert result.stdout.startswith("from the engine\n")
    assert result.stdout.endswith("       ./pulumiw up --stack sandbox\n")
    words = (engine.folder / "words").read_text().split()
    assert words[:3] == ["up", "--yes", "--event-log"]
    assert words[-1] == "--suppress-outputs"
    assert "[ERROR Port-6443]" in (engine.folder / "logs/sandbox" / BUILDS[4] / "build.log").read_text()


def test_words_are_not_cut_at_the_edge_of_a_terminal_and_output_is_left_alone() -> None:
    assert wrapped("one image is rebuilt", 12) == "one image is\n    rebuilt"
    assert wrapped("    one image is rebuilt", 12) == "    one image is rebuilt"
    assert wrapped("one image is rebuilt", 0) == "one image is rebuilt"


def test_a_reader_that_goes_early_is_no_error(engine: Engine) -> None:
    engine.will([*at_work(BUILDS[4])], seconds=0.5)
    piped = subprocess.Popen(engine.command("up", "--yes"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT)
    assert piped.stdout
    assert piped.stderr
    piped.stdout.close()
    errors = piped.stderr.read()
    assert (piped.wait(timeout=120), errors) == (0, b"")


@pytest.mark.parametrize("whole_group", [False, True])
def test_an_interruption_reaches_the_engine_once(engine: Engine, *, whole_group: bool) -> None:
    engine.will([], seconds=60)
    process = engine.start("up", "--yes")
    (os.killpg if whole_group else os.kill)(process.pid, signal.SIGINT)
    process.communicate(timeout=120)
    assert (engine.folder / "interrupted").read_text() == "x"


def test_a_kill_ends_the_engine_too(engine: Engine) -> None:
    engine.will([], seconds=60)
    process = engine.start("up", "--yes")
    os.kill(process.pid, signal.SIGKILL)
    process.wait(timeout=60)
    pid = int((engine.folder / "pid").read_text())
    deadline = time.monotonic() + 30
    while Path(f"/proc/{pid}").exists() and "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def on_terminal(command: list[str], answer: str = "", question: str = "[yes/no/details] ") -> tuple[int, str]:
    """Exit code and all that a terminal of 80 x 24 gets; the answer is typed after the question."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ |= {"TERM": "xterm", "COLUMNS": "80", "LINES": "24", "PULUMI_CONFIG_PASSPHRASE": "x"}
        os.execv(command[0], command)
    text = b""
    while True:
        ready, _, _ = select.select([terminal], [], [], 120)
        assert ready, text.decode()
        try:
            new = os.read(terminal, 4096)
        except OSError:
            break
        if not new:
            break
        text += new
        if answer and question.encode() in text:
            os.write(terminal, answer.encode())
            answer = ""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text.decode()


def test_what_our_screen_does_not_know_the_engine_shows_itself(engine: Engine) -> None:
    engine.will([], code=3, seconds=60)
    code, text = on_terminal(engine.command("destroy"), "\x03", "from the engine")
    assert code == 3, text
    assert (engine.folder / "interrupted").read_text() == "x", "a Ctrl-C reaches it once"
    assert "sandbox: destroy failed" in text.split("from the engine")[1]


def test_after_an_interruption_a_person_reads_what_is_left(engine: Engine) -> None:
    engine.will([], code=7, seconds=60)
    code, text = on_terminal(engine.command("destroy"), "\x03", "from the engine")
    assert code == 7, text
    after = text.split("left behind:")[1]
    assert "leftovers: sweep --all --stack sandbox" in after
    assert "Next:" in after, "and then what to type"


def test_where_that_is_not_known_it_says_how_to_find_out(engine: Engine) -> None:
    engine.will([], code=7, seconds=60)
    engine.sweeps("exit 1")
    _, text = on_terminal(engine.command("destroy"), "\x03", "from the engine")
    said = " ".join(text.split())
    assert (
        "Later ./node-images sweep --all --stack sandbox shows it, and what it costs; with --yes it deletes it." in said
    )


def test_nothing_is_said_to_be_left_without_an_interruption(engine: Engine) -> None:
    engine.will([*at_work(BUILDS[4])], code=7)
    assert "left behind" not in on_terminal(engine.command("destroy"))[1]


def test_a_person_sees_builds_and_not_the_tree(engine: Engine) -> None:
    engine.will([*at_work(BUILDS[4])], seconds=1)
    code, text = on_terminal(engine.command("up", "--yes"))
    assert code == 0, text
    assert "Looks at what would change in sandbox" in text
    assert "Updates sandbox" in text
    assert "1.36.4 amd64 debian-13" in text
    assert "from the engine" not in text
    assert "from the engine" in next((engine.folder / "logs/sandbox/runs").glob("*-up.log")).read_text()


@pytest.mark.parametrize(("answer", "runs"), [("no", ["preview"]), ("yes", ["preview", "up"])])
def test_a_person_is_asked_before_anything_changes(engine: Engine, answer: str, runs: list[str]) -> None:
    old = {"op": "same", "urn": URN + STACK, "old": {"outputs": {}}, "new": {}}
    engine.will([{"timestamp": 1, "resourcePreEvent": {"metadata": old}}])
    code, text = on_terminal(engine.command("up"), f"{answer}\n")
    assert code == 0, text
    assert "sandbox: no image changes" in text
    assert [line.split()[0] for line in (engine.folder / "words").read_text().splitlines()] == runs
    assert ("Nothing was changed" in text) == (answer == "no")
