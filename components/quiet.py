"""What the SDK does for each resource and nobody asked for: messages for debugging, which it waits for, and long stacks."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pulumi.runtime import settings
from pulumi.runtime.proto import engine_pb2


class QuietEngine:
    """The engine's service, but for messages of the lowest severity, which it shows only with `--debug`."""

    def __init__(self, engine: Any) -> None:  # noqa: ANN401 - the SDK's settings take any object with its methods
        self._engine = engine

    def Log(self, request: engine_pb2.LogRequest) -> None:  # noqa: N802 - the name in the engine's protocol
        """Pass a message on, unless it is for debugging."""
        if request.severity != engine_pb2.DEBUG:
            self._engine.Log(request)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the engine has
        return getattr(self._engine, name)


def spare_debug_messages() -> None:
    """Send them no more, in this program; with NODE_IMAGES_DEBUG they stay."""
    if not os.environ.get("NODE_IMAGES_DEBUG"):
        settings.SETTINGS.engine = QuietEngine(settings.SETTINGS.engine)


FRAMES = 9
"""Of the stack of a declaration: those in the SDK, and the ones in this program that lead to it."""


@contextmanager
def short_stacks() -> Iterator[None]:
    """While resources are declared. The state has the stack of each, which is longer than all else of most of them."""
    before = getattr(sys, "tracebacklimit", None)
    sys.tracebacklimit = FRAMES
    try:
        yield
    finally:
        if before is None:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = before
