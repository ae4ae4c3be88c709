"""What the SDK tells the engine for nobody is not sent."""

import sys
import traceback
from collections.abc import Iterator
from typing import Any

import pulumi
import pytest
from pulumi.runtime import settings
from pulumi.runtime.proto import engine_pb2

from components.quiet import FRAMES, QuietEngine, short_stacks, spare_debug_messages


class Engine:
    def __init__(self) -> None:
        self.messages: list[str] = []

    def Log(self, request: Any) -> None:  # noqa: N802 - the name in the engine's protocol
        self.messages.append(request.message)

    def GetRootResource(self, request: Any) -> str:  # noqa: N802 - as above
        return "root"


@pytest.fixture
def engine() -> Iterator[Engine]:
    engine = Engine()
    before = settings.SETTINGS.engine
    settings.SETTINGS.engine = engine
    yield engine
    settings.SETTINGS.engine = before


def say() -> None:
    pulumi.log.debug("debug")
    pulumi.log.info("info")
    pulumi.log.warn("warning")
    pulumi.log.error("error")


def test_only_messages_for_debugging_are_left_out(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NODE_IMAGES_DEBUG", raising=False)
    spare_debug_messages()
    say()
    assert engine.messages == ["info", "warning", "error"]
    assert settings.SETTINGS.engine.GetRootResource(None) == "root"


def test_a_declaration_has_a_short_stack_and_nothing_else_has() -> None:
    def deep(levels: int) -> int:
        return deep(levels - 1) if levels else len(traceback.extract_stack())

    with short_stacks():
        assert deep(30) == FRAMES
    assert deep(30) > 30
    with pytest.raises(ValueError, match="x"), short_stacks():
        raise ValueError("x")
    assert not hasattr(sys, "tracebacklimit")


def test_they_stay_where_somebody_looks_for_a_mistake(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_IMAGES_DEBUG", "1")
    spare_debug_messages()
    say()
    assert engine.messages == ["debug", "info", "warning", "error"]
    assert not isinstance(settings.SETTINGS.engine, QuietEngine)
    assert engine_pb2.DEBUG == 0
