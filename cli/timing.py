"""Where the time of an `up` went, from the engine's event log (one JSON object a line, times in whole seconds)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

# The part of a resource's URN that tells which phase it belongs to, the most telling first.
_PHASES: tuple[tuple[str, str | None], ...] = (
    ("-verifier-released", None),
    ("-builder-released", None),
    ("verifier", "Boot from the snapshot"),
    ("acceptance-tests", "Acceptance tests"),
    ("Provisioning", "Provisioning"),
    ("hcloud:index/snapshot:Snapshot", "Snapshot"),
    ("BuildServer", "Build server"),
    ("-published", "Publication"),
    ("/tarball", "Tarball"),
)
_ORDER = (
    *("Build server", "Provisioning", "Snapshot", "Boot from the snapshot", "Acceptance tests", "Publication"),
    "Tarball",
)
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
        elif metadata["urn"] in started and (phase := _phase(metadata["urn"])):
            yield Span(phase, started[metadata["urn"]], event["timestamp"])


def _phase(urn: str) -> str | None:
    resource_type = urn.split("::")[2].rpartition("$")[2]
    if resource_type.startswith("node-images:index:"):
        return None  # a component's own time is that of its children
    return next((phase for sign, phase in _PHASES if sign in urn), None)
