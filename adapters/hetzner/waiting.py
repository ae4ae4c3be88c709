"""How often to ask whether something is done: soon at first, then every few seconds, and not longer than its time-out.

Hetzner Cloud grants a project 3,600 requests an hour, for all of its programs together.
"""

import math
import time
from collections.abc import Callable, Iterator

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 5.0
DOUBLINGS = math.ceil(math.log2(LONGEST_SECONDS / FIRST_SECONDS))


def pause(retries: int) -> float:
    """Seconds to wait after having asked so many times: 0.5, 1, 2, 4, and 5 from then on."""
    doubled = FIRST_SECONDS * 2.0 ** min(retries - 1, DOUBLINGS)
    return min(doubled, LONGEST_SECONDS)


def often(_asked: int) -> float:
    """Seconds between questions that cost nothing, such as one to a server of our own."""
    return FIRST_SECONDS


def times_to_ask(seconds: float) -> int:
    """How many times to ask, with those pauses between, until so many seconds are over. The SDK counts and knows no time."""
    asked, waited = 1, 0.0
    while waited < seconds:
        waited += pause(asked)
        asked += 1
    return asked


def polls(seconds: float, pause_after: Callable[[int], float] = pause) -> Iterator[float]:
    """When to ask: after each pause, and a last time when the time is over. Tells the seconds that passed."""
    began = time.monotonic()
    asked = 0
    while (waited := time.monotonic() - began) < seconds:
        asked += 1
        time.sleep(min(pause_after(asked), seconds - waited))
        yield time.monotonic() - began


class Rarely:
    """When to ask the API beside a wait for something else: after 2, 6, 14, 30, 60 s and so on, every half minute."""

    def __init__(self, first: float = 2.0, longest: float = 30.0) -> None:
        self.pause, self.longest = first, longest
        self.next = first

    def is_due(self, waited: float) -> bool:
        """Whether to ask now that so many seconds passed."""
        if waited < self.next:
            return False
        self.pause = min(self.pause * 2, self.longest)
        self.next = waited + self.pause
        return True
