"""Time series of a server, as the API has them. Pure. Gap: nothing is measured, every value is 0."""

from __future__ import annotations

import math
from datetime import datetime

SERIES = {
    "cpu": ("cpu",),
    "disk": ("disk.0.iops.read", "disk.0.iops.write", "disk.0.bandwidth.read", "disk.0.bandwidth.write"),
    "network": ("network.0.pps.in", "network.0.pps.out", "network.0.bandwidth.in", "network.0.bandwidth.out"),
}
SAMPLES, SAMPLES_MAX = 200, 500
Values = dict[str, dict[str, list[tuple[float, str]]]]


def step_of(start: datetime, end: datetime, wanted: float | None) -> float:
    """Seconds between two samples: as asked where that makes no more than SAMPLES_MAX, else so that it makes no more."""
    seconds = (end - start).total_seconds()
    if wanted is None:
        return max(1.0, math.ceil(seconds / SAMPLES))
    return max(wanted, math.ceil(seconds / SAMPLES_MAX))


def time_series(kinds: list[str], start: datetime, end: datetime, step: float) -> Values:
    """Every series of these kinds."""
    count = int((end - start).total_seconds() // step) + 1
    times = [start.timestamp() + number * step for number in range(min(count, SAMPLES_MAX))]
    return {name: {"values": [(moment, "0") for moment in times]} for kind in kinds for name in SERIES[kind]}
