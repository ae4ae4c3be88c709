"""kill -9 beside busy clients, at a few moments; `python -m tests.sandbox.kills` takes 200."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from tests.sandbox import kills
from tests.sandbox.conftest import Sandbox, free_port


@pytest.mark.parametrize(("machines", "moments"), [("none", 4), ("light", 3)])
def test_nothing_that_was_accepted_is_lost(make_sandbox: Callable[..., Sandbox], machines: str, moments: int) -> None:
    sandbox = make_sandbox(machines=machines, ssh_port=free_port())
    found = list(kills.moments(sandbox, moments, seed=7))
    assert [problem for _, problems in found for problem in problems] == []
    assert sum(answered for answered, _ in found) > 10, "nobody was busy"


def test_what_is_lost_would_be_seen(sandbox: Sandbox) -> None:
    with sandbox.client() as http:
        client = kills.Client("c", http, Random(1))
        client.create("servers")
        client.create("firewalls")
        server, wall = client.things
        client.delete(server)
        server.deleted = False
        client.things.append(server)
        client.gone.append(wall)
        client.http.put(wall.path, json={"labels": {}})
        assert len(list(kills.problems(client))) == 3
