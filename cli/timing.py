"""Where the time of an `up` went, from the engine's event log (one JSON object a line, times in whole seconds)."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from images.names import NODE_IMAGE, SNAPSHOT, Part, Role, Urn, build_of_worker, read_urn
from recipe.phases import Phase

PHASES = (
    *("Build server", "Provisioning", "Snapshot", "Boot from the snapshot", "Acceptance tests"),
    *("Join of a second server", "Publication", "Tarball"),
)
_BY_PART = {
    **dict.fromkeys((*map(Part.phase, Phase), Part.POWERED_OFF), "Provisioning"),
    **dict.fromkeys((Part.TESTS, Part.TESTS_AFTER_RESTART), "Acceptance tests"),
    **dict.fromkeys((Part.INVITE, Part.INTRODUCE, Part.CONNECTED, Part.JOIN, Part.MEET), "Join of a second server"),
    Part.PUBLISHED: "Publication",
    Part.TARBALL: "Tarball",
}
_BY_ROLE = {
    Role.BUILDER: "Build server",
    Role.VERIFIER: "Boot from the snapshot",
    Role.JOINER: "Join of a second server",
}
_OF_A_SERVER = (Part.SERVER, Part.BUNDLE, Part.RESTARTED)
MAKING = ("create", "create-replacement", "update")


@dataclass(frozen=True)
class Span:
    """One resource's operation: `start` and `end` in seconds since the epoch."""

    phase: str
    start: int
    end: int


def phase_seconds(lines: Iterable[str]) -> dict[str, int]:
    """Seconds of each phase: from the first start to the last end of the resources that belong to it."""
    spans = list(_spans(lines))
    found = {phase: [span for span in spans if span.phase == phase] for phase in PHASES}
    return {
        phase: max(span.end for span in own) - min(span.start for span in own) for phase, own in found.items() if own
    }


def _spans(lines: Iterable[str]) -> Iterator[Span]:
    started: dict[str, int] = {}
    for line in lines:
        event = json.loads(line)
        before, after = event.get("resourcePreEvent"), event.get("resOutputsEvent")
        metadata = (before or after or {}).get("metadata", {})
        if metadata.get("op") not in MAKING:
            continue
        if before:
            started[metadata["urn"]] = event["timestamp"]
        elif metadata["urn"] in started and (place := build_and_phase(read_urn(metadata["urn"]))):
            yield Span(place[1], started[metadata["urn"]], event["timestamp"])


def build_and_phase(urn: Urn) -> tuple[str, str] | None:
    """The build and the phase that a resource belongs to; the time of a component is that of what it consists of."""
    if urn.type in (NODE_IMAGE, SNAPSHOT):
        return (urn.name, "Snapshot") if urn.type == SNAPSHOT else None
    for part, phase in _BY_PART.items():
        if owner := part.owner(urn.name):
            return _build_of(owner), phase
    for part in _OF_A_SERVER:
        for role, phase in _BY_ROLE.items():
            if build := build_of_worker(part.owner(urn.name), role):
                return build, phase
    return None


def _build_of(owner: str) -> str:
    """The build that a server belongs to, or the build itself."""
    return next((build for role in Role if (build := build_of_worker(owner, role))), owner)
