"""How a request gets to Hetzner Cloud and back: in time, and not before the limit of requests lets it."""

import sys
import time
from collections.abc import Callable
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from adapters.hetzner.errors import LimitError, SilentError
from adapters.hetzner.limit import seconds_until_reset

CONNECT_SECONDS, ANSWER_SECONDS = 10.0, 30.0


def tell(text: str) -> None:
    """On standard error: people see it there of a command, and the engine shows it of the program and of its providers."""
    print(text, file=sys.stderr, flush=True)


class Transport(HTTPAdapter):
    """Ends a request that gets no answer in time, and repeats one that came over the limit of requests.

    `patience`: how many seconds one request may wait for the limit. Raises SilentError and LimitError.
    """

    def __init__(self, patience: float, say: Callable[[str], object] = tell) -> None:
        super().__init__()
        self.patience = patience
        self.say = say

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        """Raises SilentError and LimitError."""
        began = time.monotonic()
        while True:
            response = self._send_in_time(request, *args, **options)
            if response.status_code != requests.codes.too_many_requests:
                return response
            response.close()
            waited = time.monotonic() - began
            if waited >= self.patience:
                raise LimitError(waited)
            seconds = min(seconds_until_reset(response.headers, time.time()), self.patience - waited)
            self.say(
                "warning: the Hetzner project's limit of API requests is used up "
                f"({response.headers.get('RateLimit-Limit', '3600')} an hour): waits {seconds:.0f} s, then goes on"
            )
            time.sleep(seconds)

    def _send_in_time(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        connect, answer = options["timeout"]
        try:
            return super().send(request, *args, **options)
        except requests.ConnectTimeout:
            raise SilentError("no connection", connect) from None
        except requests.ReadTimeout:
            raise SilentError("a connection, but no answer", answer) from None
