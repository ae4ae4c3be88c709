"""Every reason for a change has words of its own; tests/images/test_changes.py has most of them."""

import pytest

from cli.reasons import text
from images.causes import Cause, Reason


@pytest.mark.parametrize("cause", Cause, ids=lambda cause: cause.name)
def test_every_cause_has_words(cause: Cause) -> None:
    reason = Reason(cause, ("NAME",), "OLD", "NEW")
    others = {text(Reason(other, ("NAME",), "OLD", "NEW")) for other in Cause if other is not cause}
    assert text(reason)
    assert text(reason) not in others


def test_a_date_is_told_to_the_minute_where_it_is_no_midnight() -> None:
    moved = Reason(Cause.AS_OF, (), "20261101T000000Z", "20261124T063000Z")
    assert text(moved) == "asOf 2026-11-01 → 2026-11-24 06:30"
    assert text(Reason(Cause.AS_OF, (), "", "20261101T000000Z")) == "asOf none → 2026-11-01"
