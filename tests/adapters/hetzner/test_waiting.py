"""How often something is asked for, with a clock of its own."""

import pytest

from adapters.hetzner.waiting import Rarely, often, pause, polls, times_to_ask
from tests.adapters.hetzner.clock import Clock, clock

__all__ = ["clock"]


def test_pauses_begin_short_and_end_at_some_seconds() -> None:
    assert [pause(asked) for asked in (1, 2, 3, 4, 5, 6, 1000)] == [0.5, 1, 2, 4, 5, 5, 5]


def test_a_wait_ends_with_a_last_question_when_its_time_is_over(clock: Clock) -> None:
    assert list(polls(10)) == [0.5, 1.5, 3.5, 7.5, 10]


def test_what_costs_nothing_is_asked_often(clock: Clock) -> None:
    assert list(polls(2, often)) == [0.5, 1, 1.5, 2]


@pytest.mark.parametrize("seconds", [1, 90, 900])
def test_the_sdk_which_counts_gives_up_when_the_time_is_over(seconds: float) -> None:
    asked = times_to_ask(seconds)
    waited = sum(pause(number) for number in range(1, asked))
    assert seconds <= waited < seconds + 5


def test_beside_another_sign_the_api_is_asked_rarely(clock: Clock) -> None:
    rarely = Rarely()
    assert [waited for waited in polls(120, often) if rarely.is_due(waited)] == [2, 6, 14, 30, 60, 90, 120]
