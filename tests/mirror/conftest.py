"""Fixtures: a mirror in temporary folders, with an upstream that answers or one that does not."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.mirror.doubles import FakeUpstream, Place


@pytest.fixture
def upstream() -> Iterator[FakeUpstream]:
    server = FakeUpstream()
    yield server
    server.close()


@pytest.fixture
def place(tmp_path: Path, upstream: FakeUpstream) -> Place:
    return Place(tmp_path, upstream.base)


@pytest.fixture
def nowhere() -> str:
    """The base URL of an upstream that does not answer: a port that was free a moment ago."""
    gone = FakeUpstream()
    gone.close()
    return gone.base


@pytest.fixture
def offline(tmp_path: Path, nowhere: str) -> Place:
    return Place(tmp_path, nowhere)
