"""What the acceptance tests print becomes one report, with what was seen after a restart."""

import json

import pytest

from images.report import address_in, wants_restart, whole_report

BOOTED = {"passed": 389, "total": 389, "level": "cluster", "seconds": {"ssh": 8.5, "ready": 61.0}}
RESTARTED = {"passed": 30, "total": 30, "level": "cluster", "seconds": {"restart": 40.5}}


def test_counts_and_seconds_of_both_runs_are_added() -> None:
    whole = json.loads(whole_report(json.dumps(BOOTED), json.dumps(RESTARTED)))
    assert whole == {
        "passed": 419, "total": 419, "level": "cluster", "seconds": {"ssh": 8.5, "ready": 61.0, "restart": 40.5}
    }  # fmt: skip


@pytest.mark.parametrize("nothing", ["", "\n"])
def test_without_a_restart_the_report_stays(nothing: str) -> None:
    report = {"passed": 389, "total": 389, "level": "boot", "why": "no registry"}
    assert json.loads(whole_report(json.dumps(report), nothing)) == report


def test_the_level_is_that_of_the_last_run() -> None:
    joined = {"passed": 14, "total": 14, "level": "join", "seconds": {"join": 12.3}}
    whole = json.loads(whole_report(json.dumps(BOOTED), json.dumps(joined)))
    assert (whole["level"], whole["passed"], whole["seconds"]["join"]) == ("join", 403, 12.3)


@pytest.mark.parametrize(("text", "address"), [('{"address": "198.51.100.7"}', "198.51.100.7"), ("", ""), (None, "")])
def test_a_server_tells_its_address(text: str | None, address: str) -> None:
    assert address_in(text) == address


@pytest.mark.parametrize(
    ("report", "wanted"), [('{"level": "cluster"}', True), ('{"level": "boot"}', False), ("{}", False), ("", False)]
)
def test_only_a_cluster_wants_a_restart(report: str, wanted: bool) -> None:
    assert wants_restart(report) is wanted
