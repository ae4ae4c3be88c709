"""How figures are shown and written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.booting import Boot, Reached, figures, processor_seconds
from benchmarks.measure import Measure, amount, cells, document, kind_of_request, markdown, seconds
from benchmarks.scenarios import ON_REQUEST, SCENARIOS

ROOT = Path(__file__).resolve().parents[2]
SNAPSHOT = Measure("snapshot", 2.16, "s", "cp -a", 1.08)


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (0.234, "s", "0.23 s"),
        (12.34, "s", "12.3 s"),
        (123.4, "MB", "123 MB"),
        (0, "s", "0.00 s"),
        (7, "requests", "7 requests"),
    ],
)
def test_three_digits_are_shown(value: float, unit: str, shown: str) -> None:
    assert amount(value, unit) == shown


@pytest.mark.parametrize(
    ("method", "route", "query", "kind"),
    [
        ("GET", "/actions/{id}", "", "polls of actions"),
        ("GET", "/actions", "id=7&page=1", "polls of actions"),
        ("GET", "/servers", "page=1&per_page=50", "GET /servers"),
        ("GET", "/servers", "name=node-1", "GET /servers by name"),
        ("GET", "/images", "label_selector=a%3Db&type=snapshot", "GET /images by label_selector"),
        ("DELETE", "/servers/{id}", "", "DELETE /servers/{id}"),
    ],
)
def test_requests_are_counted_by_what_they_are_for(method: str, route: str, query: str, kind: str) -> None:
    assert kind_of_request(method, route, query) == kind


def test_a_row_compares_with_what_stands_beside() -> None:
    assert cells(SNAPSHOT) == ("snapshot", "2.16 s", "cp -a: 1.08 s", "2.0 x")
    assert cells(Measure("check", 0.2)) == ("check", "0.20 s", "", "")


def test_page_and_document_hold_the_same() -> None:
    machine = {"cores": "2"}
    assert "- cores: 2\n" in markdown([SNAPSHOT], machine)
    assert "| snapshot | 2.16 s | cp -a: 1.08 s | 2.0 x |\n" in markdown([SNAPSHOT], machine)
    written = json.loads(json.dumps(document([SNAPSHOT], machine)))
    assert written["machine"] == machine
    assert written["measures"] == [
        {"name": "snapshot", "value": 2.16, "unit": "s", "beside": "cp -a", "reference": 1.08, "ratio": 2.0}
    ]


def test_the_median_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter([0, 1, 10, 19, 20, 22])
    monkeypatch.setattr("benchmarks.measure.time.monotonic", lambda: next(ticks))
    assert seconds(lambda: None, 3) == 2


def test_an_unknown_scenario_is_an_error_that_names_the_known() -> None:
    command = [sys.executable, "-m", "benchmarks", "nonsense"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert result.returncode == 2
    assert "nonsense" in result.stderr
    assert all(scenario.__name__ in result.stderr for scenario in (*SCENARIOS, *ON_REQUEST))


def test_boots_stand_beside_the_stock_image_until_ssh() -> None:
    """By the median of each, and by both clocks: on a busy machine the processor time alone is worth comparing."""
    stock = [Boot(Reached(wall, 10 * wall), None, "") for wall in (40, 50, 90)]
    ours = [Boot(Reached(wall, 8 * wall), Reached(2 * wall, 9 * wall), "") for wall in (25, 35)]
    shown = {measure.name: (measure.value, measure.reference) for measure in figures(ours, stock)}
    assert shown == {
        "image, power-on until SSH answers, by the clock": (30, 50),
        "image, power-on until SSH answers, processor time": (240, 500),
        "image, power-on until kubelet is healthy, by the clock": (60, 50),
        "image, power-on until kubelet is healthy, processor time": (270, 500),
    }


def test_processor_time_is_that_of_a_process_whatever_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.booting.os.sysconf", lambda _: 100)
    assert processor_seconds("7 (qemu (1) x) S 1 7 7 0 -1 0 11 12 13 14 250 50 99 98 20 0 4 0 5") == 3.0
