"""kill -9 beside busy clients, at a few moments; `python -m tests.sandbox.kills` takes 200."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random

import pytest

from sandbox.projects import Projects
from sandbox.resources.catalogue.models import location, server_type
from sandbox.resources.servers.models import NewServer
from sandbox.settings import Home, MachineKind, Settings
from tests.sandbox import kills
from tests.sandbox.conftest import Sandbox, free_port


@pytest.mark.parametrize(("machines", "moments"), [("none", 4), ("light", 3)])
def test_nothing_that_was_accepted_is_lost(make_sandbox: Callable[..., Sandbox], machines: str, moments: int) -> None:
    sandbox = make_sandbox(machines=machines, ssh_port=free_port())
    found = list(kills.moments(sandbox, moments, seed=7))
    assert [problem for _, problems in found for problem in problems] == []
    assert sum(answered for answered, _ in found) > 10, "nobody was busy"


def test_a_deletion_that_was_interrupted_is_finished_and_says_so(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.make()
    first = Projects(home, Settings(machines=MachineKind.none)).first
    new = NewServer("s", server_type("cx23"), location("fsn1"), first.images.find("debian-13", "x86"))
    server = first.servers.records.save(first.servers.new_record(new))
    first.servers.set_status(server, "deleting")
    action = first.actions.begin("delete_server", ("server", server.id))
    first.store.close()
    again = Projects(home, Settings(machines=MachineKind.none))
    asyncio.run(again.open())
    assert again.first.actions.get(action.id).status == "success"
    assert len(again.first.servers.records) == 0


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
