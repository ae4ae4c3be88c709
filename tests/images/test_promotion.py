"""A name that CAPH could not resolve is seen before anything is built."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from images.labels import CAPH_IMAGE_NAME
from images.plan import Build, Plan, make_plan
from images.promotion import ambiguous_names
from images.snapshot import Snapshot
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from recipe.lock import Lock


@pytest.fixture
def plan(catalog: Catalog, lock: Lock) -> Plan:
    config = {"node-images:images": [{"os": "debian-13", "kubernetes": "1.36.4"}]}
    return make_plan(
        "test", parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test"), catalog, lock, "test"
    )


@pytest.fixture
def build(plan: Plan) -> Build:
    return plan.images[0].builds[0]


def named(number: int, build: Build, hcloud_architecture: str = "x86", **labels: str) -> Snapshot:
    names = {**labels, CAPH_IMAGE_NAME: build.image}
    created = datetime(2026, 1, number, tzinfo=UTC)
    return Snapshot(number, names, created, available=True, hcloud_architecture=hcloud_architecture)


def problems(plan: Plan, *images: Snapshot) -> list[str]:
    return [str(problem) for problem in ambiguous_names(plan, images, "the file")]


def test_our_own_image_is_no_rival(plan: Plan, build: Build) -> None:
    assert problems(plan) == []
    assert problems(plan, named(1, build, **build.labels)) == []


def test_an_image_of_another_name_or_architecture_is_no_rival(plan: Plan, build: Build) -> None:
    other = replace(named(2, build), labels={CAPH_IMAGE_NAME: "another-name"})
    assert problems(plan, other, named(3, build, "arm")) == []


@pytest.mark.parametrize(
    ("labels", "maker"),
    [({}, "nobody of this project"), ({"managed-by": "node-images", "stack": "prod", "digest": "d"}, "stack prod")],
)
def test_a_rival_is_named_with_its_maker_and_the_remedy(
    plan: Plan, build: Build, labels: dict[str, str], maker: str
) -> None:
    (problem,) = problems(plan, named(1, build, **build.labels), named(7, build, **labels))
    for part in ("the file", build.image, "snapshot 7", maker, f"hcloud image remove-label 7 {CAPH_IMAGE_NAME}"):
        assert part in problem


def test_a_second_one_of_our_own_is_a_rival_too(plan: Plan, build: Build) -> None:
    (problem,) = problems(plan, named(4, build, **build.labels), named(2, build, **build.labels))
    assert "snapshot 4, made by stack test," in problem
