"""What images cost: from the prices that the API gives, never from a table."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from images.changes import Change
from images.names import image_key, os_and_kubernetes
from images.snapshot import Snapshot

BUILD_SERVERS = 1
"""A build has one beside those that test it; each is billed for the hour that it begins."""


class PricesError(ValueError):
    """The API's prices lack what a node image is billed by."""


@dataclass(frozen=True)
class Prices:
    """Without VAT: a GB of a snapshot for a month, and an hour of a server with its address by server type and location."""

    currency: str
    snapshot_gb_month: Decimal
    server_hour: Mapping[tuple[str, str], Decimal]


@dataclass(frozen=True)
class Servers:
    """The servers of builds: types by architecture and locations, in the order in which they are tried. So many are `testing`."""

    types: Mapping[str, Sequence[str]]
    locations: Sequence[str]
    testing: int = 1


@dataclass(frozen=True)
class Costs:
    """What the stack's snapshots cost a month now and after the `up`, and what building them costs once.

    `estimated` images have no snapshot yet: each counts as large as the one it follows, or as the largest there is.
    Images of `unknown` size or price count for nothing.
    """

    currency: str
    monthly: Decimal
    monthly_after: Decimal
    build: Decimal
    estimated: int
    unknown: int

    @property
    def delta(self) -> Decimal:
        return self.monthly_after - self.monthly


def read_prices(document: Mapping[str, Any]) -> Prices:
    """Read the API's answer to `GET /pricing`. Raises PricesError."""
    try:
        pricing = document["pricing"]
        addresses = {
            item["location"]: Decimal(item["price_hourly"]["net"])
            for kind in pricing["primary_ips"]
            if kind["type"] == "ipv4"
            for item in kind["prices"]
        }
        return Prices(
            currency=pricing["currency"],
            snapshot_gb_month=Decimal(pricing["image"]["price_per_gb_month"]["net"]),
            server_hour={
                (kind["name"], item["location"]): Decimal(item["price_hourly"]["net"])
                + addresses.get(item["location"], Decimal(0))
                for kind in pricing["server_types"]
                for item in kind["prices"]
            },
        )
    except (KeyError, TypeError, ArithmeticError) as error:
        raise PricesError(
            f"the API's prices have another shape than expected ({type(error).__name__}: {error})"
        ) from error


def costs(
    found: Sequence[Change],
    existing: Sequence[Snapshot],
    prices: Prices,
    wanted: Servers,
) -> Costs:
    """The costs before and after the changes."""
    made = [(change, item) for change in found if change.kind in ("added", "rebuilt") for item in change.architectures]
    gone = {(change.name, item) for change in found if change.kind == "deleted" for item in change.architectures}
    sizes = [_size_of(change, architecture, existing) for change, architecture in made]
    now = sum((item.size_gb for item in existing), Decimal(0))
    deleted = sum((item.size_gb for item in existing if (item.image, item.architecture) in gone), Decimal(0))
    added = sum((size for size in sizes if size is not None), Decimal(0))
    servers = [
        (_server_hour(prices, wanted.types.get(architecture, ()), wanted.locations), number)
        for architecture, number in _servers(found, wanted.testing)
    ]
    build = sum((hour * number for hour, number in servers if hour), Decimal(0))
    return Costs(
        currency=prices.currency,
        monthly=now * prices.snapshot_gb_month,
        monthly_after=(now - deleted + added) * prices.snapshot_gb_month,
        build=build,
        estimated=sum(size is not None for size in sizes),
        unknown=sum(size is None for size in sizes) + sum(hour is None for hour, _ in servers),
    )


def _servers(found: Iterable[Change], testing: int) -> list[tuple[str, int]]:
    """For each build and each test of an image: its architecture, and how many servers it needs."""
    builds: dict[str, int] = dict.fromkeys(("added", "rebuilt", "built again"), BUILD_SERVERS + testing)
    number = builds | dict.fromkeys(("tested again", "published again"), testing)
    return [(item, number[change.kind]) for change in found if change.kind in number for item in change.architectures]


def _server_hour(prices: Prices, server_types: Sequence[str], locations: Sequence[str]) -> Decimal | None:
    """Of the first server type and location, in the order in which a build tries them, that have a price."""
    hours = [prices.server_hour.get((kind, location)) for kind in server_types for location in locations]
    return next((hour for hour in hours if hour is not None), None)


def _size_of(change: Change, architecture: str, existing: Sequence[Snapshot]) -> Decimal | None:
    alike = [item for item in existing if item.architecture == architecture and item.size_gb]
    followed = [item.size_gb for item in alike if item.image == change.before]
    same_os = [item.size_gb for item in alike if item.os == os_and_kubernetes(image_key(change.name))[0]]
    return max(followed or same_os or [item.size_gb for item in alike], default=None)
