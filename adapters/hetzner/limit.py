"""Hetzner Cloud's limit of requests: how long to wait when it is used up.

https://docs.hetzner.cloud/reference/cloud#rate-limiting: 3,600 requests an hour and project, of which one comes back each
second. RateLimit-Reset is the Unix time at which all of them are back.
"""

from collections.abc import Mapping

SHORTEST_SECONDS = 1.0
LONGEST_SECONDS = 60.0
"""All requests are back after up to an hour, those that we need after a minute."""


def seconds_until_reset(headers: Mapping[str, str], now: float) -> float:
    """How long to wait from `now`, a Unix time, before the next request: until RateLimit-Reset, and a minute at most."""
    try:
        left = float(headers.get("RateLimit-Reset", "")) - now
    except ValueError:
        left = LONGEST_SECONDS
    return min(max(left, SHORTEST_SECONDS), LONGEST_SECONDS)
