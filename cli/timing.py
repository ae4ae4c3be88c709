"""Where the time of an `up` went, from the engine's event log (one JSON object a line, times in whole seconds)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from images.names import (
    BUILD_SERVER,
    COMPONENTS,
    JOIN,
    PROVISIONING,
    SNAPSHOT,
    Part,
    Role,
    Urn,
    build_of_worker,
    read_urn,
)

_ORDER = (
    *("Build server", "Provisioning", "Snapshot", "Boot from the snapshot", "Acceptance tests"),
    *("Join of a second server", "Publication", "Tarball"),
)
_BY_PART = (
    (Part.RELEASED, None),
    (Part.TESTS, "Acceptance tests"),
    (Part.PUBLISHED, "Publication"),
    (Part.TARBALL, "Tarball"),
)
_OF_A_SERVER = (Part.IDENTITY, Part.SERVER, Part.RESTARTED)
_MAKING = ("create", "create-replacement", "update")


@dataclass(frozen=True)
class Span:
    """One resource's operation: `start` and `end` in seconds since the epoch."""

    phase: str
    start: int
    end: int


def phase_seconds(lines: Iterable[str]) -> dict[str, int]:
    """Seconds of each phase: from the first start to the last end of the resources that belong to it."""
    spans = list(_spans(lines))
    found = {phase: [span for span in spans if span.phase == phase] for phase in _ORDER}
    return {
        phase: max(span.end for span in own) - min(span.start for span in own) for phase, own in found.items() if own
    }


def _spans(lines: Iterable[str]) -> Iterator[Span]:
    started: dict[str, int] = {}
    for line in lines:
        event = json.loads(line)
        before, after = event.get("resourcePreEvent"), event.get("resOutputsEvent")
        metadata = (before or after or {}).get("metadata", {})
        if metadata.get("op") not in _MAKING:
            continue
        if before:
            started[metadata["urn"]] = event["timestamp"]
        elif metadata["urn"] in started and (phase := _phase(read_urn(metadata["urn"]))):
            yield Span(phase, started[metadata["urn"]], event["timestamp"])


def _phase(urn: Urn) -> str | None:
    """The phase that a resource belongs to; the time of a component is that of what it consists of."""
    if urn.type in COMPONENTS:
        return None
    for part, phase in _BY_PART:
        if part.owner(urn.name):
            return phase
    if any(build_of_worker(part.owner(urn.name), Role.VERIFIER) for part in _OF_A_SERVER):
        return "Boot from the snapshot"
    parents = {
        JOIN: "Join of a second server",
        PROVISIONING: "Provisioning",
        SNAPSHOT: "Snapshot",
        BUILD_SERVER: "Build server",
    }
    return next((phase for kind, phase in parents.items() if kind in urn.types), None)
