"""Where a server can be had: the declared server types and locations, seen against what Hetzner Cloud offers right now."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from images.plan import Build
from images.review import DEFAULT_SERVER_LIMIT, DEFAULT_SNAPSHOT_LIMIT
from images.stackfile import LOCATIONS, PROJECT, SERVER_TYPES
from images.suggest import did_you_mean


@dataclass(frozen=True)
class Offer:
    """A server type in a location. `ends`: the day after which nobody gets it any more, where that is announced.

    `disk`: gigabytes; `architecture`: `x86` or `arm`.
    """

    server_type: str
    location: str
    available: bool
    ends: str = ""
    disk: int = 0
    architecture: str = ""


Place = tuple[str, str]
"""A server type and a location."""


def places(
    server_types: Sequence[str], locations: Sequence[str], offers: Sequence[Offer], max_disk: int = 0
) -> list[Place]:
    """Where to try, in order: a larger disk than that of the first type last, as the image would fit no smaller one.

    Among equals those in stock first, as preferred: what is out of stock now may be there a moment later. A disk of more than
    `max_disk` is not tried, where that is given.
    """
    in_stock = {(offer.server_type, offer.location) for offer in offers if offer.available}
    disks = disks_of(offers)
    first = disks.get(server_types[0], 0) if server_types else 0
    fitting = [name for name in server_types if not max_disk or disks.get(name, 0) <= max_disk]
    wanted = list(product(fitting, locations))
    return sorted(wanted, key=lambda place: (max(disks.get(place[0], first), first), place not in in_stock))


def disks_of(offers: Iterable[Offer]) -> dict[str, int]:
    """Gigabytes by server type."""
    return {offer.server_type: offer.disk for offer in offers}


def stock_warnings(builds: Iterable[Build], offers: Sequence[Offer]) -> list[str]:
    """What a preview tells of servers that could not be had now, or not much longer. What never was is refused elsewhere."""
    wanted = {build.architecture: (build.server_types, build.locations) for build in builds}
    types = {name for server_types, _ in wanted.values() for name in server_types}
    defaults = {name for names in SERVER_TYPES.values() for name in names}
    unknown = _unknown("server type", types & defaults, {offer.server_type for offer in offers})
    unknown += _unknown(
        "location",
        {name for _, locations in wanted.values() for name in locations} & {*LOCATIONS},
        {offer.location for offer in offers},
    )
    empty = [_empty(name, *place) for name, place in wanted.items() if not _any_in_stock(*place, offers)]
    return unknown + empty + _ending(types, offers)


def snapshot_warnings(existing: int, to_build: int) -> list[str]:
    """What a preview tells of the room for snapshots, where the usual quota would not do: no call tells that of a project."""
    if not to_build or existing + to_build <= DEFAULT_SNAPSHOT_LIMIT:
        return []
    return [
        f"the project has {existing} snapshots and this run makes {to_build} more, before it deletes any: "
        f"a project may have {DEFAULT_SNAPSHOT_LIMIT} unless Hetzner raised that for yours"
    ]


def server_warnings(to_build: int, max_parallel: int, test_servers: int) -> list[str]:
    """What a preview tells of the servers that a run has at once, where the usual quota would not do."""
    at_once = min(to_build, max_parallel) * test_servers
    if at_once <= DEFAULT_SERVER_LIMIT:
        return []
    each = f" with {test_servers} servers for each image (verification: join)" if test_servers > 1 else ""
    return [
        f"this run has {at_once} servers at once: {PROJECT}:maxParallel is {max_parallel}{each}. "
        f"A project may have {DEFAULT_SERVER_LIMIT} unless Hetzner raised that for yours"
    ]


def _any_in_stock(server_types: Sequence[str], locations: Sequence[str], offers: Sequence[Offer]) -> bool:
    return any(item.available and item.server_type in server_types and item.location in locations for item in offers)


def _unknown(what: str, declared: set[str], offered: set[str]) -> list[str]:
    if not offered:
        return []
    return [
        f"Hetzner Cloud has no {what} {name} any more, which is one of the defaults: {did_you_mean(name, sorted(offered))}"
        for name in sorted(declared - offered)
    ]


def _empty(architecture: str, server_types: Sequence[str], locations: Sequence[str]) -> str:
    return (
        f"no server for {architecture} is in stock now: none of {', '.join(server_types)} in {', '.join(locations)}. "
        f"`up` tries all of them; add others to {PROJECT}:serverTypes or {PROJECT}:locations"
    )


def _ending(server_types: Iterable[str], offers: Sequence[Offer]) -> list[str]:
    ends: Mapping[str, str] = {item.server_type: item.ends for item in offers if item.ends}
    return [
        f"server type {name} is deprecated and goes on {ends[name]}: replace it in {PROJECT}:serverTypes"
        for name in sorted(set(server_types) & set(ends))
    ]
