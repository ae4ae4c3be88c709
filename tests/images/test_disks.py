"""An image fits no server with a smaller disk than its build server had."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from images.capacity import Offer, places
from images.disks import DISKS, boots_on, exceeds, large_images, misfit, too_large
from images.exports import ImageRecord, earlier_records
from images.plan import Plan, make_plan
from images.snapshot import Snapshot
from images.stackfile import SERVER_TYPES, parse_stack_file
from recipe.catalog import Catalog
from recipe.lock import Lock
from sandbox.resources.catalogue.models import SERVER_TYPES as SOLD
from tests.exports import image

LARGE = Snapshot(7, {}, datetime(2026, 11, 1, tzinfo=UTC), available=True, disk_gb=80)


def offers(**stock: bool) -> list[Offer]:
    disks = DISKS["amd64"]
    return [Offer(name, "nbg1", available, disk=disks[name]) for name, available in stock.items()]


def planned(catalog: Catalog, lock: Lock, **more: Any) -> Plan:
    config: dict[str, Any] = {"node-images:images": [{"os": "debian-13", "kubernetes": "1.36.4"}]}
    config |= {f"node-images:{key}": value for key, value in more.items()}
    settings = parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test")
    return make_plan("test", settings, catalog, lock, "test")


def test_the_table_has_every_default_and_agrees_with_what_is_sold() -> None:
    assert all(name in DISKS[architecture] for architecture, names in SERVER_TYPES.items() for name in names)
    names = {"x86": "amd64", "arm": "arm64"}
    assert {kind.name: DISKS[names[kind.architecture]][kind.name] for kind in SOLD} == {
        kind.name: kind.disk for kind in SOLD
    }


def test_the_defaults_try_all_types_of_the_smallest_disk_first() -> None:
    for architecture, names in SERVER_TYPES.items():
        sizes = [DISKS[architecture][name] for name in names]
        assert sizes == sorted(sizes)
    assert SERVER_TYPES["amd64"][:2] == ("cx23", "cpx12")


def test_the_table_is_by_disk() -> None:
    assert all([*disks.values()] == sorted(disks.values()) for disks in DISKS.values())


def test_equal_disks_come_before_larger_ones_and_then_what_is_in_stock() -> None:
    there = offers(cx23=False, cpx22=True, cpx12=True, cpx32=True, cx33=False)
    order = [name for name, _ in places(["cx23", "cpx22", "cx33", "cpx32", "cpx12"], ["nbg1"], there)]
    assert order == ["cpx12", "cx23", "cpx22", "cx33", "cpx32"]


def test_a_smaller_disk_than_that_of_the_first_type_is_as_good() -> None:
    found = places(["cx33", "cx23"], ["nbg1"], offers(cx33=True, cx23=True))
    assert [name for name, _ in found] == ["cx33", "cx23"]


def test_a_limit_leaves_out_what_is_larger() -> None:
    there = offers(cx23=False, cpx22=True)
    assert places(["cx23", "cpx22"], ["nbg1"], there, max_disk=40) == [("cx23", "nbg1")]


def test_an_image_that_the_smallest_type_does_not_boot_is_told_with_its_remedy(catalog: Catalog, lock: Lock) -> None:
    plan = planned(catalog, lock, serverTypes={"amd64": ["cx23", "cx33"]})
    (build,) = plan.images[0].builds
    (line,) = large_images(plan, {build.key: LARGE}, {})
    assert f"{build.image} (amd64) has a disk of 80 GB, as its build server had, so no cx23 can be made" in line
    assert "node-images:maxDisk: 40" in line
    assert large_images(plan, {build.key: replace(LARGE, disk_gb=40)}, {}) == []
    assert too_large(build.key, 80, ["cx33"], {}) == ""
    assert too_large(build.key, 80, ["new1"], {}) == "", "nothing is known"
    assert "no new1 can" in too_large(build.key, 80, ["new1"], {"new1": 60})


@pytest.mark.parametrize(("limit", "built_again"), [({}, False), ({"maxDisk": 80}, False), ({"maxDisk": 40}, True)])
def test_an_image_over_the_limit_is_built_again(
    catalog: Catalog, lock: Lock, limit: dict[str, int], built_again: bool
) -> None:
    assert exceeds(planned(catalog, lock, **limit), LARGE) == built_again


def test_what_it_boots_on_is_told() -> None:
    text = boots_on(160, "amd64")
    assert text.startswith("160 GB disk: boots on cx43, cpx32, ccx23, cx42 and 12 more; not on cx23, cpx12")
    assert text.endswith("; not on cx23, cpx12, cx22, cpx11, cx33, cpx22, ccx13, cx32, cpx21")
    assert boots_on(40, "arm64") == "40 GB disk: boots on every server type"


@pytest.mark.parametrize(
    ("server_type", "said"),
    [
        ("cx23", "has a disk of 80 GB, and this type has 40 GB"),
        ("cax21", "is for amd64, and this type is arm64"),
        ("cx33", ""),
        ("new1", ""),
    ],
)
def test_a_type_that_no_server_of_the_image_can_have(server_type: str, said: str) -> None:
    record = ImageRecord.model_validate(image(disks={"amd64": 80}))
    found = misfit(server_type, record)
    assert (said in found[0]) if found else not said


def test_exports_of_before_tell_no_disk_and_refuse_nothing() -> None:
    assert misfit("cx23", ImageRecord.model_validate(image())) is None


def test_an_earlier_image_has_its_disk() -> None:
    labels = {"caph-image-name": "x", "os": "debian-13", "kubernetes_version": "1.36.4", "architecture": "amd64"}
    (record,) = earlier_records([replace(LARGE, labels=labels)])
    assert record["disks"] == {"amd64": 80}
