"""Costs follow from the API's prices, the sizes of what is there, and the changes."""

from decimal import Decimal
from typing import Any

import pytest

from images.changes import Change
from images.costs import Costs, Prices, PricesError, Servers, costs, read_prices
from images.snapshot import Snapshot
from tests.images.previews import NEW, OLD
from tests.images.snapshots import stored

PRICES = Prices("EUR", Decimal("0.01"), {("cx23", "nbg1"): Decimal("0.006"), ("cax11", "fsn1"): Decimal("0.007")})
TYPES, PLACES = {"amd64": ["gone", "cx23"], "arm64": ["cax11"]}, ["nbg1", "fsn1"]
THERE = [stored(OLD, "amd64", "0.5"), stored(OLD, "arm64", "0.4")]


def change(kind: Any, name: str = NEW, *architectures: str, before: str = OLD) -> Change:
    return Change(kind, name, architectures or ("amd64",), (), before)


def cost(*changes: Change, existing: list[Snapshot] = THERE) -> Costs:
    return costs(changes, existing, PRICES, Servers(TYPES, PLACES))


def test_what_is_there_costs_by_its_size() -> None:
    assert cost().monthly == cost().monthly_after == Decimal("0.009")
    assert cost().delta == cost().build == 0


def test_a_rebuilt_image_counts_as_large_as_the_one_it_follows() -> None:
    found = cost(change("rebuilt", NEW, "amd64", "arm64"))
    assert found.delta == Decimal("0.009")
    assert found.estimated == 2
    assert found.build == 2 * Decimal("0.006") + 2 * Decimal("0.007")


def test_a_deleted_image_costs_no_more() -> None:
    found = cost(change("deleted", OLD))
    assert (found.delta, found.build) == (Decimal("-0.005"), 0)


def test_an_image_without_a_forerunner_counts_as_the_largest_of_its_system() -> None:
    other = stored("rocky-9-kube-1.36.4-99999999", "amd64", "2.0")
    added = change("added", "debian-13-kube-1.37.0-77777777", before="")
    assert cost(added, existing=[*THERE, other]).delta == Decimal("0.005")
    rocky = change("added", "rocky-9-kube-1.37.0-77777777", before="")
    assert cost(rocky, existing=[*THERE, other]).delta == Decimal("0.02")


def test_the_first_image_of_all_has_no_known_size() -> None:
    found = cost(change("added"), existing=[])
    assert (found.delta, found.unknown, found.estimated) == (0, 1, 0)


def test_a_server_type_without_a_price_is_not_counted_in_silence() -> None:
    assert costs([change("built again")], THERE, PRICES, Servers({"amd64": ["none"]}, PLACES)).unknown == 1


@pytest.mark.parametrize("kind", ["tested again", "published again"])
def test_a_test_needs_one_server(kind: str) -> None:
    assert cost(change(kind, OLD)).build == Decimal("0.006")
    assert cost(change("built again", OLD)).build == 2 * Decimal("0.006")


def test_a_second_server_that_joins_is_billed() -> None:
    joined = Servers(TYPES, PLACES, testing=2)
    assert costs([change("built again", OLD)], THERE, PRICES, joined).build == 3 * Decimal("0.006")
    assert costs([change("tested again", OLD)], THERE, PRICES, joined).build == 2 * Decimal("0.006")


def test_prices_are_without_vat_and_include_the_address() -> None:
    assert read_prices(answer()) == Prices("EUR", Decimal("0.011"), {("cx23", "nbg1"): Decimal("0.0056")})


@pytest.mark.parametrize("lacking", ["currency", "image", "primary_ips", "server_types"])
def test_prices_of_another_shape_are_told(lacking: str) -> None:
    document = answer()
    del document["pricing"][lacking]
    with pytest.raises(PricesError, match=lacking):
        read_prices(document)


def answer() -> dict[str, Any]:
    def net(amount: str) -> dict[str, str]:
        return {"net": amount, "gross": "9"}

    hour = [{"location": "nbg1", "price_hourly": net("0.0048")}]
    return {
        "pricing": {
            "currency": "EUR",
            "image": {"price_per_gb_month": net("0.011")},
            "primary_ips": [
                {"type": "ipv4", "prices": [{"location": "nbg1", "price_hourly": net("0.0008")}]},
                {"type": "ipv6", "prices": [{"location": "nbg1", "price_hourly": net("7")}]},
            ],
            "server_types": [{"name": "cx23", "prices": hour}],
        }
    }
