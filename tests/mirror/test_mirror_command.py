"""`python -m mirror ensure` as a user meets it: real processes, the real go command, things that go wrong."""

import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.mirror.doubles import CONTENT, GOSS, KUBELET, NO_PROGRAM, ROOT, FakeUpstream, Place, needs_go, sha256, within

RUNC = "https://github.com/opencontainers/runc/releases/download/v1.4.3/runc.amd64"

# Stands for the go command: answers what it is asked first, then hangs like a long compilation.
HANGING_GO = """#!/bin/sh
case "$1 $2" in
  "env GOVERSION") echo go1.99.0 ;;
  "env GOPROXY") echo https://proxy.example ;;
  *) echo $$ > "$PID_FILE"; exec sleep 300 ;;
esac
"""


def refused(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    for part in parts:
        assert part in result.stderr


def path_with(folder: Path, *programs: str) -> str:
    """Return a PATH of only these programs."""
    folder.mkdir()
    for program in programs:
        (folder / program).symlink_to(shutil.which(program) or f"/no/{program}")
    return str(folder)


def test_urls_come_from_arguments_files_and_standard_input(place: Place, tmp_path: Path) -> None:
    listed = tmp_path / "list"
    listed.write_text(f"# a comment\n{GOSS}\n\n")
    command = place.command("ensure", f"--from={listed}", NO_PROGRAM, "-")
    result = subprocess.run(command, cwd=ROOT, input=f"{KUBELET}\n", capture_output=True, text=True, check=True)
    assert result.stdout.startswith("3 files present (0 built here)")
    assert place.kept() == sorted([GOSS, KUBELET, NO_PROGRAM])


def test_each_file_is_told_as_it_arrives(place: Place) -> None:
    told = place.run("ensure", KUBELET, GOSS).stderr
    assert f"{KUBELET}: from upstream, 0.1 MB" in told
    assert f"{GOSS}: from upstream, 0.1 MB" in told


def test_no_url_is_an_error(place: Place) -> None:
    refused(place.run("ensure"), "no URL given", "--from FILE")


def test_when_all_is_present_it_takes_no_time(place: Place) -> None:
    place.ensure(*CONTENT)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert place.run("ensure", *CONTENT).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Processor time: on a machine with other work the clock tells of that work.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 0.4


def test_a_mismatch_names_url_and_both_sums(place: Place, upstream: FakeUpstream) -> None:
    upstream.put(KUBELET, b"other")
    refused(place.run("ensure", KUBELET), KUBELET, sha256(CONTENT[KUBELET]), sha256(b"other"))


def test_a_missing_lock_is_named(place: Place) -> None:
    place.lock.unlink()
    refused(place.run("ensure", KUBELET), str(place.lock), "--lock")


def test_without_go_it_says_what_to_install(offline: Place, tmp_path: Path) -> None:
    refused(offline.run("ensure", GOSS, PATH=path_with(tmp_path / "bin", "sh")), "go: not found", "install Go")


@needs_go
def test_without_a_c_compiler_runc_says_what_to_install(offline: Place, tmp_path: Path) -> None:
    offline.publish({RUNC: "a" * 64})
    refused(
        offline.run("ensure", RUNC, PATH=path_with(tmp_path / "bin", "go", "nice")),
        "gcc: not found",
        "apt-get install gcc",
    )


@needs_go
def test_a_module_proxy_that_does_not_answer_is_named(offline: Place, tmp_path: Path, nowhere: str) -> None:
    result = offline.run("ensure", GOSS, GOPROXY=f"{nowhere},direct", GOMODCACHE=str(tmp_path / "modules"))
    refused(result, "goss 0.4.9", "module proxy does not answer", "GOPROXY")


@needs_go
def test_a_version_that_the_proxy_does_not_serve_is_named(
    offline: Place, upstream: FakeUpstream, tmp_path: Path
) -> None:
    result = offline.run("ensure", GOSS, GOPROXY=f"{upstream.base},direct", GOMODCACHE=str(tmp_path / "modules"))
    refused(result, "github.com/goss-org/goss@v0.4.9", "not served by the Go module proxy")


def test_a_full_disk_is_named(place: Place, upstream: FakeUpstream) -> None:
    content = bytes(1 << 20)
    upstream.put(GOSS, content)
    place.publish({GOSS: sha256(content)})
    place.cache.mkdir()
    # A small file system of its own, in a mount namespace that ends with the command.
    script = 'mount -t tmpfs -o size=256k none "$0" && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, str(place.cache), *place.command("ensure", GOSS)]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    refused(result, "the disk is full", "NODE_IMAGES_CACHE", str(place.cache))


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 130), (signal.SIGKILL, -9)])
def test_an_interrupted_build_ends_the_compiler_and_keeps_nothing(
    offline: Place, tmp_path: Path, number: int, code: int
) -> None:
    go_pid = tmp_path / "go.pid"
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(HANGING_GO)
    go.chmod(0o755)
    environment = os.environ | {"PATH": f"{go.parent}:{os.environ['PATH']}", "PID_FILE": str(go_pid)}
    with (tmp_path / "out").open("w") as out:
        run = subprocess.Popen(offline.command("ensure", GOSS), cwd=ROOT, env=environment, stdout=out, stderr=out)
        assert within(20, lambda: go_pid.exists() and go_pid.read_text().strip())
        run.send_signal(number)
        assert run.wait(20) == code
    assert within(5, lambda: not running(int(go_pid.read_text())))
    assert "Traceback" not in (tmp_path / "out").read_text()
    assert offline.kept() == []
    offline.ensure(GOSS)
    assert offline.leftovers() == []


def running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_the_second_of_two_processes_waits_and_finds_what_the_first_made(offline: Place, tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; import tests.mirror.doubles as doubles\n"
        "place = doubles.Place(Path(sys.argv[1]), sys.argv[2]); place.builder.hook = lambda work: time.sleep(1)\n"
        "place.ensure(doubles.GOSS); print(len(place.builder.builds))"
    )
    command = [sys.executable, "-c", script, str(tmp_path), offline.upstream]
    runs = [subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert sorted(run.communicate(timeout=60)[0] for run in runs) == ["0\n", "1\n"]
