"""Drive a provider plugin as the engine does, without an engine: over gRPC, with a log that tests can read."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import struct_pb2
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc
from pulumi.runtime.proto.engine_pb2_grpc import EngineServicer

SECRET_MARK = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"


@dataclass(frozen=True)
class Line:
    """One message that a plugin sent to the engine."""

    text: str
    severity: int
    urn: str


class Engine(EngineServicer):
    """The part of the engine that a plugin talks to: its log."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def Log(self, request: Any, context: Any) -> Empty:  # noqa: N802 (the protocol's name)
        self.lines.append(Line(request.message, request.severity, request.urn))
        return Empty()


class Plugin:
    """A running plugin."""

    def __init__(self, binary: Path) -> None:
        self.engine = Engine()
        self._server = grpc.server(ThreadPoolExecutor(4))
        engine_pb2_grpc.add_EngineServicer_to_server(self.engine, self._server)
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        self.process = subprocess.Popen([binary, f"127.0.0.1:{port}"], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        own_port = int(self.process.stdout.readline())
        self._channel = grpc.insecure_channel(f"127.0.0.1:{own_port}", [("grpc.max_metadata_size", 1 << 20)])
        self.stub = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._pool = ThreadPoolExecutor(4)

    def configure(self) -> None:
        self.stub.Configure(provider_pb2.ConfigureRequest(acceptSecrets=True, acceptResources=True, args=to_struct({})))

    def close(self) -> None:
        self._channel.close()
        self.process.terminate()
        self.process.wait()
        self._server.stop(None)
        self._pool.shutdown()

    def in_background(self, call: Callable[..., Any], *arguments: Any, **settings: Any) -> Future[Any]:
        return self._pool.submit(call, *arguments, **settings)


class Resource:
    """One resource of a plugin, taken through its life by a test."""

    def __init__(self, plugin: Plugin, token: str, name: str) -> None:
        self.plugin = plugin
        self.name = name
        self.type = token
        self.urn = f"urn:pulumi:test::project::{token}::{name}"
        self.id = ""
        self.inputs: dict[str, Any] = {}
        self.outputs: dict[str, Any] = {}

    @property
    def log(self) -> list[str]:
        """The lines logged for this resource."""
        return [line.text for line in self.plugin.engine.lines if line.urn == self.urn]

    def check(self, inputs: dict[str, Any]) -> Any:
        request = provider_pb2.CheckRequest(
            urn=self.urn, name=self.name, type=self.type, olds=to_struct(self.inputs), news=to_struct(inputs)
        )
        return self.plugin.stub.Check(request)

    def checked(self, inputs: dict[str, Any]) -> dict[str, Any]:
        answer = self.check(inputs)
        assert not answer.failures, answer.failures
        return from_struct(answer.inputs)

    def create(self, **inputs: Any) -> dict[str, Any]:
        return self._create(inputs, preview=False)

    def preview_create(self, **inputs: Any) -> dict[str, Any]:
        return self._create(inputs, preview=True)

    def update(self, **inputs: Any) -> dict[str, Any]:
        return self._update(inputs, preview=False)

    def preview_update(self, **inputs: Any) -> dict[str, Any]:
        return self._update(inputs, preview=True)

    def _create(self, inputs: dict[str, Any], *, preview: bool) -> dict[str, Any]:
        news = self.checked(inputs)
        answer = self.plugin.stub.Create(
            provider_pb2.CreateRequest(
                urn=self.urn, name=self.name, type=self.type, properties=to_struct(news), preview=preview
            ),
            timeout=60,
        )
        self.id, self.inputs, self.outputs = answer.id, news, from_struct(answer.properties)
        return dict(plain(self.outputs))

    def diff(self, **inputs: Any) -> Any:
        news = self.checked(inputs)
        return self.plugin.stub.Diff(
            provider_pb2.DiffRequest(
                id=self.id,
                urn=self.urn,
                name=self.name,
                type=self.type,
                olds=to_struct(self.outputs),
                old_inputs=to_struct(self.inputs),
                news=to_struct(news),
            )
        )

    def _update(self, inputs: dict[str, Any], *, preview: bool) -> dict[str, Any]:
        news = self.checked(inputs)
        answer = self.plugin.stub.Update(
            provider_pb2.UpdateRequest(
                id=self.id,
                urn=self.urn,
                name=self.name,
                type=self.type,
                olds=to_struct(self.outputs),
                old_inputs=to_struct(self.inputs),
                news=to_struct(news),
                preview=preview,
            ),
            timeout=60,
        )
        self.inputs, self.outputs = news, from_struct(answer.properties)
        return dict(plain(self.outputs))

    def delete(self) -> None:
        request = provider_pb2.DeleteRequest(
            id=self.id,
            urn=self.urn,
            name=self.name,
            type=self.type,
            properties=to_struct(self.outputs),
            old_inputs=to_struct(self.inputs),
        )
        self.plugin.stub.Delete(request, timeout=60)

    def wait_for_log(self, text: str, seconds: float = 10) -> None:
        wait_until(lambda: text in self.log, seconds, lambda: f"{text!r} not in {self.log}")


def wait_until(condition: Callable[[], object], seconds: float, explain: Callable[[], str]) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, explain()
        threading.Event().wait(0.01)


def to_struct(values: dict[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(values)
    return struct


def from_struct(struct: struct_pb2.Struct) -> dict[str, Any]:
    return dict(MessageToDict(struct))


def plain(value: Any) -> Any:
    """Take the marks of secrets off."""
    if isinstance(value, dict):
        if value.get(SECRET_MARK) == SECRET:
            return plain(value["value"])
        return {name: plain(item) for name, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def is_secret(value: Any) -> bool:
    return isinstance(value, dict) and value.get(SECRET_MARK) == SECRET


def refusal(call: Callable[..., Any], *arguments: Any, **settings: Any) -> str:
    """Return the text of the error with which a call fails."""
    try:
        call(*arguments, **settings)
    except grpc.RpcError as error:
        return str(error.details())
    raise AssertionError("the call did not fail")
