"""A review judges: why an image stays, what is short, what to be warned of, and which packages change."""

import base64
import gzip
import json
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
import yaml

from cli.reasons import lines
from images.bills import compare, packages_of
from images.costs import Prices
from images.review import Circumstances, Project, Review, review
from images.snapshot import Snapshot
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from tests.images.previews import NEW, OLD, build, preview, record, retire, step
from tests.images.snapshots import stored, unpublished

PRICES = Prices("EUR", Decimal("0.01"), {("cx23", "nbg1"): Decimal("0.006")})


def bill(**versions: str) -> str:
    packages = [{"type": "library", "name": name, "version": version} for name, version in versions.items()]
    return json.dumps({"components": [{"type": "application", "name": "kubelet", "version": "1"}, *packages]})


@pytest.fixture
def judge(catalog: Catalog) -> Any:
    def _judge(
        *steps: dict[str, Any],
        snapshots: tuple[Snapshot, ...] = (stored(OLD),),
        os: str = "debian-13",
        today: str = "2026-11-25",
        project: str = "",
        bills: dict[tuple[str, str], str] | None = None,
        verification: str = "auto",
        had: str = OLD,
        **limits: int,
    ) -> Review:
        images = [{"os": os, "kubernetes": "1.36.4"}]
        config = {"node-images:images": images, "node-images:verification": verification}
        settings = parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test")
        known = project or Project(snapshots, snapshot_count=28, server_count=4, prices=PRICES)
        around = Circumstances(settings, catalog, known, bills or {}, date.fromisoformat(today), **limits)
        return review(preview(*steps, records=[record(had)]), around)

    return _judge


def test_nothing_to_say(judge: Any) -> None:
    found = judge()
    assert found.is_empty
    assert found.unchanged == (OLD,)
    assert found.warnings == ()


def test_an_image_that_stays_for_servers_names_them(judge: Any) -> None:
    used = stored(OLD, servers=("b", "a", "d", "c"))
    (kept,) = judge(*retire(OLD), snapshots=(used,)).changes
    assert lines(kept) == (
        "debian-13/1.36.4 is no longer declared; 4 servers were created from it: a, b, c and 1 more",
    )


def test_an_image_that_stays_because_it_is_protected_says_so(judge: Any) -> None:
    protected = stored(OLD, protected=True)
    (kept,) = judge(*retire(OLD), snapshots=(protected,)).changes
    assert lines(kept) == ("debian-13/1.36.4 is no longer declared; it is protected",)


def test_a_deleted_image_in_use_is_a_warning(judge: Any) -> None:
    found = judge(*build(OLD, "delete"), snapshots=(stored(OLD, servers=("node-1",)),))
    assert f"{OLD} is deleted, but node-1 was created from it" in found.warnings


def test_a_version_that_goes_is_a_warning_for_whoever_names_it(judge: Any) -> None:
    warnings = judge(*build(OLD, "delete")).warnings
    assert warnings == ("templates that name an image of debian-13/1.36.4 get no more machines after this",)


def test_an_unpublished_snapshot_is_a_warning_unless_it_goes(judge: Any) -> None:
    lost = unpublished(NEW)
    assert any("unpublished" in text and NEW in text for text in judge(snapshots=(lost,)).warnings)
    assert judge(step("snapshot", "delete", f"{NEW}-amd64"), snapshots=(lost,)).warnings == ()


@pytest.mark.parametrize(
    ("today", "said"),
    [("2027-02-23", ""), ("2027-03-01", "ends on 2027-04-30, in 60 days"), ("2027-05-01", "1 day ago")],
)
def test_the_end_of_what_is_declared_is_told_60_days_before(judge: Any, today: str, said: str) -> None:
    warnings = [text for text in judge(os="ubuntu-22.04", today=today).warnings if text.startswith("Ubuntu 22.04: ")]
    assert len(warnings) == bool(said)
    assert all(said in text for text in warnings)


def test_a_version_that_first_wants_something_of_the_cluster_says_so(judge: Any) -> None:
    first = judge(*build("debian-13-kube-1.37.1-66666666"), had="debian-13-kube-1.36.0-0000aaaa").warnings
    assert [text for text in first if "system:kubelet-api-admin" in text and "1.13.2" in text] == [*first]
    assert judge(*build("debian-13-kube-1.37.1-66666666")).warnings == ()


def test_places_are_counted_now_while_it_builds_and_after(judge: Any) -> None:
    slots = judge(*build(NEW), *build("debian-13-kube-1.35.8-55555555", "delete")).slots
    assert (slots.snapshots, slots.snapshots_while_building, slots.snapshots_after) == (28, 29, 28)
    assert (slots.servers, slots.servers_while_building) == (4, 5)


def test_too_few_places_are_a_warning(judge: Any) -> None:
    assert judge(*build(NEW), snapshot_limit=29, server_limit=5).warnings == ()
    snapshots, servers = judge(*build(NEW), snapshot_limit=28, server_limit=4).warnings
    assert snapshots.startswith("29 snapshots while it builds, but the limit is 28")
    assert servers.startswith("5 servers while it builds, but the limit is 4")


def test_no_more_servers_at_once_than_lanes(judge: Any) -> None:
    names = [f"debian-13-kube-1.36.{patch}-66666666" for patch in range(5)]
    steps = [part for name in names for part in build(name)]
    assert judge(*steps).slots.servers_while_building == 4 + 2


def test_an_image_whose_test_needs_two_servers_counts_twice(judge: Any) -> None:
    assert judge(*build(NEW), verification="join").slots.servers_while_building == 4 + 2
    assert judge(*build(NEW), verification="join").costs.build == 3 * Decimal("0.006")


def test_without_the_api_the_rest_is_told(judge: Any) -> None:
    found = judge(*build(NEW), *retire(OLD), project="it does not answer")
    assert found.costs is None
    assert found.slots is None
    assert [change.kind for change in found.changes] == ["rebuilt", "kept"]
    assert found.warnings == ("costs and quotas are not known: it does not answer",)


def test_packages_are_compared_where_both_bills_are_known(judge: Any) -> None:
    old = step(
        "sbom", "delete", f"{OLD}-amd64-sbom", oldState={"outputs": {"text": bill(bash="1", gone="1", same="1")}}
    )
    bills = {(NEW, "amd64"): bill(bash="2", tree="1", same="1")}
    (found,) = judge(*build(NEW), *retire(OLD), old, bills=bills).packages
    assert found.summary == "1 changed, 1 added, 1 removed"
    assert [item.name for item in (*found.changed, *found.added, *found.removed)] == ["bash", "tree", "gone"]
    assert judge(*build(NEW), *retire(OLD), old).packages == ()


def test_equal_packages_are_told_as_such() -> None:
    same = compare(NEW, "amd64", OLD, (bill(bash="1"), bill(bash="1")))
    assert same
    assert same.summary == "none changed"


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"components": [1]}', "no JSON"])
def test_what_is_no_bill_has_no_packages(text: str) -> None:
    assert packages_of(text) == {}


def test_a_package_of_two_versions_has_both() -> None:
    double = json.dumps({"components": [{"type": "library", "name": "linux", "version": version} for version in "12"]})
    assert packages_of(double) == {"linux": "1, 2"}


def test_the_packages_of_an_image_are_those_that_its_tests_told() -> None:
    """Where the bill of materials lies on another machine, the state has them."""
    manifest = {"os": "debian-13", "kubernetes": "1.36.4", "architecture": "amd64", "recipe": "0", "asOf": None}
    packages = "os\tdebian\t13\ndeb\tbash\t1\tamd64\tbash\t1\ndeb\tjq\t2\tamd64\tjq\t2\n"
    text = f"{json.dumps({**manifest, 'components': {}})}\n---\n{packages}"
    told = '{"passed": 1}\n' + base64.b64encode(gzip.compress(text.encode())).decode()
    tests = step("tests", "delete", f"{OLD}-amd64/acceptance-tests", oldState={"outputs": {"stdout": told}})
    (bill,) = preview(tests).bills.values()
    assert packages_of(bill) == {"bash": "1", "jq": "2"}
    odd = step("tests", "delete", f"{OLD}-amd64/acceptance-tests", oldState={"outputs": {"stdout": '{"passed": 1}'}})
    assert packages_of(preview(odd).bills[OLD, "amd64"]) == {}


def test_modules_of_programs_are_no_packages() -> None:
    module = {"type": "library", "name": "golang.org/x/net", "version": "v1", "purl": "pkg:golang/golang.org/x/net@v1"}
    package = {"type": "library", "name": "bash", "version": "5", "purl": "pkg:deb/debian/bash@5"}
    assert packages_of(json.dumps({"components": [module, package]})) == {"bash": "5"}


def test_the_bill_of_an_earlier_version_of_this_program_is_understood() -> None:
    """It had an epoch before every version of Rocky Linux, also where there is none."""
    same = compare(NEW, "amd64", OLD, (bill(bash="0:5.1.8-9.el9"), bill(bash="5.1.8-9.el9")))
    assert same
    assert same.summary == "none changed"
