"""What the acceptance tests print, read: one JSON object."""

import json
from typing import Any


def wants_restart(report: str) -> bool:
    """Whether there is a cluster on the server, which must come back when the server is started anew."""
    return bool(_read(report).get("level") == "cluster")


def whole_report(booted: str, restarted: str) -> str:
    """One report of the tests before a restart and of those after it, where there were any."""
    first, second = _read(booted), _read(restarted)
    counts = {key: first[key] + second[key] for key in ("passed", "total") if key in first and key in second}
    seconds = {**first.get("seconds", {}), **second.get("seconds", {})}
    return json.dumps({**first, **counts, **({"seconds": seconds} if seconds else {})}) if first else booted


def _read(text: str | None) -> dict[str, Any]:
    return dict(json.loads(text)) if text and text.strip() else {}
