"""What is mended no longer, or not for long; and what a version first wants of its cluster."""

from datetime import date

import pytest

from recipe import load_catalog
from recipe.support import endings, new_needs, support_warnings

CATALOG = load_catalog()
BINDING = CATALOG.cluster_needs[0]


def told(os: str, kubernetes: str, containerd: str, today: str) -> list[str]:
    day = date.fromisoformat(today)
    return [item.told(day) for item in endings(CATALOG, os, kubernetes, containerd, day)]


def test_nothing_is_said_of_what_is_mended_for_long() -> None:
    assert told("debian-13", "1.36.4", "2.3.4", "2026-11-30") == []


@pytest.mark.parametrize(
    ("today", "said"),
    [
        ("2026-08-27", None),
        ("2026-08-28", "ends on 2026-10-27, in 60 days"),
        ("2026-10-26", "ends on 2026-10-27, in 1 day"),
        ("2026-10-27", "ends on 2026-10-27, in 0 days"),
        ("2026-10-28", "ended on 2026-10-27, 1 day ago"),
        ("2026-11-30", "ended on 2026-10-27, 34 days ago"),
    ],
)
def test_kubernetes_1_34_ends_on_its_day(today: str, said: str | None) -> None:
    line = f"Kubernetes 1.34: support {said} (https://kubernetes.io/releases/)"
    assert told("debian-13", "1.34.11", "2.3.4", today) == ([line] if said else [])


def test_a_line_of_containerd_and_a_system_end_too() -> None:
    containerd, system = told("ubuntu-22.04", "1.37.1", "2.2.7", "2027-04-30")
    assert containerd.startswith("containerd 2.2: support ended on 2026-11-06, 175 days ago")
    assert system.startswith("Ubuntu 22.04: support ends on 2027-04-30, in 0 days")


def test_what_is_not_in_the_catalogue_any_more_has_no_end() -> None:
    assert told("fedora-40", "1.20.1", "1.7.28", "2026-11-30") == []


def test_an_end_is_told_once_with_the_images_that_it_is_of() -> None:
    nodes = [(os, "1.34.11") for os in ("debian-12", "debian-13", "rocky-9", "rocky-10")] + [("debian-13", "1.36.4")]
    (line,) = support_warnings(CATALOG, nodes, date(2026, 11, 30))
    assert line.endswith(": debian-12/1.34.11, debian-13/1.34.11, rocky-9/1.34.11 and 1 more")


def test_every_entry_of_the_catalogue_has_a_containerd_that_is_mended() -> None:
    today = date(2026, 11, 30)
    lines = [
        item["containerd"] for item in map(CATALOG.components, ("1.34.11", "1.35.8", "1.36.4", "1.37.1", "1.38.0"))
    ]
    assert [told("debian-13", "1.36.4", version, today.isoformat()) for version in lines] == [[]] * 5


@pytest.mark.parametrize(
    ("version", "before", "new"),
    [
        ("1.36.1", ["1.36.0"], True),
        ("1.36.0", ["1.35.4"], False),
        ("1.35.5", ["1.35.4", "1.36.4"], True),
        ("1.35.8", ["1.35.5"], False),
        ("1.37.0", ["1.34.7"], True),
        ("1.37.0", ["1.34.8"], False),
        ("1.33.12", ["1.33.11"], True),
        ("1.32.20", ["1.31.1"], False),
        ("1.36.4", [], False),
    ],
)
def test_a_version_crosses_the_line_that_a_need_has_in_its_minor(version: str, before: list[str], new: bool) -> None:
    assert new_needs(CATALOG, [version], before) == ([(version, BINDING)] if new else [])
