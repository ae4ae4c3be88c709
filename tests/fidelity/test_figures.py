"""What the comparison makes of what it found; the comparison itself is `make fidelity`."""

from __future__ import annotations

from collections import Counter

from tests.fidelity import schema, terraform
from tests.fidelity.figures import Reason, Result, in_words, line, outdated, reasons, share, table, unexplained
from tests.fidelity.report import document

KNOWN = [
    Reason("terraform", ".*_Upgrade", "registry", "begins with an earlier release"),
    Reason("terraform", "TestAccZone", "gap", "is not as it should be"),
]


def results(**outcomes: str) -> list[Result]:
    return [Result("terraform", "server", name, outcome, "it says why") for name, outcome in outcomes.items()]


def test_what_nobody_explains_counts_against_us() -> None:
    found = results(TestAccServer="passed", TestAccRDNS_Upgrade="failed", TestAccZone="failed", TestAccOther="skipped")
    assert share(found, KNOWN) == (1, 3, Counter(registry=1))
    assert in_words(found, KNOWN) == "1 of 3 pass (33 %); 1 more need a registry of providers"
    assert [item.name for item in unexplained(found, KNOWN)] == ["TestAccOther"]
    assert line("server", table(found)["server"]) == "server: 1 of 4 passed, 2 failed, 1 skipped"


def test_a_reason_of_another_part_explains_nothing() -> None:
    assert unexplained([Result("hcloud", "zone", "TestAccZone", "failed")], KNOWN)


def test_a_reason_is_outdated_when_all_that_it_is_about_passes() -> None:
    assert outdated(results(TestAccZone="passed", A_Upgrade="passed", B_Upgrade="failed"), KNOWN) == [KNOWN[1]]


def test_the_known_reasons_can_be_read() -> None:
    assert {reason.part for reason in reasons()} <= {"terraform", "hcloud", "schemathesis"}


def test_results_of_go_are_tests_and_not_their_parts() -> None:
    output = """not json
{"Action":"run","Test":"TestAccA"}
{"Action":"output","Test":"TestAccA","Output":"=== RUN\\n"}
{"Action":"output","Test":"TestAccA","Output":"  it broke\\n"}
{"Action":"fail","Test":"TestAccA/part"}
{"Action":"fail","Test":"TestAccA"}
{"Action":"pass","Test":"TestAccB"}
{"Action":"run","Test":"TestAccC"}
{"Action":"fail"}
"""
    found = {item.name: (item.outcome, item.message) for item in terraform.results_of("server", output)}
    assert found == {
        "TestAccA": ("failed", "it broke"),
        "TestAccB": ("passed", ""),
        "TestAccC": ("failed", "it did not end"),
    }


def test_results_of_schemathesis_are_operations() -> None:
    report = {
        "failures": [{"code": "ST1", "title": "Server error", "operations": ["GET /a", "TRACE /a"]}],
        "errors": [],
    }
    found = [
        (item.group, item.name, item.outcome, item.message) for item in schema.results_of(report, ["GET /a", "GET /b"])
    ]
    assert found == [
        ("a", "GET /a", "failed", "ST1 Server error"),
        ("b", "GET /b", "passed", ""),
        ("a", "TRACE /a", "failed", "ST1 Server error"),
    ]


def test_the_page_tells_figures_and_reasons() -> None:
    page = document(results(TestAccServer="passed", A_Upgrade="failed"), KNOWN, {"terraform": "By OpenTofu."})
    assert "By OpenTofu. 1 of 1 pass (100 %); 1 more need a registry of providers." in page
    assert "| server | 2 | 1 | 1 | 0 |" in page
    assert "- begins with an earlier release: `A_Upgrade`" in page
