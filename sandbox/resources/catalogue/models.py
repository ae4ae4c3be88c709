"""Locations and server types: data, in the spirit of Hetzner's current offer. Prices are examples, not quotes."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from sandbox.errors import not_found

VAT_PERCENT = 19
TRAFFIC_EU = 20 << 40
TRAFFIC_ELSEWHERE = 1 << 40


@dataclass(frozen=True)
class Location:
    """A place with servers. ``datacenter`` is what it was called before datacenters went out of the API."""

    id: int
    name: str
    city: str
    country: str
    zone: str
    latitude: float
    longitude: float
    datacenter: str
    description: str


@dataclass(frozen=True)
class Deprecation:
    """Announced, and from when on no new server can be made."""

    announced: datetime
    unavailable_after: datetime


@dataclass(frozen=True)
class ServerType:
    """Memory and disk in GB, price in EUR a month without VAT (in the first of its locations)."""

    id: int
    name: str
    cores: int
    memory: float
    disk: int
    monthly: float
    locations: tuple[str, ...]
    category: str = "Cost-Optimized"
    cpu_type: str = "shared"
    architecture: str = "x86"
    deprecation: Deprecation | None = None


LOCATIONS = (
    Location(1, "fsn1", "Falkenstein", "DE", "eu-central", 50.47612, 12.370071, "fsn1-dc14", "Falkenstein DC Park 1"),
    Location(2, "nbg1", "Nuremberg", "DE", "eu-central", 49.452102, 11.076665, "nbg1-dc3", "Nuremberg DC Park 1"),
    Location(3, "hel1", "Helsinki", "FI", "eu-central", 60.169855, 24.938379, "hel1-dc2", "Helsinki DC Park 1"),
    Location(4, "ash", "Ashburn, VA", "US", "us-east", 39.045821, -77.487073, "ash-dc1", "Ashburn, VA"),
    Location(5, "hil", "Hillsboro, OR", "US", "us-west", 45.54222, -122.951924, "hil-dc1", "Hillsboro, OR"),
    Location(6, "sin", "Singapore", "SG", "ap-southeast", 1.283333, 103.833333, "sin-dc1", "Singapore"),
)
EU = ("fsn1", "nbg1", "hel1")
US_AND_ASIA = ("ash", "hil", "sin")
CX_OLD = Deprecation(datetime(2025, 10, 15, 6, 0, tzinfo=UTC), datetime(2025, 12, 31, 23, 59, tzinfo=UTC))
CPX_OLD = Deprecation(datetime(2025, 10, 15, 6, 0, tzinfo=UTC), datetime(2025, 12, 31, 23, 59, tzinfo=UTC))

SERVER_TYPES = (
    ServerType(22, "cpx11", 2, 2, 40, 4.49, (*EU, *US_AND_ASIA), "Regular Performance", deprecation=CPX_OLD),
    ServerType(23, "cpx21", 3, 4, 80, 7.49, (*EU, *US_AND_ASIA), "Regular Performance", deprecation=CPX_OLD),
    ServerType(45, "cax11", 2, 4, 40, 3.79, EU, architecture="arm"),
    ServerType(93, "cax21", 4, 8, 80, 6.49, EU, architecture="arm"),
    ServerType(94, "cax31", 8, 16, 160, 12.49, EU, architecture="arm"),
    ServerType(95, "cax41", 16, 32, 320, 24.49, EU, architecture="arm"),
    ServerType(96, "ccx13", 2, 8, 80, 12.49, (*EU, *US_AND_ASIA), "General Purpose", "dedicated"),
    ServerType(97, "ccx23", 4, 16, 160, 24.49, (*EU, *US_AND_ASIA), "General Purpose", "dedicated"),
    ServerType(104, "cx22", 2, 4, 40, 3.79, EU, deprecation=CX_OLD),
    ServerType(105, "cx32", 4, 8, 80, 6.80, EU, deprecation=CX_OLD),
    ServerType(108, "cpx12", 1, 2, 40, 3.99, (*EU, "sin"), "Regular Performance"),
    ServerType(109, "cpx22", 2, 4, 80, 5.99, (*EU, "sin"), "Regular Performance"),
    ServerType(110, "cpx32", 4, 8, 160, 10.49, (*EU, "sin"), "Regular Performance"),
    ServerType(111, "cpx42", 8, 16, 320, 19.99, (*EU, "sin"), "Regular Performance"),
    ServerType(112, "cpx52", 12, 24, 480, 28.49, (*EU, "sin"), "Regular Performance"),
    ServerType(113, "cpx62", 16, 32, 640, 38.99, (*EU, "sin"), "Regular Performance"),
    ServerType(114, "cx23", 2, 4, 40, 2.99, EU),
    ServerType(115, "cx33", 4, 8, 80, 4.99, EU),
    ServerType(116, "cx43", 8, 16, 160, 8.99, EU),
    ServerType(117, "cx53", 16, 32, 320, 16.99, EU),
)


def location(ref: str) -> Location:
    """By id or name; raises not_found."""
    for item in LOCATIONS:
        if ref in (item.name, str(item.id)):
            return item
    raise not_found("location", ref)


def location_of_datacenter(ref: str) -> Location:
    """Where a datacenter is, by its former id or name; raises not_found."""
    for item in LOCATIONS:
        if ref in (item.datacenter, str(item.id)):
            return item
    raise not_found("datacenter", ref)


def server_type(ref: str) -> ServerType:
    """By id or name; raises not_found."""
    for item in SERVER_TYPES:
        if ref in (item.name, str(item.id)):
            return item
    raise not_found("server_type", ref)


def price(net: float) -> dict[str, str]:
    """Decimal strings, as the API gives amounts."""
    return {"net": f"{net:.10f}", "gross": f"{net * (100 + VAT_PERCENT) / 100:.16f}"}


def hourly(monthly: float) -> float:
    """A month is billed as at most 624 hours."""
    return round(monthly / 624, 4)
