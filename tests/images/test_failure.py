"""Which failures are tried again, and what people read of the others."""

import pytest

from images.failure import answer, is_transient, late_snapshot, outcome, summary, telling_lines


@pytest.mark.parametrize(
    "error",
    [
        "dial tcp 127.0.0.1:22: connect: connection refused",
        "connection lost: EOF",
        "read: i/o timeout",
        "https://api.hetzner.cloud/v1 does not answer (a connection, but no answer within 30 s; then we gave up).",
    ],
)
def test_a_broken_connection_passes(error: str) -> None:
    assert is_transient(error)


@pytest.mark.parametrize(
    "error",
    [
        "Process exited with status 1: curl: (7) connection refused",
        "knownhosts: key mismatch",
        "unable to authenticate",
    ],
)
def test_a_failed_script_or_a_wrong_key_does_not(error: str) -> None:
    assert not is_transient(error)


def test_what_may_pass_is_tried_again_but_not_a_snapshot_over_its_time() -> None:
    snapshot = "hcloud:index/snapshot:Snapshot"
    assert answer(snapshot, ["server is locked (locked, 1a)"] * 9) == "again"
    assert answer(snapshot, ["unavailable"]) == "again"
    assert answer(snapshot, ["limit reached (rate_limit_exceeded, 1a)"] * 9) == "again"
    assert answer(snapshot, ["context deadline exceeded: remaining running actions: [1]"]) == "fail"
    assert "waited 60 s" in late_snapshot(60)


@pytest.mark.parametrize("code", ["unavailable", "maintenance", "server_error", "502"])
def test_a_snapshot_waits_longer_for_what_passes_by_its_code(code: str) -> None:
    snapshot = "hcloud:index/snapshot:Snapshot"
    assert answer(snapshot, [f"no ({code}, 1a)"] * 20) == "again"
    assert answer(snapshot, [f"no ({code}, 1a)"] * 21) == "fail"


def test_the_summary_names_the_step_and_ends_with_its_last_lines() -> None:
    text = summary("debian-13-kube-1.36.4-0a1b2c3d-amd64/containerd", "\n".join(f"line {n}" for n in range(40)), "Gone")
    assert text.startswith("step containerd of debian-13-kube-1.36.4-0a1b2c3d-amd64 failed:")
    assert "line 39" in text
    assert "line 5\n" not in text
    assert text.endswith("Gone")


def test_the_summary_names_the_step_of_a_phase_that_the_runner_says() -> None:
    told = '{"failed": "containerd", "status": 1, "seconds": 4.2}'
    text = summary("image-amd64/runtime", f"exited with status 1, after this output:\nwhy\n{told}\n", "Gone")
    assert text.splitlines() == [
        *("step containerd of image-amd64 failed:", "    exited with status 1, after this output:", "    why", "Gone")
    ]
    other = summary("image-amd64/runtime", "said:\n[1]", "Gone")
    assert other.splitlines() == ["step runtime of image-amd64 failed:", "    said:", "    [1]", "Gone"]


def test_what_a_tool_marks_as_an_error_is_kept_before_the_last_lines() -> None:
    marked = ["\t[ERROR Port-6443]: in use", "E: no such package", 'time="now" level=fatal msg=no', "FATAL: disk"]
    lines = [*marked, "Errors are rare", *(f"line {number}" for number in range(40))]
    assert telling_lines(lines) == [*marked, *(f"line {number}" for number in range(32, 40))]
    assert telling_lines([f"error: {number}" for number in range(30)])[:4] == [
        f"error: {number}" for number in (0, 1, 16, 17)
    ]
    assert telling_lines(["error: one"]) == ["error: one"]


def test_the_file_with_all_of_the_output_stands_before_what_became_of_the_server() -> None:
    text = summary("image-amd64/runtime", "why", "Gone", "logs/dev/image-amd64/runc.log")
    assert text.splitlines()[-2:] == ["All of its output: logs/dev/image-amd64/runc.log", "Gone"]


def test_an_interruption_is_no_failure() -> None:
    error = "context canceled: running standard input packages: what it said so far"
    assert summary("image-amd64/packages", error, "Gone") == "step packages of image-amd64 was interrupted.\nGone"


def test_a_tarball_that_failed_takes_nothing_from_its_snapshot() -> None:
    assert outcome("image-amd64/tarball") == "The snapshot itself is published."
    assert outcome("image-amd64/containerd") == "Nothing of it is published."
