"""What the API would refuse is told before it is asked, by the rules of its own document."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from components.identity import new_identity, user_data
from images.accepted import (
    LABEL_VALUE,
    MOST_NETWORKS,
    refused_images,
    refused_places,
    refused_values,
)
from images.capacity import Offer
from images.plan import Build, Plan, make_plan
from images.stackfile import SERVER_TYPES, parse_stack_file
from recipe.catalog import Catalog
from recipe.forms import USER_DATA_LIMIT
from recipe.lock import Lock
from recipe.problems import Problem
from tests.sandbox.openapi import document

LABEL = "stacks/Pulumi.test.yaml"
OFFERS = [
    Offer("cx23", "nbg1", True, disk=40, architecture="x86"),
    Offer("cax11", "nbg1", True, disk=40, architecture="arm"),
]


def planned(catalog: Catalog, lock: Lock, stack: str = "test", os: str = "debian-13", **more: Any) -> Plan:
    image = {"os": os, "kubernetes": "1.36.4", "architectures": ["amd64", "arm64"]}
    config = {"node-images:images": [image], **{f"node-images:{key}": value for key, value in more.items()}}
    settings = parse_stack_file(yaml.safe_dump({"config": config}), catalog, LABEL)
    return make_plan(stack, settings, catalog, lock, LABEL)


def builds_of(plan: Plan) -> list[Build]:
    return [build for image in plan.images for build in image.builds]


def with_os(catalog: Catalog, name: str, **changes: str) -> Catalog:
    system = catalog.operating_systems["debian-13"].model_copy(update=changes)
    return catalog.model_copy(update={"operating_systems": {**catalog.operating_systems, name: system}})


def told(problems: list[Problem]) -> list[tuple[str, str, str]]:
    return [(problem.file, problem.key, problem.value) for problem in problems]


def document_schema(name: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = document()["components"]["schemas"][name]
    return found


def test_the_rules_are_those_of_the_api_document() -> None:
    assert document_schema("labels")["additionalProperties"]["pattern"] == LABEL_VALUE.pattern
    sources = document_schema("rule")["properties"]["source_ips"]["description"]
    assert f"You can specify {MOST_NETWORKS} CIDR" in " ".join(sources.split())
    assert "limited to 32KiB" in document_schema("create_server_request")["properties"]["user_data"]["description"]


def test_what_this_program_makes_itself_is_taken(catalog: Catalog, lock: Lock) -> None:
    identity = new_identity()
    assert refused_values(planned(catalog, lock), LABEL) == []
    assert len(user_data(identity["host_private_key"], identity["host_public_key"]).encode()) < USER_DATA_LIMIT / 8


@pytest.mark.parametrize("stack", ["s" * 70, "prod_", "-prod"])
def test_a_stack_whose_name_is_no_label_is_told(catalog: Catalog, lock: Lock, stack: str) -> None:
    (problem,) = refused_values(planned(catalog, lock, stack), LABEL)
    assert told([problem]) == [(LABEL, "the name of the stack", stack)]
    assert "at most 63" in problem.rule
    assert "stack rename" in problem.remedy


def test_a_stack_whose_name_is_no_host_name_is_told(catalog: Catalog, lock: Lock) -> None:
    found = refused_values(planned(catalog, lock, "pr\u00f6d"), LABEL)
    assert any("a server's name" in problem.rule for problem in found)


def test_a_name_of_63_letters_is_taken(catalog: Catalog, lock: Lock) -> None:
    assert refused_values(planned(catalog, lock, "s" * 63), LABEL) == []


def test_an_operating_system_with_a_long_name_is_told_with_what_fits(catalog: Catalog, lock: Lock) -> None:
    os = "debian-with-all-that-our-department-needs-1"
    own = with_os(catalog, os)
    (problem,) = refused_values(planned(own, lock, os=os), LABEL)
    assert problem.key == f"operatingSystems.{os}"
    assert problem.value.startswith(f"{os}-kube-1.36.4-")
    assert "at most 42 of these" in problem.remedy


def test_all_wrong_values_are_told_at_once(catalog: Catalog, lock: Lock) -> None:
    own = with_os(catalog, "our os", distribution="de+bian")
    networks = [f"10.0.{number}.0/24" for number in range(101)]
    found = refused_values(planned(own, lock, "s" * 70, "our os", sshFrom=networks), LABEL)
    assert {(key, value) for _, key, value in told(found)} >= {
        ("operatingSystems.our os", "our os"),
        ("operatingSystems.our os", "de+bian"),
        ("the name of the stack", "s" * 70),
        ("node-images:sshFrom", "101 networks"),
    }


def test_types_and_locations_that_there_are_not_are_told_at_once(catalog: Catalog, lock: Lock) -> None:
    types = {"amd64": ["cx999", "cax11", "cx23"], "arm64": ["cax11"]}
    plan = planned(catalog, lock, serverTypes=types, locations=["mars1", "nbg1"])
    found = refused_places(builds_of(plan), OFFERS, LABEL)
    assert told(found) == [
        (LABEL, "node-images:locations", "mars1"),
        (LABEL, "node-images:serverTypes.amd64", "cx999"),
        (LABEL, "node-images:serverTypes.amd64", "cax11"),
    ]
    assert [problem.remedy for problem in found] == ["use one of: nbg1", "use one of: cx23", "use one of: cx23"]
    assert "other architecture (arm)" in found[2].rule


def test_a_default_that_is_gone_stops_nobody(catalog: Catalog, lock: Lock) -> None:
    plan = planned(catalog, lock)
    assert set(SERVER_TYPES["amd64"]) > {"cx23"}
    assert refused_places(builds_of(plan), OFFERS, LABEL) == []
    assert refused_places(builds_of(plan), [], LABEL) == [], "nothing is known"


def test_types_that_no_declared_location_offers_are_told(catalog: Catalog, lock: Lock) -> None:
    plan = planned(catalog, lock, locations=["fsn1"])
    found = refused_places(builds_of(plan), OFFERS, LABEL)
    assert {problem.key for problem in found} == {"node-images:serverTypes.amd64", "node-images:serverTypes.arm64"}
    assert all("none of them is offered in fsn1" in problem.rule for problem in found)


def test_a_system_image_that_there_is_not_is_told(catalog: Catalog, lock: Lock) -> None:
    builds = [replace(build, base_image="debian-131") for build in builds_of(planned(catalog, lock))]
    there = frozenset({("debian-13", "x86"), ("debian-131", "arm")})
    (problem,) = refused_images(builds, there)
    assert told([problem]) == [("recipe/catalog.yaml", "operatingSystems.debian-13.image", "debian-131")]
    assert problem.remedy.startswith("did you mean debian-13?")
    assert refused_images(builds, frozenset()) == [], "nothing is known"
