"""Metrics over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import cloud_of, iso, path_id, reply
from sandbox.errors import invalid_input
from sandbox.resources.metrics.models import SERIES, step_of, time_series

Problems = list[tuple[str, str]]


async def get(request: Request) -> Response:
    """``GET /servers/{id}/metrics``."""
    cloud_of(request).servers.get(path_id(request))
    problems: Problems = []
    kinds, wanted = kinds_of(request, problems), wanted_step(request, problems)
    start, end = (moment(request, name, problems) for name in ("start", "end"))
    if start and end and end <= start:
        problems.append(("end", "must be after start"))
    if problems or not start or not end:
        raise invalid_input(*problems)
    step = step_of(start, end, wanted)
    return reply(metrics=shape(kinds, start, end, step))


def shape(kinds: list[str], start: datetime, end: datetime, step: float) -> dict[str, Any]:
    """As in the API."""
    number = int(step) if step == int(step) else step
    return {"start": iso(start), "end": iso(end), "step": number, "time_series": time_series(kinds, start, end, step)}


def kinds_of(request: Request, problems: Problems) -> list[str]:
    """Given several times, or with commas between."""
    kinds = [kind for text in request.query_params.getlist("type") for kind in text.split(",")]
    if not kinds:
        problems.append(("type", "missing data for required field"))
    problems += [("type", f"'{kind}' is not one of: {', '.join(SERIES)}") for kind in kinds if kind not in SERIES]
    return kinds


def wanted_step(request: Request, problems: Problems) -> float | None:
    """Whole seconds, at least one."""
    text = request.query_params.get("step")
    if text is None:
        return None
    if not text.isdecimal() or int(text) < 1:
        problems.append(("step", "must be a number of seconds"))
        return None
    return float(text)


def moment(request: Request, name: str, problems: Problems) -> datetime | None:
    """A time as RFC 3339 writes it; a plus that came unquoted is a space by now."""
    text = request.query_params.get(name)
    if text is None:
        problems.append((name, "missing data for required field"))
        return None
    try:
        found = datetime.fromisoformat(text.strip().replace(" ", "+"))
    except ValueError:
        problems.append((name, f"'{text}' is not a time such as 2026-11-30T12:00:00Z"))
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)
