"""What has become of each build of a run so far, from the engine's event log."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cli.timing import MAKING, build_and_phase
from images.names import NODE_IMAGE, STACK, read_urn

Event = Mapping[str, Any]

ENDED_BECAUSE_OF_OTHERS = ("update failed", "preview failed", "destroy failed", "refresh failed", "exited prematurely")
"""What the engine calls an error and says nothing of the cause."""


@dataclass
class Phase:
    """A part of a build: seconds since the epoch, and the step that it is at."""

    began: int
    ended: int = 0
    failed: bool = False
    step: str = ""
    at_work: set[str] = field(default_factory=set)


@dataclass
class Line:
    """What a build has said."""

    seconds: int
    build: str
    text: str


@dataclass
class Progress:
    """Everything that a screen shows of a run. `steps` is what the engine did or would do, as its preview has it.

    `remarks` are warnings and advice, `said` errors of the program and the engine, `of_resources` what the engine says of
    resources that failed, with their builds.
    """

    builds: dict[str, dict[str, Phase]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    of_resources: list[tuple[str, str]] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    steps: list[dict[str, Any]] = field(default_factory=list)
    began: int = 0
    now: int = 0
    deleting: int = 0

    def take(self, event: Event) -> None:
        """Learn from the next event."""
        self.now = int(event.get("timestamp") or self.now)
        self.began = self.began or self.now
        match event:
            case {"resourcePreEvent": told}:
                self._begins(told["metadata"], planning=bool(told.get("planning")))
            case {"resOutputsEvent": told}:
                self._ends(told["metadata"], planning=bool(told.get("planning")), failed=False)
            case {"resOpFailedEvent": told}:
                self._ends(told["metadata"], planning=False, failed=True)
            case {"diagnosticEvent": told}:
                self._says(told)

    @property
    def errors(self) -> list[str]:
        """What the program says of a build has what the engine says of its resources."""
        others = [text for build, text in self.of_resources if not any(build in words for words in self.said)]
        return [*dict.fromkeys(others), *self.said]

    def document(self) -> dict[str, Any]:
        """What `pulumi preview --json` would print."""
        errors = [{"severity": "error", "message": text} for text in self.errors]
        return {"steps": self.steps, "diagnostics": errors, "changeSummary": {}}

    def _begins(self, metadata: Mapping[str, Any], *, planning: bool) -> None:
        self._note(metadata)
        if planning:
            return
        self.deleting += metadata["op"] == "delete"
        if metadata["op"] in MAKING and (place := build_and_phase(read_urn(metadata["urn"]))):
            build, name = place
            phase = self.builds.setdefault(build, {}).setdefault(name, Phase(self.now))
            phase.at_work.add(metadata["urn"])
            phase.ended, phase.failed = 0, False

    def _note(self, metadata: Mapping[str, Any]) -> None:
        """A change; of what is the same the stack, whose exports tell what was there before, and images, which may be begun."""
        if metadata["op"] != "same" or read_urn(metadata["urn"]).type in (STACK, NODE_IMAGE):
            step = {"op": metadata["op"], "urn": metadata["urn"]}
            self.steps.append(
                {**step, "oldState": _state(metadata.get("old")), "newState": _state(metadata.get("new"))}
            )

    def _ends(self, metadata: Mapping[str, Any], *, planning: bool, failed: bool) -> None:
        if planning:
            return
        if place := build_and_phase(read_urn(metadata["urn"])):
            phase = self.builds.get(place[0], {}).get(place[1])
            if phase:
                phase.at_work.discard(metadata["urn"])
                phase.failed = phase.failed or failed
                phase.ended = 0 if phase.at_work else self.now

    def _says(self, told: Mapping[str, Any]) -> None:
        text = plain_text(told.get("message", "")).strip()
        urn = read_urn(told["urn"]) if told.get("urn") else None
        place = build_and_phase(urn) if urn else None
        match told.get("severity"):
            case "error" if not any(words in text for words in ENDED_BECAUSE_OF_OTHERS):
                self._fails(text.removeprefix("error: "), place[0] if place else "")
            case "warning":
                self._remarks(f"warning: {text.removeprefix('warning: ')}")
            case "info" | "info#err" if text and place:
                self._tells(place, text)
            case "info" if text and not told.get("ephemeral"):
                self._remarks(text)

    def _remarks(self, text: str) -> None:
        if text not in self.remarks:
            self.remarks.append(text)

    def _fails(self, text: str, build: str) -> None:
        if build:
            self.of_resources.append((build, text))
        elif text not in self.said:
            self.said.append(text)

    def _tells(self, place: tuple[str, str], text: str) -> None:
        self.lines.append(Line(self.now, place[0], text))
        if text.startswith("warning: "):
            self._remarks(text)
        phase = self.builds.get(place[0], {}).get(place[1])
        step = text.splitlines()[-1].partition(":")[0]
        if phase and " " not in step:
            phase.step = step


def _state(told: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Events have null for what is empty."""
    return {name: told.get(name) or {} for name in ("inputs", "outputs")} if told else None


def plain_text(text: str) -> str:
    """Without the engine's marks for colours."""
    while (start := text.find("<{%")) >= 0 and (end := text.find("%}>", start)) >= 0:
        text = text[:start] + text[end + 3 :]
    return text


def failed_step_of(progress: Progress) -> tuple[str, str] | None:
    """The image and the step that the first error names, as images/failure.py words it."""
    for text in progress.errors:
        words = text.split()
        if words[:1] == ["step"] and words[2:3] == ["of"] and words[4:5] == ["failed:"]:
            return words[3], words[1]
    return None


@dataclass
class Follower:
    """Reads an event log while the engine writes it."""

    file: Path
    offset: int = 0

    def new(self) -> Iterator[Event]:
        """The events since the last call; a line that is not whole yet waits."""
        if not self.file.exists():
            return
        with self.file.open("rb") as log:
            log.seek(self.offset)
            for line in log:
                if not line.endswith(b"\n"):
                    break
                self.offset += len(line)
                yield json.loads(line)
