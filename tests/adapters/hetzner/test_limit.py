"""How long is waited when the limit of requests is used up."""

import pytest

from adapters.hetzner.limit import seconds_until_reset


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("1042", 42),
        ("1000", 1),
        ("990", 1),
        ("4600", 60),
        ("soon", 60),
    ],
    ids=["until then", "now", "already", "an hour is cut", "not a time"],
)
def test_it_is_waited_until_the_reset_and_a_minute_at_most(reset: str, seconds: float) -> None:
    assert seconds_until_reset({"RateLimit-Reset": reset}, 1000) == seconds


def test_without_the_header_it_is_a_minute() -> None:
    assert seconds_until_reset({}, 1000) == 60
