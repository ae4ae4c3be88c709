"""The rate limit: 3600 requests an hour, refilled one a second, unless the conditions say otherwise."""

from __future__ import annotations

import math
import time

from sandbox.resources.conditions import Rate


class Bucket:
    """Requests left. It is counted always; whether it is enforced is for others to say."""

    def __init__(self) -> None:
        self.spent = 0.0
        self.at = time.monotonic()

    def take(self, rate: Rate) -> bool:
        """Count a request; False when none was left."""
        now = time.monotonic()
        self.spent = max(0.0, self.spent - (now - self.at) * rate.per_second)
        self.at = now
        allowed = self.spent + 1 <= rate.limit
        self.spent = min(float(rate.limit), self.spent + 1)
        return allowed

    def headers(self, rate: Rate) -> dict[str, str]:
        """As the real API sends them; Reset is when the bucket will be full again."""
        reset = int(time.time() + self.spent / rate.per_second)
        return {
            "RateLimit-Limit": str(rate.limit),
            "RateLimit-Remaining": str(math.floor(max(0.0, rate.limit - self.spent))),
            "RateLimit-Reset": str(reset),
        }
