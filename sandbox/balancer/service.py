"""One service of a load balancer: it listens, chooses a healthy target for each connection, and passes bytes on."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from sandbox.balancer import sockets
from sandbox.balancer.checks import Check, passes
from sandbox.machines import Place

log = logging.getLogger(__name__)

Health = Literal["unknown", "healthy", "unhealthy"]
CONNECT_SECONDS = 5.0
FIRST_CHECKS_SECONDS = 0.3
"""Between checks of a target of which nothing is known yet."""
HURRY_SECONDS = 1.0
PIECE = 64 * 1024


@dataclass(frozen=True)
class Plan:
    """What a service does. ``targets``: by a key that stays the same."""

    listen: tuple[Place, ...]
    port: int
    destination_port: int
    check: Check
    targets: tuple[tuple[str, Place], ...] = ()
    least_connections: bool = False
    proxy_protocol: bool = False
    max_connections: int = 10_000


@dataclass
class Traffic:
    """What went through since the start. ``received`` is from clients, ``sent`` to them."""

    connections: int = 0
    open: int = 0
    received: int = 0
    sent: int = 0


@dataclass
class Target:
    """Where connections may go."""

    key: str
    place: Place
    check: Check
    health: Health = "unknown"
    streak: int = 0  # checks in a row that contradict its health
    open: int = 0
    task: asyncio.Task[None] | None = None

    def note(self, passed: bool) -> None:
        """One check: as many as `retries` in a row change its health; the first that passes makes it known as healthy."""
        found: Health = "healthy" if passed else "unhealthy"
        self.streak = 0 if found == self.health else self.streak + 1
        if self.streak >= self.check.retries or (passed and self.health == "unknown"):
            self.health, self.streak = found, 0


@dataclass
class Service:
    """It runs until it is closed. ``hurry``: checks are made at least every second."""

    plan: Plan
    hurry: Callable[[], bool]
    targets: dict[str, Target] = field(default_factory=dict)
    listening: dict[Place, asyncio.Task[asyncio.Server]] = field(default_factory=dict)
    traffic: Traffic = field(default_factory=Traffic)
    connections: set[asyncio.Task[None]] = field(default_factory=set)
    refused: str = ""
    turn: int = 0

    def follow(self, plan: Plan) -> None:
        """From now on; targets of which nothing has changed keep their health. A place that is taken is tried again."""
        self.plan = plan
        for place in set(self.listening) - set(plan.listen):
            self.stop_listening(place)
        for place in plan.listen:
            if place not in self.listening:
                self.listen(place)
        self.follow_targets(dict(plan.targets))

    def follow_targets(self, wanted: dict[str, Place]) -> None:
        """Begin and end their checks."""
        for target in list(self.targets.values()):
            if wanted.get(target.key) != target.place or target.check != self.plan.check:
                self.drop(target)
        for key, place in wanted.items():
            if key not in self.targets:
                target = self.targets[key] = Target(key, place, self.plan.check)
                target.task = asyncio.create_task(self.watch(target))

    def drop(self, target: Target) -> None:
        """Its connections go on."""
        if target.task:
            target.task.cancel()
        del self.targets[target.key]

    def listen(self, place: Place) -> None:
        """What hinders is said once in the log."""
        try:
            made = sockets.listener(place, self.plan.port)
        except OSError as error:
            text = f"load balancer: cannot listen on {place.address}:{self.plan.port}: {error.strerror}"
            if text != self.refused:
                log.warning(text)
            self.refused = text
            return
        self.listening[place] = asyncio.create_task(asyncio.start_server(self.serve, sock=made))

    def stop_listening(self, place: Place) -> None:
        """At once."""
        task = self.listening.pop(place)
        if task.done():
            close_server(task)
        else:
            task.add_done_callback(close_server)

    def close(self) -> None:
        """No connection survives."""
        for place in list(self.listening):
            self.stop_listening(place)
        for target in list(self.targets.values()):
            self.drop(target)
        for task in self.connections:
            task.cancel()

    async def watch(self, target: Target) -> None:
        """Check it again and again."""
        while True:
            target.note(await passes(target.check, target.place))
            pause = min(target.check.interval, HURRY_SECONDS) if self.hurry() else target.check.interval
            await asyncio.sleep(FIRST_CHECKS_SECONDS if target.health == "unknown" else pause)

    # Connections

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - for the type checker: asyncio calls this in a task
        self.connections.add(task)
        try:
            if self.traffic.open < self.plan.max_connections:
                await self.lead(reader, writer)
        except asyncio.CancelledError:
            pass  # the service is closed; raised further, asyncio would log it as an error
        finally:
            self.connections.discard(task)
            writer.close()

    async def lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """To a target; without one the connection ends."""
        self.traffic.connections += 1
        reached = await self.reach()
        if reached is None:
            return
        target, (back, onward) = reached
        target.open += 1
        self.traffic.open += 1
        try:
            if self.plan.proxy_protocol:
                onward.write(proxy_header(writer))
            await self.pass_on(reader, writer, back, onward)
        finally:
            target.open -= 1
            self.traffic.open -= 1
            onward.close()

    async def reach(self) -> tuple[Target, tuple[asyncio.StreamReader, asyncio.StreamWriter]] | None:
        """The first in order that takes the connection."""
        for target in self.in_order():
            with contextlib.suppress(OSError, TimeoutError):
                made = await sockets.connect(target.place, self.plan.destination_port, CONNECT_SECONDS)
                return target, await asyncio.open_connection(sock=made)
        return None

    def in_order(self) -> list[Target]:
        """The healthy ones; those of which nothing is known yet only while there is no other."""
        targets = list(self.targets.values())
        for health in ("healthy", "unknown"):
            if chosen := [target for target in targets if target.health == health]:
                self.turn += 1
                first = self.turn % len(chosen)
                turned = chosen[first:] + chosen[:first]
                return sorted(turned, key=lambda item: item.open) if self.plan.least_connections else turned
        return []

    async def pass_on(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        back: asyncio.StreamReader,
        onward: asyncio.StreamWriter,
    ) -> None:
        """Both ways, until both have ended or one broke."""
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(copy(reader, onward, self.count_received))
                both.create_task(copy(back, writer, self.count_sent))
        except* (OSError, RuntimeError):
            pass

    def count_received(self, size: int) -> None:
        """Bytes from the client."""
        self.traffic.received += size

    def count_sent(self, size: int) -> None:
        """Bytes to the client."""
        self.traffic.sent += size


def close_server(task: asyncio.Task[asyncio.Server]) -> None:
    """Of a task that has started it."""
    if not task.cancelled():
        task.result().close()


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, count: Callable[[int], None]) -> None:
    """Until the end, which is passed on as well."""
    while piece := await reader.read(PIECE):
        count(len(piece))
        writer.write(piece)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def proxy_header(writer: asyncio.StreamWriter) -> bytes:
    """Who the client is, in version 1 of the PROXY protocol."""
    (source, source_port), (own, own_port) = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
    return f"PROXY TCP4 {source} {own} {source_port} {own_port}\r\n".encode()
