"""What is taken up instead of being made again, and in which form."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import yaml

from images.adoption import Adoption, adoptions
from images.labels import CAPH_IMAGE_NAME
from images.plan import Build, Plan, make_plan
from images.snapshot import Snapshot
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from recipe.lock import Lock


@pytest.fixture
def plan(catalog: Catalog, lock: Lock) -> Plan:
    config = {"node-images:images": [{"os": "debian-13", "kubernetes": "1.36.4", "architectures": ["amd64", "arm64"]}]}
    return make_plan(
        "test", parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test"), catalog, lock, "test"
    )


@pytest.fixture
def build(plan: Plan) -> Build:
    return plan.images[0].builds[0]


def snapshot(number: int, build: Build, *, published: bool = True, **labels: str) -> Snapshot:
    name = {CAPH_IMAGE_NAME: build.image} if published else {}
    created = datetime(2026, 1, number, tzinfo=UTC)
    return Snapshot(number, {**build.labels, **name, **labels}, created, available=True)


def found(plan: Plan, *existing: Snapshot, recorded: tuple[str, ...] = ()) -> dict[str, int]:
    return {key: item.snapshot.id for key, item in adoptions(plan, existing, recorded).items()}


def test_where_nothing_is_everything_is_built(plan: Plan) -> None:
    assert adoptions(plan, [], []) == {}


def test_a_published_snapshot_of_the_same_content_is_taken_as_it_is(plan: Plan, build: Build) -> None:
    there = snapshot(1, build)
    assert adoptions(plan, [there], []) == {build.key: Adoption(there, built_here=False, verify=False)}


@pytest.mark.parametrize(
    "labels", [{"digest": "e" * 32}, {"stack": "another"}, {"managed-by": "me"}, {"architecture": "riscv"}]
)
def test_other_content_and_what_others_made_is_not_taken(plan: Plan, build: Build, labels: dict[str, str]) -> None:
    assert found(plan, snapshot(1, build, **labels)) == {}


def test_a_half_made_snapshot_is_not_taken(plan: Plan, build: Build) -> None:
    assert found(plan, replace(snapshot(1, build), available=False)) == {}


def test_of_twins_the_published_one_is_taken_and_else_the_newest(plan: Plan, build: Build) -> None:
    assert found(plan, snapshot(1, build), snapshot(2, build, published=False)) == {build.key: 1}
    assert found(plan, snapshot(1, build, published=False), snapshot(2, build, published=False)) == {build.key: 2}


def test_what_was_never_published_has_to_pass_its_tests(plan: Plan, build: Build) -> None:
    assert adoptions(plan, [snapshot(1, build, published=False)], [])[build.key].verify


def test_what_was_verified_on_adoption_stays_declared_with_its_verification(plan: Plan, build: Build) -> None:
    recorded = [f"{build.key}-verifier-server"]
    assert adoptions(plan, [snapshot(1, build)], recorded)[build.key].verify


def test_reverify_asks_for_the_tests_of_adopted_images_too(plan: Plan, build: Build) -> None:
    assert adoptions(replace(plan, reverify="2"), [snapshot(1, build)], [])[build.key].verify


def test_a_build_that_the_state_has_in_full_stays_declared_in_full(plan: Plan, build: Build) -> None:
    there = [snapshot(1, build)]
    assert adoptions(plan, there, [f"{build.key}-powered-off"])[build.key].built_here
    assert not adoptions(plan, there, [f"{build.key}-builder-server"])[build.key].built_here


def test_a_name_that_somebody_gave_it_is_no_proof_of_its_tests(plan: Plan, build: Build) -> None:
    assert adoptions(plan, [snapshot(1, build, **{CAPH_IMAGE_NAME: "mine"})], [])[build.key].verify
