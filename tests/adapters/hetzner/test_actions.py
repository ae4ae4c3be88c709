"""How an action is waited for, with a clock of its own and actions that end when it says so."""

import pytest
from hcloud.actions import ActionFailedException

from adapters.hetzner.actions import wait_for
from adapters.hetzner.errors import CloudError
from tests.adapters.hetzner.clock import Clock, clock

__all__ = ["clock"]


class Action:
    """Runs until its time. `asked`: when it was looked at."""

    STATUS_RUNNING, STATUS_ERROR = "running", "error"

    def __init__(self, clock: Clock, until: float, end: str = "success") -> None:
        self.clock, self.until, self.end = clock, until, end
        self.status, self.command, self.progress = "running", "create_server", 42
        self.id, self.error = 7, {"code": "action_failed", "message": "no"}
        self.asked: list[float] = []

    def reload(self) -> None:
        self.asked.append(self.clock.now)
        self.status = "running" if self.clock.now < self.until else self.end


def wait(*actions: Action, **options: object) -> None:
    wait_for(actions, "server x", 900, **options)  # type: ignore[arg-type]


def test_it_is_asked_for_less_and_less_often(clock: Clock) -> None:
    action = Action(clock, 20)
    wait(action)
    assert action.asked == [0.5, 1.5, 3.5, 7.5, 12.5, 17.5, 22.5]


def test_the_next_one_is_looked_at_only_when_the_first_has_ended(clock: Clock) -> None:
    first, second = Action(clock, 3), Action(clock, 5)
    wait(first, second)
    assert (first.asked, second.asked) == ([0.5, 1.5, 3.5], [3.5, 7.5])


def test_a_sign_ends_the_wait_and_meanwhile_it_is_asked_for_rarely(clock: Clock) -> None:
    action = Action(clock, 1000)
    wait(action, sign=lambda: clock.now >= 90.5)
    assert (action.asked, clock.now) == ([2, 6, 14, 30, 60, 90], 90.5)


def test_without_a_sign_it_ends_all_the_same(clock: Clock) -> None:
    wait(Action(clock, 10), sign=lambda: False)
    assert clock.now == 14


def test_one_that_fails_is_told(clock: Clock) -> None:
    with pytest.raises(ActionFailedException):
        wait(Action(clock, 3, "error"), sign=lambda: False)


def test_one_that_never_ends_is_told_with_what_was_waited_for(clock: Clock) -> None:
    with pytest.raises(CloudError, match=r"server x: waited 900 s .* finish create_server, and it is at\s+42 %"):
        wait(Action(clock, 1e9))
    assert clock.now == 900


def test_what_has_ended_already_is_not_asked_for(clock: Clock) -> None:
    action = Action(clock, 0)
    action.status = "success"
    wait(action)
    assert (action.asked, clock.now) == ([], 0)
