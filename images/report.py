"""What the acceptance tests print, read: one JSON object."""

import base64
import gzip
import json
import zlib
from typing import Any


def wants_restart(report: str) -> bool:
    """Whether there is a cluster on the server, which must come back when the server is started anew."""
    return bool(_read(report).get("level") == "cluster")


def whole_report(first_text: str, second_text: str) -> str:
    """One report of two runs of tests on one image, one after the other; the level is that of the last which has one."""
    first, second = _read(first_text), _read(second_text)
    counts = {key: first[key] + second[key] for key in ("passed", "total") if key in first and key in second}
    seconds = {**first.get("seconds", {}), **second.get("seconds", {})}
    level = {"level": second["level"]} if "level" in second else {}
    return (
        json.dumps({**first, **counts, **level, **({"seconds": seconds} if seconds else {})}) if first else first_text
    )


def report_and_inventory(text: str) -> tuple[str, str]:
    """What the phase of the tests prints: a line of theirs, then what is on the node, compressed. Raises ValueError."""
    report, _, packed = text.partition("\n")
    try:
        return report, gzip.decompress(base64.b64decode(packed)).decode()
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError("the tests did not tell what is on the node") from error


def address_in(text: str | None) -> str:
    """The address that a server told of itself; empty where it told nothing."""
    return str(_read(text).get("address", ""))


def _read(text: str | None) -> dict[str, Any]:
    return dict(json.loads(text)) if text and text.strip() else {}
