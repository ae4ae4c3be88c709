"""What stays: the last published generations of declared versions, and what a server was created from."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from images.plan import Plan, make_plan
from images.retention import earlier_to_keep, why_kept
from images.snapshot import Snapshot
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from recipe.lock import Lock


@pytest.fixture
def plan(catalog: Catalog, lock: Lock, request: pytest.FixtureRequest) -> Plan:
    keep = getattr(request, "param", 1)
    config = {"node-images:images": [{"os": "debian-13", "kubernetes": "1.36.4"}], "node-images:keepGenerations": keep}
    return make_plan(
        "test", parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test"), catalog, lock, "test"
    )


def snapshot(number: int, image: str | None = None, version: str = "1.36.4", **details: Any) -> Snapshot:
    labels = {"os": "debian-13", "kubernetes_version": version, "architecture": "amd64"}
    if image:
        labels["caph-image-name"] = image
    created = datetime(2026, 1, number, tzinfo=UTC)
    return Snapshot(id=number, labels=labels, created=created, **{"available": True, **details})


def kept(plan: Plan, *existing: Snapshot) -> list[int]:
    return [item.id for item in earlier_to_keep(plan, existing)]


def test_the_newest_earlier_generation_stays(plan: Plan) -> None:
    assert kept(plan, snapshot(1, "a"), snapshot(3, "c"), snapshot(2, "b")) == [3]


@pytest.mark.parametrize(("plan", "expected"), [(0, []), (1, [3]), (2, [3, 2]), (9, [3, 2, 1])], indirect=["plan"])
def test_keep_generations_beside_the_published_image(plan: Plan, expected: list[int]) -> None:
    declared = snapshot(4, plan.images[0].name)
    assert kept(plan, snapshot(1, "a"), declared, snapshot(3, "c"), snapshot(2, "b")) == expected


@pytest.mark.parametrize("plan", [0], indirect=True)
def test_a_version_is_never_left_without_any_image(plan: Plan) -> None:
    assert kept(plan, snapshot(1, "a"), snapshot(2, "b")) == [2]


def test_the_declared_image_is_no_earlier_one(plan: Plan) -> None:
    assert kept(plan, snapshot(1, plan.images[0].name)) == []


def test_all_architectures_of_a_generation_stay(plan: Plan) -> None:
    assert kept(plan, snapshot(1, "a"), snapshot(2, "b"), snapshot(3, "b")) == [3, 2]


def test_an_unpublished_snapshot_counts_for_nothing(plan: Plan) -> None:
    assert kept(plan, snapshot(1, "a"), snapshot(2)) == [1]


def test_an_unfinished_snapshot_counts_for_nothing(plan: Plan) -> None:
    assert kept(plan, snapshot(1, "a"), snapshot(2, "b", available=False)) == [1]


def test_a_version_no_longer_declared_goes(plan: Plan) -> None:
    assert kept(plan, snapshot(1, "a", version="1.35.1")) == []


def test_a_snapshot_in_use_stays_whatever_is_declared(plan: Plan) -> None:
    assert kept(
        plan, snapshot(1, "a", version="1.35.1", servers=("worker-1",)), snapshot(2, "b"), snapshot(3, "c")
    ) == [3, 1]


def test_a_snapshot_in_use_says_by_whom_and_until_when(plan: Plan) -> None:
    declared = snapshot(9, plan.images[0].name)
    used = snapshot(1, "a", version="1.35.1", servers=("worker-2", "worker-1"))
    (line,) = why_kept(plan, [declared, used, snapshot(2, "b")])
    assert line == (
        "snapshot 1 (a) stays, though nothing declares it any more: servers run from it (worker-1, worker-2). "
        "It goes with the first `up` after they are gone"
    )


@pytest.mark.parametrize("plan", [0], indirect=True)
def test_a_protected_snapshot_stays_and_says_how_to_lift_it(plan: Plan) -> None:
    existing = [snapshot(9, plan.images[0].name), snapshot(1, "a", protected=True)]
    assert kept(plan, *existing) == [1]
    (line,) = why_kept(plan, existing)
    assert "hcloud image disable-protection 1 delete, then `up`" in line


def test_a_generation_that_stays_needs_no_words(plan: Plan) -> None:
    assert why_kept(plan, [snapshot(1, "a", servers=("worker-1",)), snapshot(9, plan.images[0].name)]) == []


@pytest.mark.parametrize("details", [{}, {"servers": ("worker-1",)}, {"protected": True}])
def test_declared_content_under_another_name_is_no_earlier_image(plan: Plan, details: dict[str, Any]) -> None:
    """Somebody changed its name by hand. Taken for an earlier image, it would be deleted once it has its name again."""
    item = snapshot(1, "mine", **details)
    renamed = replace(item, labels={**item.labels, "digest": plan.images[0].digest})
    assert kept(plan, renamed, snapshot(2, "b")) == [2]
    assert why_kept(plan, [renamed]) == []
