"""Locations and server types: data, as Hetzner sold them in late 2026. Prices are those of a day, not quotes."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    """Memory and disk in GB; prices in EUR a month without VAT and without an address: ``monthly`` in the first location.

    ``retired``: where ``deprecation`` holds; everywhere when no place is named.
    """

    id: int
    name: str
    cores: int
    memory: float
    disk: int
    monthly: float
    locations: tuple[str, ...]
    category: str = "cost_optimized"
    cpu_type: str = "shared"
    architecture: str = "x86"
    us: float | None = None
    sin: float | None = None
    deprecation: Deprecation | None = None
    retired: tuple[str, ...] = ()

    @property
    def description(self) -> str:
        """``CPX 22``."""
        family = self.name.rstrip("0123456789")
        return f"{family.upper()} {self.name.removeprefix(family)}"

    @property
    def withdrawn(self) -> Deprecation | None:
        """Where it is sold nowhere any more."""
        return None if self.retired else self.deprecation

    @property
    def first_location(self) -> str:
        """Where it is sold, if anywhere."""
        return next((name for name in self.locations if name not in self.retired), self.locations[0])

    def deprecation_in(self, location: str) -> Deprecation | None:
        """Of one location."""
        return self.deprecation if location in (self.retired or self.locations) else None

    def monthly_in(self, location: str) -> float:
        """What it costs there."""
        elsewhere = self.sin if location == "sin" else self.us if location in US else None
        return self.monthly if elsewhere is None else elsewhere

    def priced(self, monthly: float) -> ServerType:
        """At the same price everywhere."""
        return replace(self, monthly=monthly, us=None, sin=None)


LOCATIONS = (
    Location(1, "fsn1", "Falkenstein", "DE", "eu-central", 50.47612, 12.370071, "fsn1-dc14", "Falkenstein DC Park 1"),
    Location(2, "nbg1", "Nuremberg", "DE", "eu-central", 49.452102, 11.076665, "nbg1-dc3", "Nuremberg DC Park 1"),
    Location(3, "hel1", "Helsinki", "FI", "eu-central", 60.169855, 24.938379, "hel1-dc2", "Helsinki DC Park 1"),
    Location(4, "ash", "Ashburn, VA", "US", "us-east", 39.045821, -77.487073, "ash-dc1", "Ashburn, VA"),
    Location(5, "hil", "Hillsboro, OR", "US", "us-west", 45.54222, -122.951924, "hil-dc1", "Hillsboro, OR"),
    Location(6, "sin", "Singapore", "SG", "ap-southeast", 1.283333, 103.833333, "sin-dc1", "Singapore"),
)
EU = ("fsn1", "nbg1", "hel1")
US = ("ash", "hil")
SIN = ("sin",)
WORLD = (*EU, *US, *SIN)
SHARED, DEDICATED = "regular_purpose", "general_purpose"
OLD = Deprecation(datetime(2025, 10, 16, 6, 0, tzinfo=UTC), datetime(2025, 12, 31, 23, 59, 59, tzinfo=UTC))

# Names, ids, sizes and categories as in autumn 2026. Prices as since 15 June 2026:
# docs.hetzner.com/general/infrastructure-and-availability/price-adjustment (EU) and www.hetzner.com/cloud, read in September
# 2026, less 0.50 for the address that the latter includes (US, Singapore). Of ccx23 to ccx63 in Singapore the price is not
# known: it is that of the EU with the surcharge of ccx13. What the older cpx cost in the EU and in Singapore is not asked:
# they are no longer sold there.
SERVER_TYPES = (
    ServerType(22, "cpx11", 2, 2, 40, 17.49, WORLD, SHARED, deprecation=OLD, retired=(*EU, *SIN)),
    ServerType(23, "cpx21", 3, 4, 80, 31.99, WORLD, SHARED, deprecation=OLD, retired=(*EU, *SIN)),
    ServerType(24, "cpx31", 4, 8, 160, 62.49, WORLD, SHARED, deprecation=OLD, retired=(*EU, *SIN)),
    ServerType(25, "cpx41", 8, 16, 240, 120.49, WORLD, SHARED, deprecation=OLD, retired=(*EU, *SIN)),
    ServerType(26, "cpx51", 16, 32, 360, 237.99, WORLD, SHARED, deprecation=OLD, retired=(*EU, *SIN)),
    ServerType(45, "cax11", 2, 4, 40, 5.99, EU, architecture="arm"),
    ServerType(93, "cax21", 4, 8, 80, 10.49, EU, architecture="arm"),
    ServerType(94, "cax31", 8, 16, 160, 20.99, EU, architecture="arm"),
    ServerType(95, "cax41", 16, 32, 320, 40.99, EU, architecture="arm"),
    ServerType(96, "ccx13", 2, 8, 80, 42.99, WORLD, DEDICATED, "dedicated", us=43.49, sin=53.99),
    ServerType(97, "ccx23", 4, 16, 160, 85.99, WORLD, DEDICATED, "dedicated", us=87.49, sin=107.99),
    ServerType(98, "ccx33", 8, 32, 240, 138.49, WORLD, DEDICATED, "dedicated", us=140.99, sin=173.99),
    ServerType(99, "ccx43", 16, 64, 360, 275.99, WORLD, DEDICATED, "dedicated", us=279.49, sin=346.49),
    ServerType(100, "ccx53", 32, 128, 600, 533.49, WORLD, DEDICATED, "dedicated", us=538.49, sin=669.99),
    ServerType(101, "ccx63", 48, 192, 960, 853.49, WORLD, DEDICATED, "dedicated", us=859.99, sin=1071.99),
    ServerType(104, "cx22", 2, 4, 40, 3.79, EU, deprecation=OLD),
    ServerType(105, "cx32", 4, 8, 80, 6.80, EU, deprecation=OLD),
    ServerType(108, "cpx12", 1, 2, 40, 11.49, (*EU, *SIN), SHARED, sin=15.49),
    ServerType(109, "cpx22", 2, 4, 80, 19.49, (*EU, *SIN), SHARED, sin=26.49),
    ServerType(110, "cpx32", 4, 8, 160, 35.49, (*EU, *SIN), SHARED, sin=48.99),
    ServerType(111, "cpx42", 8, 16, 320, 69.49, (*EU, *SIN), SHARED, sin=93.49),
    ServerType(112, "cpx52", 12, 24, 480, 100.49, (*EU, *SIN), SHARED, sin=134.49),
    ServerType(113, "cpx62", 16, 32, 640, 129.99, (*EU, *SIN), SHARED, sin=171.99),
    ServerType(114, "cx23", 2, 4, 40, 5.49, EU),
    ServerType(115, "cx33", 4, 8, 80, 8.49, EU),
    ServerType(116, "cx43", 8, 16, 160, 15.99, EU),
    ServerType(117, "cx53", 16, 32, 320, 29.49, EU),
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


def traffic_price(location_name: str) -> float:
    """Of a TB beyond what is included."""
    return 7.4 if location_name in SIN else 1.0


def hourly(monthly: float) -> float:
    """A month is billed as at most 624 hours."""
    return round(monthly / 624, 4)
