"""What the state of a stack has of servers and images, whichever way it was read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Recorded:
    """`names` of all resources, and ids of all `servers` that a run made and came to know of."""

    names: frozenset[str]
    servers: frozenset[int]


def recorded(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> Recorded:
    """From the URN and the outputs of each resource."""
    resources = list(resources)
    names = frozenset(urn.rpartition("::")[2] for urn, _ in resources)
    servers = [outputs.get("server_id") for urn, outputs in resources if urn.endswith("-server")]
    return Recorded(names, frozenset(int(number) for number in servers if number))
