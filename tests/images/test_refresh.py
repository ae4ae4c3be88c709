"""A refresh moves dates and patch releases, forward only, and leaves every other character of a stack file alone."""

from datetime import date

import pytest

from images.refresh import Refreshed, refresh
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from recipe.lock import Lock

TODAY = date(2026, 11, 25)
FILE = """\
# The company's production.
config:
  node-images:images:
    - os: debian-13
      kubernetes:
        - "1.36.1"   # what clusters run
        - 1.35.8
    - {os: ubuntu-24.04, kubernetes: '1.34.2'}
  node-images:asOf: "2026-11-01"  # moved once a week

  hcloud:endpoint: https://1.36.1.example.com/v1
"""


@pytest.fixture
def locked(catalog: Catalog, lock: Lock) -> Lock:
    """A lock with few releases, so that these tests know them."""
    known = ("1.34.2", "1.34.3", "1.35.7", "1.35.8", "1.36.1", "1.36.4")
    programs = [catalog.url("kubelet", version, arch) for version in known for arch in catalog.architectures]
    return {url: digest for url, digest in lock.items() if "kubelet" not in url or url in programs}


@pytest.fixture
def moved(catalog: Catalog, locked: Lock) -> Refreshed:
    return refresh(FILE, TODAY, catalog, locked)


def test_only_the_values_that_move_change(moved: Refreshed) -> None:
    expected = FILE.replace('"1.36.1"', '"1.36.4"').replace("'1.34.2'", "'1.34.3'").replace("2026-11-01", "2026-11-25")
    assert moved.text == expected


def test_every_move_is_told(moved: Refreshed) -> None:
    assert list(map(str, moved.moves)) == [
        "debian-13 1.36.1 → 1.36.4",
        "ubuntu-24.04 1.34.2 → 1.34.3",
        "asOf 2026-11-01 → 2026-11-25",
    ]


def test_the_result_is_a_stack_file(moved: Refreshed, catalog: Catalog) -> None:
    assert parse_stack_file(moved.text, catalog, "test", today=TODAY).as_of == "20261125T000000Z"


def test_a_second_time_moves_nothing(moved: Refreshed, catalog: Catalog, locked: Lock) -> None:
    again = refresh(moved.text, TODAY, catalog, locked)
    assert (again.text, again.moves) == (moved.text, ())


def test_a_date_never_moves_back(catalog: Catalog, locked: Lock) -> None:
    assert "2026-11-01" in refresh(FILE, date(2026, 10, 1), catalog, locked).text


@pytest.mark.parametrize("written", ["2026-11-01", "'2026-11-01'", '"2026-11-01T12:00:00Z"', "2026-11-01T12:00:00Z"])
def test_a_date_keeps_its_quotes(catalog: Catalog, locked: Lock, written: str) -> None:
    text = refresh(FILE.replace('"2026-11-01"', written), TODAY, catalog, locked).text
    value = written.strip("'\"")
    assert f"asOf: {written.replace(value, '2026-11-25')}  #" in text


def test_a_file_without_a_date_gets_none(catalog: Catalog, locked: Lock) -> None:
    found = refresh(FILE.replace("  node-images:asOf", "  # node-images:asOf"), TODAY, catalog, locked)
    assert not found.has_date
    assert len(found.moves) == 2


def test_an_older_release_beside_the_newest_of_its_minor_stays(catalog: Catalog, locked: Lock) -> None:
    both = FILE.replace("- 1.35.8", "- 1.36.0")
    found = refresh(both, TODAY, catalog, locked)
    assert "- 1.36.0" in found.text
    assert str(found.moves[0]) == "debian-13 1.36.1 → 1.36.4"


def test_a_release_newer_than_the_lock_stays(catalog: Catalog, locked: Lock) -> None:
    assert "1.35.9" in refresh(FILE.replace("1.35.8", "1.35.9"), TODAY, catalog, locked).text


def test_what_two_images_share_moves_once(catalog: Catalog, locked: Lock) -> None:
    shared = FILE.replace("kubernetes:\n", "kubernetes: &versions\n").replace("'1.34.2'", "*versions")
    found = refresh(shared, TODAY, catalog, locked)
    assert found.text == shared.replace('"1.36.1"', '"1.36.4"').replace("2026-11-01", "2026-11-25")
