"""Time series of a load balancer, from samples of its traffic. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence

from sandbox.balancer.balancer import Sample
from sandbox.balancer.service import Traffic

Series = dict[str, list[tuple[float, str]]]
NAMES = {
    "open_connections": ("open_connections",),
    "connections_per_second": ("connections_per_second",),
    "requests_per_second": ("requests_per_second",),
    "bandwidth": ("bandwidth.in", "bandwidth.out"),
}


def series(samples: Sequence[Sample], kinds: Sequence[str], start: float, end: float, step: int) -> Series:
    """A value every ``step`` seconds. Gap: each connection counts as one request."""
    times = [sample.at for sample in samples]
    found: Series = {name: [] for kind in kinds for name in NAMES[kind]}
    moment = start
    while moment <= end:
        now, before = known_at(samples, times, moment), known_at(samples, times, moment - step)
        values = rates(before, now, step)
        for name, points in found.items():
            points.append((moment, f"{values[name]:g}"))
        moment += step
    return found


def known_at(samples: Sequence[Sample], times: list[float], moment: float) -> Traffic:
    """The last sample before; nothing had gone through before the first."""
    index = bisect_right(times, moment)
    return samples[index - 1].traffic if index else Traffic()


def rates(before: Traffic, now: Traffic, seconds: float) -> dict[str, float]:
    """A second."""
    connections = (now.connections - before.connections) / seconds
    return {
        "open_connections": float(now.open),
        "connections_per_second": connections,
        "requests_per_second": connections,
        "bandwidth.in": (now.received - before.received) / seconds,
        "bandwidth.out": (now.sent - before.sent) / seconds,
    }
