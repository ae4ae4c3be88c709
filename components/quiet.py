"""Messages for debugging that nobody asked for: the SDK sends some hundred for each image, and waits for the answer to each."""

import os
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
