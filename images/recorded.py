"""What the state of a stack has of servers and images, whichever way it was read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from images.names import Part, read_urn


@dataclass(frozen=True)
class Recorded:
    """`names` of all resources, and ids of all `servers` that a run made and came to know of."""

    names: frozenset[str]
    servers: frozenset[int]


def recorded(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> Recorded:
    """From the URN and the outputs of each resource."""
    named = [(read_urn(urn).name, outputs) for urn, outputs in resources]
    servers = [outputs.get("server_id") for name, outputs in named if Part.SERVER.owner(name)]
    return Recorded(frozenset(name for name, _ in named), frozenset(int(number) for number in servers if number))
