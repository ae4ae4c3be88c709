"""The screen of a run and its last words, from events as the engine writes them."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cli.builds import BuildLogs, builds_of, find_log
from cli.ending import Run, ending
from cli.progress import Follower, Progress
from cli.screen import Size, draw
from images.failure import summary
from recipe.problems import ProblemsError

URN = "urn:pulumi:sandbox::node-images::"
IMAGE = "node-images:index:NodeImage"
NAMES = [f"debian-13-kube-1.36.{patch}-0a1b2c3d" for patch in range(12)]
BUILDS = [f"{name}-amd64" for name in NAMES]
NARROW = Size(80, 24)
FAILED = "after this output:\n\t[ERROR Port-6443]: Port 6443 is in use\nlast\n" + json.dumps({"failed": "kubeadm"})


def before(time: int, urn: str, op: str = "create", **more: Any) -> dict[str, Any]:
    return {"timestamp": time, "resourcePreEvent": {"metadata": {"op": op, "urn": URN + urn, **more}}}


def after(time: int, urn: str, kind: str = "resOutputsEvent") -> dict[str, Any]:
    return {"timestamp": time, kind: {"metadata": {"op": "create", "urn": URN + urn}}}


def said(time: int, urn: str, text: str, severity: str = "info#err") -> dict[str, Any]:
    return {"timestamp": time, "diagnosticEvent": {"urn": URN + urn, "severity": severity, "message": text}}


def command(build: str, phase: str) -> str:
    return f"{IMAGE}$command:remote:Command::{build}/{phase}"


def server(build: str) -> str:
    return f"{IMAGE}$pulumi-python:dynamic/node-images:EphemeralServer::{build}-builder-server"


def at_work(build: str) -> Iterator[Mapping[str, Any]]:
    yield before(100, server(build))
    yield after(103, server(build))
    yield before(103, command(build, "runtime"))
    yield said(104, command(build, "runtime"), "containerd\n")


def progress_of(*builds: str) -> Progress:
    progress = Progress()
    for build in builds:
        for event in at_work(build):
            progress.take(event)
    return progress


def test_one_build_shows_its_phases_with_the_step_it_is_at_and_the_time_of_the_last_run() -> None:
    lines = draw("Updates sandbox", progress_of(BUILDS[4]), 110, NARROW, {"Provisioning": 21, "Snapshot": 62})
    assert lines == [
        "Updates sandbox  0:10",
        "1.36.4 amd64 debian-13 0a1b2c3d",
        "  Build server              0:03   done",
        "  Provisioning              0:07 of about 0:21   containerd",
        "  Snapshot                         about 1:02",
    ]


def test_the_documents_show_the_screen_as_it_is() -> None:
    page = Path("docs/commands.md").read_text()
    shown = page[page.index("Updates sandbox") :].partition("\n```")[0]
    build = "debian-13-kube-1.36.4-82267ca2-amd64"
    snapshot = f"{IMAGE}$hcloud:index/snapshot:Snapshot::{build}"
    progress = progress_of(build)
    progress.take(after(112, command(build, "runtime")))
    progress.take(before(112, snapshot))
    times = {"Provisioning": 20, "Snapshot": 5, "Boot from the snapshot": 4, "Acceptance tests": 8, "Publication": 1}
    assert draw("Updates sandbox", progress, 114, NARROW, times) == shown.splitlines()


@pytest.mark.parametrize("size", [NARROW, Size(130, 24), Size(160, 24), Size(40, 10)])
def test_many_builds_fit_on_the_screen_and_what_tells_them_apart_comes_first(size: Size) -> None:
    lines = draw("Updates sandbox", progress_of(*BUILDS), 110, size, {})
    assert len(lines) < size.height
    assert max(map(len, lines)) < size.width
    assert all(line.startswith(f"1.36.{patch} amd64") for patch, line in enumerate(lines[1:7]))
    if size.height == 24:
        assert "containerd" in lines[1]
    else:
        assert lines[-1] == "and 6 more"


def failed() -> Progress:
    progress = progress_of(BUILDS[4])
    urn = command(BUILDS[4], "runtime")
    text = summary(f"{BUILDS[4]}/runtime", FAILED, "All build servers are deleted.", "logs/kubeadm.log")
    for event in (
        said(111, urn, f"<{{%reset%}}>error: {FAILED}<{{%reset%}}>", "error"),
        said(111, "pulumi:pulumi:Stack::node-images-sandbox", f"error: {text}", "error"),
        said(111, "pulumi:pulumi:Stack::node-images-sandbox", "error: update failed", "error"),
        after(111, urn, "resOpFailedEvent"),
    ):
        progress.take(event)
    return progress


def test_a_failure_ends_with_cause_file_fate_and_what_to_type() -> None:
    lines = "\n".join(ending(Run("up", "sandbox", 1, "logs/sandbox/runs/x.log"), failed())).splitlines()
    text = "\n".join(lines)
    assert lines[0] == "sandbox: up failed"
    assert text.count("[ERROR Port-6443]") == 1, "the program's words, and not the engine's as well"
    assert text.index("[ERROR Port-6443]") < text.index("logs/kubeadm.log") < text.index("servers are deleted")
    assert "update failed" not in text
    assert lines[-2:] == [
        f"Next:  ./node-images logs {BUILDS[4]} kubeadm --stack sandbox",
        "       ./pulumiw up --stack sandbox",
    ]
    assert len(lines) < NARROW.height


def test_an_error_of_a_resource_that_the_program_says_nothing_of_is_shown_too() -> None:
    progress = failed()
    urn = f"{IMAGE}$pulumi-python:dynamic/node-images:Published::{BUILDS[5]}-published"
    progress.take(said(112, urn, "error: another snapshot has that name", "error"))
    text = "\n".join(ending(Run("up", "sandbox", 1, "x.log"), progress))
    assert "another snapshot has that name" in text
    assert "[ERROR Port-6443]" in text


def test_a_failure_without_events_shows_what_the_engine_said() -> None:
    lines = ending(Run("up", "dev", 255, "x.log", "error: the stack is currently locked by 1 lock(s)\n"), Progress())
    assert lines[2].startswith("the stack is currently locked")
    assert lines[-1].startswith("Next:  ./pulumiw up --stack dev")


STACK = "pulumi:pulumi:Stack::node-images-sandbox"


def record(name: str) -> dict[str, Any]:
    return {
        "name": name, "snapshots": {"amd64": 1}, "components": {"kubernetes": "1.36.4"}, "inputs": {"packages": "a"},
        "generations": [], "os": "debian-13", "kubernetes": "1.36.4",
    }  # fmt: skip


def test_what_was_done_is_one_line() -> None:
    old, new = "debian-13-kube-1.36.4-11111111", "debian-13-kube-1.36.4-22222222"
    progress = Progress()
    component = {"image": new, "components": {"kubernetes": "1.36.4"}, "inputs": {"packages": "b"}}
    for event in (
        before(1, STACK, "same", old={"outputs": {"images": [record(old)]}}, new={}),
        before(1, f"{IMAGE}::{new}-amd64", new={"inputs": component}),
        before(1, f"{IMAGE}$hcloud:index/snapshot:Snapshot::{new}-amd64", new={"inputs": {}}),
        after(62, f"{IMAGE}$hcloud:index/snapshot:Snapshot::{new}-amd64"),
    ):
        progress.take(event)
    lines = ending(Run("up", "sandbox", 0, "x.log", build_logs=["logs/build.log"]), progress)
    assert lines[0] == "sandbox: 1 image rebuilt (packages changed), 1 kept, nothing deleted  (1:01)"
    assert lines[1] == "Log:   logs/build.log"


def test_warnings_and_advice_are_kept_once_each() -> None:
    progress = progress_of(BUILDS[4])
    deleted = f"{IMAGE}$pulumi-python:dynamic/node-images:Published::{BUILDS[5]}-published"
    for event in (
        said(5, STACK, "none in stock", "warning"),
        said(6, STACK, "name your network", "info"),
        said(6, STACK, "name your network", "info"),
        said(7, deleted, "warning: it is deleted, but servers were created from it"),
    ):
        progress.take(event)
    assert progress.remarks == [
        "warning: none in stock",
        "name your network",
        "warning: it is deleted, but servers were created from it",
    ]


def test_nothing_to_do_is_said_as_well() -> None:
    progress = Progress()
    old = {"outputs": {"images": [record("debian-13-kube-1.36.4-11111111")]}}
    progress.take(before(1, STACK, "same", old=old, new={}))
    assert ending(Run("preview", "sandbox", 0, ""), progress)[0] == "sandbox: no image changes, 1 kept, nothing deleted"


def test_a_log_that_is_being_written_is_read_by_whole_lines(tmp_path: Path) -> None:
    follower = Follower(tmp_path / "events")
    assert list(follower.new()) == []
    follower.file.write_text('{"a": 1}\n{"b"')
    assert list(follower.new()) == [{"a": 1}]
    follower.file.write_text('{"a": 1}\n{"b": 2}\n')
    assert list(follower.new()) == [{"b": 2}]


def test_each_build_has_a_log_that_is_found_by_any_of_its_names(tmp_path: Path) -> None:
    logs = BuildLogs(tmp_path / "sandbox", "up")
    (file,) = logs.write(failed(), made=False)
    text = file.read_text()
    assert text.splitlines()[2] == "   0:04  containerd"
    assert "failed" in text
    assert "[ERROR Port-6443]" in text
    (file.parent / "kubeadm.log").write_text("all of it\n")
    assert builds_of(logs.folder) == [BUILDS[4]]
    for name in (BUILDS[4], NAMES[4], "debian-13/1.36.4", "1.36.4"):
        assert find_log(logs.folder, name, "") == file
    assert find_log(logs.folder, "1.36.4", "kubeadm").read_text() == "all of it\n"
    with pytest.raises(ProblemsError, match=r"did you mean|use one of"):
        find_log(logs.folder, "1.36.5", "")
    with pytest.raises(ProblemsError, match="did you mean kubeadm"):
        find_log(logs.folder, "1.36.4", "kubadm")


def test_the_times_of_a_run_that_made_an_image_are_those_to_expect(tmp_path: Path) -> None:
    logs = BuildLogs(tmp_path, "up")
    assert logs.times == {}
    logs.write(failed(), made=True)
    assert BuildLogs(tmp_path, "up").times == {"Build server": 3, "Provisioning": 8}
