"""Actions run in the background, with progress, and end in success or error."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Literal

from pydantic import BaseModel

from sandbox.errors import CloudError, SandboxError, not_found
from sandbox.settings import Speed
from sandbox.store import Collection, Record, Store

log = logging.getLogger(__name__)

Report = Callable[[int], None]  # percent
Work = Callable[[Report], Awaitable[None]]

# About what each takes at Hetzner, in seconds; waited for only at speed "realistic".
REALISTIC_SECONDS = {
    "create_server": 8.0,
    "create_server from a snapshot": 90.0,
    "start_server": 3.0,
    "stop_server": 3.0,
    "reboot_server": 3.0,
    "reset_server": 3.0,
    "rebuild_server": 20.0,
    "create_image": 120.0,
    "change_server_type": 15.0,
}
STEP_SECONDS = 0.2
KEPT, FORGOTTEN_AT_ONCE = 50_000, 1_000


class Resource(BaseModel):
    """What an action is about: type as in the API (server, image...) and id."""

    type: str
    id: int


class Failure(BaseModel):
    """Why it failed."""

    code: str
    message: str


class Action(Record):
    """One action; times are UTC."""

    command: str
    status: Literal["running", "success", "error"] = "running"
    progress: int = 0
    started: datetime
    finished: datetime | None = None
    error: Failure | None = None
    resources: list[Resource]


@dataclass(frozen=True)
class Disturbance:
    """An action takes ``seconds`` longer, and ends in ``error``: without its work, or although the work is ``done``."""

    seconds: float = 0
    error: CloudError | None = None
    done: bool = False


CALM = Disturbance()


class Actions:
    """All actions, running and ended. ``disturb`` is asked when one starts: that is how faults get in."""

    def __init__(self, store: Store, speed: Speed) -> None:
        self.all = Collection(store, "action", Action)
        self.by_resource: dict[tuple[str, int], list[Action]] = {}
        for action in self.all:
            self.index(action)
        self.speed = speed
        self.tasks: set[asyncio.Future[object]] = set()
        self.store = store
        self.disturb: Callable[[Action], Disturbance] = lambda _action: CALM

    def get(self, action_id: int) -> Action:
        """Raises not_found."""
        if action := self.all.get(action_id):
            return action
        raise not_found("action", action_id)

    def of(self, kind: str, resource_id: int | None = None) -> list[Action]:
        """Actions about resources of a type, or about one of them."""
        if resource_id is not None:
            return list(self.by_resource.get((kind, resource_id), ()))
        return [action for action in self.all if concerns(action, kind, None)]

    def running_on(self, kind: str, resource_id: int) -> list[Action]:
        """What currently locks a resource."""
        about = self.by_resource.get((kind, resource_id), ())
        return [action for action in about if action.status == "running"]

    def index(self, action: Action) -> None:
        """Have it found by what it is about."""
        for item in action.resources:
            self.by_resource.setdefault((item.type, item.id), []).append(action)

    def forget_oldest(self) -> None:
        """Those that ended first: a sandbox of months keeps no more than KEPT."""
        ended = (action for action in self.all if action.status != "running")
        for action in islice(ended, FORGOTTEN_AT_ONCE):
            self.all.remove(action)
            for item in action.resources:
                left = [other for other in self.of(item.type, item.id) if other is not action]
                self.by_resource[item.type, item.id] = left
                if not left:
                    del self.by_resource[item.type, item.id]

    def clear(self) -> None:
        """Forget all."""
        self.all.clear()
        self.by_resource.clear()

    def begin(self, command: str, *resources: tuple[str, int]) -> Action:
        """A new action, running at 0 percent; ``follow`` does its work."""
        if len(self.all) >= KEPT:
            self.forget_oldest()
        named = [Resource(type=kind, id=number) for kind, number in resources]
        action = Action(id=self.all.next_id(), command=command, started=datetime.now(UTC), resources=named)
        self.index(action)
        return self.all.save(action)

    def run(self, command: str, work: Work, *resources: tuple[str, int]) -> Action:
        """Begin an action and do its work in the background."""
        action = self.begin(command, *resources)
        self.spawn(self.follow(action, work))
        return action

    def done(self, command: str, *resources: tuple[str, int]) -> Action:
        """An action that needed no time: what it is about has happened."""
        action = self.begin(command, *resources)
        error = self.disturb(action).error
        self.end(action, failure_of(error) if error else None)
        return action

    def spawn(self, work: Awaitable[object]) -> None:
        """Run in the background, held until done."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def follow(
        self, action: Action, work: Work, finish: Callable[[], None] = lambda: None, pace: str = ""
    ) -> bool:
        """Do the work of an action that has begun; True when it was done. Never raises but when cancelled.

        ``finish`` is what must be on record together with the success of the action, or not at all; ``pace`` says which
        of REALISTIC_SECONDS is meant where the command does not.
        """
        began = time.monotonic()

        def report(percent: int) -> None:
            action.progress = max(action.progress, min(percent, 99))

        disturbance = self.disturb(action)
        try:
            await self.do(work, report, disturbance)
            await self.linger(action, began, pace or action.command)
        except CloudError as error:
            self.end(action, failure_of(error))
        except asyncio.CancelledError:
            self.end(action, Failure(code="action_failed", message="interrupted: the sandbox was stopped"))
            raise
        except Exception as error:
            log.exception("action %s %s failed", action.id, action.command)
            text = str(error) if isinstance(error, SandboxError) else f"{type(error).__name__}: {error}"
            self.end(action, Failure(code="action_failed", message=text))
        else:
            with self.store.transaction():
                finish()
                self.end(action, failure_of(disturbance.error) if disturbance.error else None)
            return True
        return False

    async def do(self, work: Work, report: Report, disturbance: Disturbance) -> None:
        """The work, late or not at all where it is disturbed."""
        if disturbance.seconds:
            await asyncio.sleep(disturbance.seconds)
        if disturbance.error and not disturbance.done:
            raise disturbance.error
        await work(report)

    async def linger(self, action: Action, began: float, pace: str) -> None:
        """At realistic speed: take as long as the real one."""
        seconds = REALISTIC_SECONDS.get(pace, 1.0)
        while self.speed == Speed.realistic and (passed := time.monotonic() - began) < seconds:
            action.progress = max(action.progress, int(99 * passed / seconds))
            await asyncio.sleep(min(STEP_SECONDS, seconds - passed))

    def end(self, action: Action, error: Failure | None = None) -> None:
        """Success, or error. A failed action stays at 100 percent too, as the real ones do."""
        action.status = "error" if error else "success"
        action.error, action.progress, action.finished = error, 100, datetime.now(UTC)
        self.all.save(action)

    def interrupt(self) -> None:
        """After a kill: whatever ran is over."""
        for action in self.all:
            if action.status == "running":
                self.end(action, Failure(code="action_failed", message="interrupted: the sandbox was killed"))

    async def close(self) -> None:
        """Cancel what runs and wait."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)


async def nothing(_report: Report) -> None:
    """The work of an action that only puts something on record when it ends."""


def failure_of(error: CloudError) -> Failure:
    """As an action shows it."""
    return Failure(code=error.code, message=error.message)


def concerns(action: Action, kind: str, resource_id: int | None) -> bool:
    """Whether the action is about such a resource."""
    return any(item.type == kind and resource_id in (None, item.id) for item in action.resources)


def unlocked(running: Iterable[Action], kind: str) -> None:
    """Refuse while another action runs on the resource."""
    for action in running:
        raise CloudError("locked", f"{kind} is locked: action {action.command} ({action.id}) is running")
