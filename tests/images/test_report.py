"""What the acceptance tests print becomes one report, with what was seen after a restart."""

import json

import pytest

from images.report import wants_restart, whole_report

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


@pytest.mark.parametrize(
    ("report", "wanted"), [('{"level": "cluster"}', True), ('{"level": "boot"}', False), ("{}", False), ("", False)]
)
def test_only_a_cluster_wants_a_restart(report: str, wanted: bool) -> None:
    assert wants_restart(report) is wanted
