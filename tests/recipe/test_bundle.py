"""Bundles and their runner, which a real bash runs here."""

import base64
import gzip
import io
import json
import os
import shlex
import signal
import subprocess
import tarfile
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from recipe import load_catalog, load_lock
from recipe.bundle import REMOTE_FILE, Bundle, bundle, command
from recipe.hygiene import load_hygiene, settings
from recipe.phases import Phase, phase_of
from recipe.render import Node, library, render


@pytest.mark.parametrize(
    ("name", "phase"),
    [
        ("00-first-boot.sh", Phase.PREPARE),
        ("05-own-certificates.sh", Phase.PREPARE),
        ("49-last.sh", Phase.PREPARE),
        ("50-runc.sh", Phase.RUNTIME),
        ("60-kubernetes.sh", Phase.KUBERNETES),
        ("70-hold.debian.sh", Phase.FINISH),
        ("75-own-agent.sh", Phase.FINISH),
        ("90-clean.sh", Phase.FINISH),
    ],
)
def test_a_step_belongs_to_a_phase_by_its_number(name: str, phase: Phase) -> None:
    assert phase_of(name) is phase


def real() -> Bundle:
    recipe = render(load_catalog(), load_lock(), Node("debian-13", "1.36.4", "amd64"))
    return bundle(recipe.steps, {"acceptance-tests": {"acceptance-tests": recipe.acceptance}})


def test_the_same_content_is_the_same_file_byte_for_byte() -> None:
    assert real().packed == real().packed
    with tarfile.open(fileobj=io.BytesIO(real().packed), mode="r:gz") as archive:
        members = archive.getmembers()
    assert {(member.mtime, member.uid, member.uname, member.mode) for member in members} == {(0, 0, "", 0o644)}
    assert Bundle({**real().files, "lib.sh": "other"}).digest != real().digest


def test_the_library_stands_in_a_bundle_once() -> None:
    texts = [text for path, text in real().files.items() if path != "lib.sh"]
    assert not any(library() in text for text in texts)
    assert real().files["lib.sh"] == library()


def test_steps_run_in_the_order_of_the_recipe() -> None:
    recipe = render(load_catalog(), load_lock(), Node("debian-13", "1.36.4", "amd64"))
    paths = [path for phase in Phase for path in sorted(real().files) if path.startswith(f"{phase}/")]
    names = [path.partition("/")[2].partition("-")[2] for path in paths]
    assert names == ["machine-id.result", *(step.name for step in recipe.steps)]


def test_the_clean_up_takes_all_of_it_out_of_the_image() -> None:
    patterns = settings(load_hygiene())["HYGIENE_REMOVE"].split()
    assert "/var/tmp/*" in patterns
    assert REMOTE_FILE.startswith("/var/tmp/")
    assert "work=${bundle%/*}/node-image\n" in Path("recipe/runner.sh").read_text()


# --- the runner


RUNNER = Path("recipe/runner.sh").read_text()


class Server:
    """A folder in place of a server's, with the steps of a phase `p`."""

    def __init__(self, root: Path, **steps: str) -> None:
        self.root, self.file = root, root / "bundle.tar.gz"
        self.write(steps)

    def write(self, steps: Mapping[str, str]) -> None:
        names = {f"p/{number:02}-{name.replace('_', '.')}": text for number, (name, text) in enumerate(steps.items())}
        self.file.write_bytes(Bundle({"lib.sh": library(), "runner.sh": RUNNER, **names}).packed)

    def start(self, variables: str = "", *words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["bash", "-c", RUNNER, str(self.file), "p", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.root,
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(variables)
        process.stdin.close()
        process.stdin = None
        return process

    def run(self, variables: str = "", *words: str) -> tuple[int, str, list[str]]:
        process = self.start(variables, *words)
        out, error = process.communicate(timeout=30)
        return process.returncode, out, error.splitlines()

    def ran(self) -> list[str]:
        """What the steps wrote into the file `ran`."""
        return (self.root / "ran").read_text().split()


def test_a_line_says_what_begins_and_what_has_ended(tmp_path: Path) -> None:
    server = Server(tmp_path, first="say many words", second="sleep 0.2")
    status, out, lines = server.run()
    assert (status, out) == (0, "")
    assert [line.rstrip("0123456789. s") for line in lines] == ["first", "first:", "second", "second:"]
    assert 0.2 <= float(lines[-1].split()[1]) < 5
    assert (tmp_path / "node-image/output/first.log").read_text() == "many words\n"


def test_steps_have_the_library_and_the_variables(tmp_path: Path) -> None:
    server = Server(tmp_path, told_result='say "$WORD"; [[ $- == *e* ]] && say strict; say "$0"')
    assert server.run("WORD='a b'\n")[1].splitlines() == ["a b", "strict", "told"]


def test_variables_are_no_arguments_of_a_process_and_nobody_inherits_them(tmp_path: Path) -> None:
    """Everybody on a machine sees the arguments of all processes, and a step may start what stays."""
    looks = """
        for process in $$ $PPID; do tr '\\0' ' ' <"/proc/$process/cmdline" | grep --count 'let m[e] in' || true; done
        env | grep --count 'let m[e] in' || say "$SECRET"
    """
    server = Server(tmp_path, told_result=looks)
    assert server.run("SECRET='let me in'\n")[1].splitlines() == ["0", "0", "0", "let me in"]


def test_only_results_are_printed_in_their_order(tmp_path: Path) -> None:
    server = Server(tmp_path, a_result="say one; say no >&2", b="say nothing", c_result="say two")
    assert server.run()[1] == "one\ntwo\n"
    assert (tmp_path / "node-image/output/a.log").read_text() == "no\n"


def test_a_long_result_is_compressed(tmp_path: Path) -> None:
    server = Server(tmp_path, a_result="say short", long_packed_result="seq 1000")
    first, second = server.run()[1].splitlines()
    assert first == "short"
    assert gzip.decompress(base64.b64decode(second)).decode().split() == [str(number) for number in range(1, 1001)]
    assert server.run()[1].splitlines() == [first, second], "the same, byte for byte"


def test_a_finished_step_is_never_run_again(tmp_path: Path) -> None:
    server = Server(tmp_path, a_result="echo a >>ran; say result", b="echo b >>ran; [[ -e mended ]]", c="echo c >>ran")
    assert server.run()[0] != 0
    (tmp_path / "mended").touch()
    status, out, lines = server.run()
    assert (status, out, server.ran()) == (0, "result\n", ["a", "b", "b", "c"])
    assert lines[0] == "a: finished before"
    server.run("", "second-server")
    assert server.ran()[4:] == ["a", "b", "c"], "another occasion"
    server.write({"a.result": "echo other >>ran"})
    server.run()
    assert server.ran()[7:] == ["other"], "another text"


def test_a_failure_ends_with_the_errors_and_last_lines_and_a_line_for_programs(tmp_path: Path) -> None:
    text = 'say begin\ncomplain early\nfor number in {1..40}; do say "line $number"; done\ndie at last'
    status, _, lines = Server(tmp_path, bad=text, never="touch ran").run()
    assert status == 1
    last = json.loads(lines[-1])
    assert (last["failed"], last["status"]) == ("bad", 1)
    assert lines[1] == "error: early"
    assert lines[-3:-1] == ["line 40", "error: at last"]
    assert len(lines) == 1 + 12 + 1
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "error",
    [
        "\t[ERROR Port-6443]: Port 6443 is in use",
        "FATAL: no such device",
        "Error: cannot find it",
        'time="now" level=fatal msg="no"',
        "E1130 12:00:00.0 kubelet",
    ],
)
def test_what_a_tool_marks_as_an_error_comes_before_the_last_lines(tmp_path: Path, error: str) -> None:
    text = f"say begin\nsay {shlex.quote(error)}\nfor number in {{1..46}}; do say CONFIG; done\nfalse"
    _, _, lines = Server(tmp_path, bad=text).run()
    assert lines[1] == error


def test_of_many_errors_the_first_and_the_last_are_shown_once_each(tmp_path: Path) -> None:
    text = "for number in {1..9} 1; do say error: $number; done\nfor number in {1..20}; do say more; done\nfalse"
    _, _, lines = Server(tmp_path, bad=text).run()
    assert [line for line in lines if line.startswith("error: ")][:4] == [f"error: {number}" for number in (1, 2, 8, 9)]


def test_a_failure_after_the_clean_up_is_told_and_brings_nothing_back(tmp_path: Path) -> None:
    remove = f"rm --recursive {shlex.quote(str(tmp_path))}/{{node-image,bundle.tar.gz}}"
    status, _, lines = Server(tmp_path, clean=f"say removing\n{remove}\ndie too late").run()
    assert (status, lines[1:3]) == (1, ["removing", "error: too late"])
    assert list(tmp_path.iterdir()) == []
    status, _, _ = Server(tmp_path, clean=remove).run()
    assert status == 0
    assert list(tmp_path.iterdir()) == []


def test_a_hung_step_is_ended_and_named(tmp_path: Path) -> None:
    status, _, lines = Server(tmp_path, hangs="say so far; sleep 60").run("STEP_SECONDS=1\n")
    assert status != 0
    assert any("hangs took longer than 1 s" in line for line in lines)
    assert json.loads(lines[-1])["failed"] == "hangs"


def test_nobody_has_to_read_along(tmp_path: Path) -> None:
    """A connection that is lost ends no step; the next run waits for this one, and runs nothing twice."""
    server = Server(tmp_path, a="sleep 0.5; echo a >>ran", b="echo b >>ran")
    process = server.start()
    assert process.stdout and process.stderr
    process.stdout.close()
    process.stderr.close()
    time.sleep(0.2)
    assert server.run()[0] == 0
    assert process.wait(10) == 0
    assert server.ran() == ["a", "b"]


def test_what_a_step_leaves_running_blocks_no_other_run(tmp_path: Path) -> None:
    server = Server(tmp_path, a="sleep 37.25 >/dev/null 2>&1 & echo $! >pid", b="echo b >>ran")
    began = time.monotonic()
    assert server.run()[0] == 0
    assert server.run()[0] == 0
    assert time.monotonic() - began < 20
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_the_command_runs_a_phase_of_the_bundle(tmp_path: Path) -> None:
    """With this folder in place of /var/tmp."""
    packed = Bundle({"lib.sh": 'say() { echo "$@"; }', "runner.sh": RUNNER, "p/01-a.result": "say it"}).packed
    (tmp_path / "node-image.tar.gz").write_bytes(packed)
    text = command("p", "7").replace("/var/tmp", str(tmp_path))
    result = subprocess.run(["bash", "-c", text], input="", capture_output=True, text=True, check=True)
    assert result.stdout == "it\n"
    assert (tmp_path / "node-image" / "finished" / "7" / "a").exists()


def test_no_test_finds_its_own_words_on_the_server(tmp_path: Path) -> None:
    """Such as the one for private keys, which looks into all files."""
    server = Server(tmp_path, a_result="say looking")
    packed = Bundle({**real().files, "p/01-a.result": "say looking"}).packed
    server.file.write_bytes(packed)
    assert server.run()[0] == 0
    assert any("PRIVATE KEY-----" in text for text in real().files.values())
    assert not any(b"PRIVATE KEY" in file.read_bytes() for file in tmp_path.rglob("*") if file.is_file())
