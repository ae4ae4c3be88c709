"""The screen of a run: one line a build, or one a phase where there is room, with the time that the last run took."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cli.progress import Phase, Progress
from cli.timing import PHASES
from images.names import image_and_architecture, image_key, os_and_kubernetes

Times = Mapping[str, int]
"""Seconds of each phase in the last run of the stack that made an image."""

FRAME = 3
"""Lines that are no build's: the title, one for deletions, and the one below with the cursor."""


@dataclass(frozen=True)
class Size:
    """Of a terminal, in characters."""

    width: int
    height: int


def draw(title: str, progress: Progress, now: float, size: Size, times: Times) -> list[str]:
    """The lines of the screen, none wider and all of them no more than it has."""
    now = int(now) if progress.builds else max(int(now), progress.began)
    head = f"{title}  {clock(now - progress.began)}" if progress.began else f"{title}  starts"
    names = labels(list(progress.builds))
    room = size.height - FRAME
    whole = [line for build, name in names.items() for line in _phases(name, progress.builds[build], now, times)]
    lines = whole if len(whole) <= room else _builds(progress, names, now, times, room)
    deleting = [f"{progress.deleting} records or snapshots to delete"] if progress.deleting else []
    return [line[: size.width - 1] for line in (head, *lines, *deleting)]


def labels(builds: Sequence[str]) -> dict[str, str]:
    """What tells builds apart comes first: the version and the architecture, then the system, then the digest."""
    found = {}
    for build in builds:
        image, architecture = image_and_architecture(build)
        os, kubernetes = os_and_kubernetes(image_key(image))
        found[build] = f"{kubernetes} {architecture} {os} {image.rpartition('-')[2]}"
    return found


def _phases(name: str, phases: Mapping[str, Phase], now: int, times: Times) -> Iterator[str]:
    yield name
    for phase in PHASES:
        if phase in phases:
            yield f"  {phase:<24}{_phase(phase, phases[phase], now, times)}"
        elif phase in times:
            yield f"  {phase:<24}{'':>6}   about {clock(times[phase])}"


def _phase(name: str, phase: Phase, now: int, times: Times) -> str:
    took = f"{clock((phase.ended or now) - phase.began):>6}"
    if phase.ended:
        return f"{took}   {'failed' if phase.failed else 'done'}{f' at {phase.step}' if phase.failed and phase.step else ''}"
    about = f" of about {clock(times[name])}" if name in times else ""
    return f"{took}{about}   {phase.step}".rstrip()


def _builds(progress: Progress, names: Mapping[str, str], now: int, times: Times, room: int) -> list[str]:
    """One line each; of more than fit, those at work, and how many others there are."""
    working = [build for build in names if any(not phase.ended for phase in progress.builds[build].values())]
    first = [*working, *(build for build in names if build not in working)]
    shown = first if len(first) <= room else first[: room - 1]
    lines = [f"{names[build]}  {_now(progress.builds[build], now, times)}" for build in names if build in shown]
    return lines if len(shown) == len(first) else [*lines, f"and {len(first) - len(shown)} more"]


def _now(phases: Mapping[str, Phase], now: int, times: Times) -> str:
    current = [name for name in PHASES if name in phases and not phases[name].ended]
    name = current[-1] if current else [name for name in PHASES if name in phases][-1]
    return f"{name}  {_phase(name, phases[name], now, times).strip()}"


def clock(seconds: float) -> str:
    """Such as `0:07`."""
    return f"{max(0, int(seconds)) // 60}:{max(0, int(seconds)) % 60:02}"
