"""Every check that `make lint` runs, one test each."""

import pytest

from tools.lint import CHECKS, Check


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
def test_sources_pass(check: Check) -> None:
    wrong = check.run()
    assert wrong is None, wrong
