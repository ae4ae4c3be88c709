"""What is taken up instead of being made again, and in which form."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from images.adoption import Adoption, adoptions
from images.labels import CAPH_IMAGE_NAME
from images.plan import Build, Plan, make_plan
from images.recorded import Facts, Recorded
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


def state(*names: str, **known: Any) -> Recorded:
    return Recorded(frozenset(names), frozenset(), **known)


def found(plan: Plan, *existing: Snapshot) -> dict[str, int]:
    return {key: item.snapshot.id for key, item in adoptions(plan, existing, state()).items()}


def test_where_nothing_is_everything_is_built(plan: Plan) -> None:
    assert adoptions(plan, [], state()) == {}


def test_a_published_snapshot_of_the_same_content_is_taken_as_it_is(plan: Plan, build: Build) -> None:
    there = snapshot(1, build)
    assert adoptions(plan, [there], state()) == {build.key: Adoption(there, built_here=False, verify=False)}


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
    assert adoptions(plan, [snapshot(1, build, published=False)], state())[build.key].verify


def test_what_was_verified_on_adoption_stays_declared_with_its_verification(plan: Plan, build: Build) -> None:
    recorded = state(f"{build.key}-verifier-bundle")
    assert adoptions(plan, [snapshot(1, build)], recorded)[build.key].verify


def test_reverify_asks_for_the_tests_of_adopted_images_too(plan: Plan, build: Build) -> None:
    assert adoptions(replace(plan, reverify="2"), [snapshot(1, build)], state())[build.key].verify


def test_a_build_that_the_state_has_in_full_stays_declared_in_full(plan: Plan, build: Build) -> None:
    there = [snapshot(1, build)]
    powered_off, bundle = f"{build.key}-powered-off", f"{build.key}-builder-bundle"
    assert adoptions(plan, there, state(powered_off, bundle))[build.key].built_here
    assert not adoptions(plan, there, state(bundle))[build.key].built_here


def test_a_state_that_was_made_when_each_step_was_a_resource_is_taken_up_in_the_short_form(
    plan: Plan, build: Build
) -> None:
    """It has the same records but for the bundle; what its tests told is kept."""
    facts = Facts(build.tests_digest, '{"passed": 1}', "{}")
    names = state(
        f"{build.key}-powered-off", f"{build.key}-verifier-server", f"{build.key}-published", facts={build.key: facts}
    )
    (taken,) = adoptions(plan, [snapshot(1, build)], names).values()
    assert (taken.built_here, taken.verify, taken.facts) == (False, False, facts)
    other = replace(facts, tests="other")
    assert adoptions(plan, [snapshot(1, build)], state(facts={build.key: other}))[build.key].verify


def test_only_the_tests_of_today_are_passed_tests(plan: Plan, build: Build) -> None:
    def verified(verifier: str, tests: str | None, *, published: bool = True) -> bool:
        facts = {build.key: Facts(tests, "{}", "{}")} if tests else {}
        known = state(verifiers={build.key: verifier}, facts=facts)
        return adoptions(plan, [snapshot(1, build, published=published)], known)[build.key].verified

    assert verified(build.verifier_digest, build.tests_digest)
    assert verified(build.verifier_digest, None), "a run was killed before the state had its publication"
    assert not verified("other", build.tests_digest)
    assert not verified(build.verifier_digest, "other")
    assert not verified(build.verifier_digest, build.tests_digest, published=False)


def test_a_name_that_somebody_gave_it_is_no_proof_of_its_tests(plan: Plan, build: Build) -> None:
    assert adoptions(plan, [snapshot(1, build, **{CAPH_IMAGE_NAME: "mine"})], state())[build.key].verify
