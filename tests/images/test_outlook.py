"""The program's own line about what a run will do."""

import pytest
import yaml

from images.outlook import outlook
from images.plan import Plan, make_plan
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from recipe.lock import Lock
from tests.images.test_retention import snapshot


@pytest.fixture
def plan(catalog: Catalog, lock: Lock) -> Plan:
    config = {"node-images:images": [{"os": "debian-13", "kubernetes": ["1.36.4", "1.36.3"]}]}
    settings = parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test")
    return make_plan("test", settings, catalog, lock, "test")


def test_a_first_run_builds_all(plan: Plan) -> None:
    builds = [build for image in plan.images for build in image.builds]
    names = ", ".join(image.name for image in plan.images)
    assert outlook(plan, builds, [], []) == f"images: 2 to build ({names}), 0 kept, nothing deleted"


def test_what_stays_and_what_goes_is_counted(plan: Plan) -> None:
    one, other = plan.images
    there = snapshot(5, one.name)
    earlier = [snapshot(4, "debian-13-kube-1.36.4-aaaaaaaa"), snapshot(3, "debian-13-kube-1.36.4-bbbbbbbb")]
    undeclared = snapshot(2, "debian-13-kube-1.35.8-cccccccc", "1.35.8")
    recorded = [f"{item.image}-amd64" for item in (there, *earlier, undeclared)]
    assert outlook(plan, other.builds, [there, *earlier, undeclared], recorded) == (
        f"images: 1 to build ({other.name}), 2 kept, 2 deleted ({earlier[1].image}, {undeclared.image})"
    )
    lost = outlook(plan, [], [there, undeclared], recorded[:1])
    assert lost.endswith("nothing deleted"), "what the state does not have is left alone"
