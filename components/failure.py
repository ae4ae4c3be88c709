"""What happens when an operation of a build fails: what may pass is tried again, everything else ends its build, or the run."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pulumi

from adapters.hetzner.cloud import Cloud
from adapters.hetzner.errors import CloudError
from components.logins import Login
from components.outputs import keep_output
from images.failure import (
    RETRIES,
    answer,
    is_interruption,
    is_late_snapshot,
    is_limited,
    is_verdict,
    late_snapshot,
    outcome,
    pause,
    summary,
)
from images.names import COMMAND

MOST_TRIES = 90
"""The engine asks a hook a hundred times at most."""

POLL_SECONDS = 3

RELEASED = "All build servers of this run are deleted: the next `up` starts what is not finished on new ones."
RELEASED_ALONE = "Its build server is deleted: the next `up` starts it on a new one. The other images go on."
KEPT = "Its server is kept (onFailure: keep), and the next `up` goes on with this step on it."
NOT_CLEARED = (
    "What it left could not be cleared away either: {reason}. The next `up` does it, or ./node-images sweep --all."
)
LOG_IN = "\n    To look at it:  {command}\n   "
WITHDRAWN = (
    "It was published, and is so no more: CAPH does not find it. The exports name it until another `up` succeeds."
)


@dataclass(frozen=True)
class Worker:
    """A server of the run, by name and labels, and the content whose image it makes or tests.

    `partner` is another server of the same test: none of the two is of use without the other.
    """

    name: str
    labels: Mapping[str, str]
    content: Mapping[str, str]
    partner: "Worker | None" = None

    @property
    def both(self) -> tuple["Worker", ...]:
        """The server, and its partner where it has one."""
        return (self, self.partner) if self.partner else (self,)


@dataclass
class FailurePolicy:
    """One for all images of a run.

    The engine stops every build after the first failure, so all servers go together; unless it was told to go on with the others.
    """

    cloud: Cloud
    stack: str
    keep_servers: bool
    patience: float
    go_on: bool = field(default_factory=lambda: os.environ.get("PULUMI_CONTINUE_ON_ERROR", "") in ("1", "true"))
    wait: Callable[[float], Awaitable[None]] = asyncio.sleep
    ended: set[str] = field(default_factory=set)
    since: dict[str, float] = field(default_factory=dict)
    logins: dict[str, Login] = field(default_factory=dict)

    def hooks(self, worker: Worker) -> pulumi.ResourceHookBinding:
        """For the resources that make or work on a server; the name tells these hooks from those of other servers."""
        return pulumi.ResourceHookBinding(
            on_error=[pulumi.ErrorHook(f"{worker.name}-on-failure", partial(self.retry, worker))]
        )

    def remember(self, login: Login) -> None:
        """How to get into a server, should it be kept."""
        self.logins[login.name] = login

    async def retry(self, worker: Worker, failed: pulumi.ErrorHookArgs) -> bool:
        """Whether to try the operation again; if not, say what failed and release the servers, once."""
        if self._over_for(worker):
            return False  # its server was released under it
        match answer(failed.type, failed.errors):
            case "again":
                seconds = pause(len(failed.errors))
                if is_limited(failed.type, failed.errors[0]):
                    pulumi.log.warn(f"{failed.name} waits {seconds} s: the project's limit of API requests is used up")
                await self.wait(seconds)
                return not self._over_for(worker)
            case "wait" if await self._room_may_come(worker, len(failed.errors)):
                return not self._over_for(worker)
        self._end(worker, failed)
        return False

    def _over_for(self, worker: Worker) -> bool:
        return worker.name in self.ended or (bool(self.ended) and not self.go_on)

    async def _room_may_come(self, worker: Worker, tries: int) -> bool:
        """Wait for other builds of this stack to give back what the quota counts, as long as there are any.

        Where there are none, the last one may have gone just now: worth two more tries.
        """
        others = self._others(worker)
        began = self.since.setdefault(worker.name, time.monotonic())
        if not others or time.monotonic() - began > self.patience:
            return not others and tries <= RETRIES
        pulumi.log.info(f"{worker.name} waits for room: a quota is used up while {', '.join(sorted(others))} work")
        left, asked = self.patience / MOST_TRIES, 0
        while left > 0:
            asked += 1
            seconds = min(left, POLL_SECONDS * asked)
            await self.wait(seconds)
            left -= seconds
            if not others <= self._others(worker):
                break
        return True

    def _others(self, worker: Worker) -> set[str]:
        return set(self.cloud.servers_of(self.stack)) - {item.name for item in worker.both}

    def _end(self, worker: Worker, failed: pulumi.ErrorHookArgs) -> None:
        self.ended |= {item.name for item in worker.both}
        output = self._output(worker, failed)
        try:
            withdrawn = is_verdict(failed.errors[0]) and self.cloud.withdraw_all(worker.content)
            fate = f"{self._release(worker)} {WITHDRAWN if withdrawn else outcome(failed.name)}"
        except CloudError as error:
            fate = NOT_CLEARED.format(reason=error)
        late = is_late_snapshot(failed.type, failed.errors[0])
        why = late_snapshot(self.cloud.timeouts.snapshot) if late else failed.errors[0]
        pulumi.log.error(summary(failed.name, why, fate, str(output or "")))

    def _output(self, worker: Worker, failed: pulumi.ErrorHookArgs) -> Path | None:
        """The file that what a step said is kept in. It lies on the server, which goes now."""
        if failed.type != COMMAND or is_interruption(failed.errors[0]):
            return None
        return keep_output(self.stack, failed.name, failed.errors[0], self.logins.get(worker.name))

    def _release(self, worker: Worker) -> str:
        if self.keep_servers:
            logins = [login for item in worker.both if (login := self.logins.get(item.name))]
            return KEPT + "".join(LOG_IN.format(command=login.write()) for login in logins)
        if self.go_on:
            for item in worker.both:
                self.cloud.remove_server(item.name, item.labels)
            return RELEASED_ALONE
        self.cloud.remove_servers_of(self.stack)
        return RELEASED
