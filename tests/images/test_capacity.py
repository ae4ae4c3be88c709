"""Where servers are tried, and what a preview says of it."""

from dataclasses import replace

import pytest
import yaml

from images.capacity import Offer, places, server_warnings, snapshot_warnings, stock_warnings
from images.plan import Build, make_plan
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from recipe.lock import Lock


def offer(place: str, *, available: bool = True, ends: str = "") -> Offer:
    server_type, _, location = place.partition("@")
    return Offer(server_type, location, available, ends)


@pytest.fixture
def builds(catalog: Catalog, lock: Lock) -> list[Build]:
    config = {"node-images:images": [{"os": "debian-13", "kubernetes": "1.36.4", "architectures": ["amd64", "arm64"]}]}
    settings = parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test")
    made = make_plan("test", settings, catalog, lock, "test").images[0].builds
    return [replace(build, server_types=(f"{build.architecture}-small",), locations=("nbg1", "fsn1")) for build in made]


def test_the_order_of_preference_holds_among_those_in_stock() -> None:
    offers = [offer("a@nbg1", available=False), offer("a@fsn1"), offer("b@nbg1"), offer("c@nbg1")]
    assert places(["a", "b"], ["nbg1", "fsn1"], offers) == [
        ("a", "fsn1"),
        ("b", "nbg1"),
        ("a", "nbg1"),
        ("b", "fsn1"),
    ]


def test_what_is_unknown_is_tried_as_declared() -> None:
    assert places(["a"], ["nbg1", "fsn1"], []) == [("a", "nbg1"), ("a", "fsn1")]


def test_an_architecture_out_of_stock_is_told_before_anything_is_made(builds: list[Build]) -> None:
    offers = [
        offer("amd64-small@nbg1"),
        offer("arm64-small@fsn1", available=False),
        offer("arm64-small@hel1"),
    ]
    (line,) = stock_warnings(builds, offers)
    assert line.startswith("no server for arm64 is in stock now: none of arm64-small in nbg1, fsn1")
    assert "node-images:serverTypes" in line


def test_a_default_type_and_location_that_are_gone_are_told(builds: list[Build]) -> None:
    offers = [offer("amd64-small@fsn1"), offer("cax31@fsn1")]
    gone = [replace(build, server_types=(*build.server_types, "cax11")) for build in builds]
    types, locations, empty = stock_warnings(gone, offers)
    assert types.startswith("Hetzner Cloud has no server type cax11 any more, which is one of the defaults: did you")
    assert locations.startswith("Hetzner Cloud has no location nbg1 any more, which is one of the defaults: use one of")
    assert empty.startswith("no server for arm64")


def test_a_type_that_ends_is_told(builds: list[Build]) -> None:
    offers = [
        offer("amd64-small@fsn1", ends="2026-12-31"),
        offer("arm64-small@nbg1"),
        offer("x@nbg1", ends="2026-01-01"),
    ]
    (line,) = stock_warnings(builds, offers)
    assert line.startswith("server type amd64-small is deprecated and goes on 2026-12-31")


def test_where_nothing_is_to_be_built_nothing_is_told() -> None:
    assert stock_warnings([], []) == []


@pytest.mark.parametrize(("existing", "to_build", "told"), [(28, 2, False), (29, 2, True), (40, 0, False)])
def test_snapshots_beyond_the_usual_quota_are_told_before_anything_is_made(
    existing: int, to_build: int, told: bool
) -> None:
    lines = snapshot_warnings(existing, to_build)
    assert bool(lines) == told
    assert all(f"{existing} snapshots and this run makes {to_build} more" in line for line in lines)


@pytest.mark.parametrize(
    ("to_build", "max_parallel", "test_servers", "at_once"),
    [(9, 5, 1, 0), (9, 6, 1, 6), (9, 2, 2, 0), (9, 3, 2, 6), (2, 3, 2, 0), (0, 20, 2, 0)],
)
def test_servers_beyond_the_usual_quota_are_told_before_anything_is_made(
    to_build: int, max_parallel: int, test_servers: int, at_once: int
) -> None:
    lines = server_warnings(to_build, max_parallel, test_servers)
    assert bool(lines) == bool(at_once)
    for line in lines:
        assert f"this run has {at_once} servers at once: node-images:maxParallel is {max_parallel}" in line
        assert ("verification: join" in line) == (test_servers == 2)
