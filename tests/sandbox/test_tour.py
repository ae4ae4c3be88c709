"""The hcloud command line's whole vocabulary: each command is tried, and succeeds where the sandbox has what it is about."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.fidelity.figures import reasons, unexplained
from tests.fidelity.tour import results
from tests.sandbox import tour
from tests.sandbox.conftest import Sandbox, free_port


def test_every_command_is_tried() -> None:
    assert {tour.Step(line, "").name for line in tour.STEPS.splitlines() if line} == tour.commands()


def test_every_command_succeeds_or_a_reason_is_known(
    make_sandbox: Callable[..., Sandbox], key_pair: Path, tmp_path: Path
) -> None:
    sandbox = make_sandbox(machines="instant", ssh_port=free_port()).started()
    found = results(tour.walk(sandbox, key_pair, tmp_path))
    assert unexplained(found, reasons()) == []
    assert [
        entry for entry in sandbox.control("GET", "/requests").json()["requests"] if (entry["status"] or 500) >= 500
    ] == []
