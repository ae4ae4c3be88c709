"""Placement groups: servers in and out, the limit of ``spread``, and what is refused."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import hcloud
import pytest
from hcloud.images import Image
from hcloud.placement_groups import PlacementGroup
from hcloud.server_types import ServerType

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.test_errors import GOOD, error, fields


def new_group(client: ValidatingClient, name: str = "g") -> int:
    return int(client.post("/placement_groups", json={"name": name, "type": "spread"}).json()["placement_group"]["id"])


def new_server(client: ValidatingClient, name: str, **more: object) -> int:
    made = client.post("/servers", json=GOOD | {"name": name} | more).json()["server"]["id"]
    wait_for(lambda: client.get(f"/servers/{made}").json()["server"]["locked"] is False)
    return int(made)


def test_hcloud_python_creates_a_server_in_a_group_and_moves_it(sdk: Any) -> None:
    first = sdk.placement_groups.create(name="one", type="spread", labels={"a": "b"}).placement_group
    second = sdk.placement_groups.create(name="two", type=PlacementGroup.TYPE_SPREAD).placement_group
    kind, image = ServerType(name="cx23"), Image(name="debian-13")
    made = sdk.servers.create(name="s", server_type=kind, image=image, placement_group=first, start_after_create=False)
    made.action.wait_until_finished()
    server = sdk.servers.get_by_id(made.server.id)
    assert server.placement_group.name == "one" and sdk.placement_groups.get_by_name("one").servers == [server.id]
    with pytest.raises(hcloud.APIException, match="placement group") as refused:
        first.delete()
    assert refused.value.code == "resource_in_use"
    server.remove_from_placement_group().wait_until_finished()
    server.add_to_placement_group(second).wait_until_finished()
    assert sdk.servers.get_by_id(server.id).placement_group.id == second.id
    first.delete()
    renamed = second.update(name="three", labels={"c": "d"})
    assert (renamed.name, renamed.labels) == ("three", {"c": "d"})
    server.delete().wait_until_finished()
    assert sdk.placement_groups.get_by_name("three").servers == []


def test_hcloud_creates_and_deletes_a_group(sandbox: Sandbox) -> None:
    def hcloud_cli(*arguments: str) -> str:
        done = sandbox.hcloud_cli(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    hcloud_cli("placement-group", "create", "--name", "g", "--type", "spread")
    create = ("server", "create", "--name", "s", "--type", "cx23", "--image", "debian-13")
    hcloud_cli(*create, "--placement-group", "g", "--start-after-create=false")
    hcloud_cli("server", "remove-from-placement-group", "s")
    hcloud_cli("server", "add-to-placement-group", "--placement-group", "g", "s")
    hcloud_cli("placement-group", "add-label", "g", "a=b")
    assert "a: b" in hcloud_cli("placement-group", "describe", "g")  # this version cannot with -o json
    shown = json.loads(hcloud_cli("placement-group", "list", "-o", "json"))
    assert [(group["labels"], len(group["servers"])) for group in shown] == [({"a": "b"}, 1)]
    hcloud_cli("server", "delete", "s")
    hcloud_cli("placement-group", "delete", "g")


def test_the_eleventh_server_has_no_place(client: ValidatingClient) -> None:
    group = new_group(client)
    for number in range(9):
        new_server(client, f"s{number}", placement_group=group)
    outside = new_server(client, "outside")
    client.post(f"/servers/{outside}/actions/add_to_placement_group", json={"placement_group": group})
    assert len(client.get(f"/placement_groups/{group}").json()["placement_group"]["servers"]) == 10
    error(client.post("/servers", json=GOOD | {"name": "more", "placement_group": group}), 422, "placement_error")
    more = new_server(client, "more")
    add = f"/servers/{more}/actions/add_to_placement_group"
    error(client.post(add, json={"placement_group": group}), 422, "placement_error")


def test_at_once_no_more_than_ten_get_in(client: ValidatingClient) -> None:
    group = new_group(client)

    def create(number: int) -> int:
        body = GOOD | {"name": f"s{number}", "placement_group": group}
        return client.post("/servers", json=body).status_code

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(create, range(14)))
    assert sorted(statuses) == [201] * 10 + [422] * 4
    wait_for(lambda: not any(server["locked"] for server in client.get("/servers").json()["servers"]))


def test_what_is_refused(client: ValidatingClient) -> None:
    group = new_group(client)
    assert fields(client.post("/placement_groups", json={})) == ["name", "type"]
    assert fields(client.post("/placement_groups", json={"name": "x", "type": "pack"})) == ["type"]
    error(client.post("/placement_groups", json={"name": "g", "type": "spread"}), 409, "uniqueness_error")
    error(client.get("/placement_groups/1"), 404, "not_found")
    error(client.post("/servers", json=GOOD | {"placement_group": 1}), 404, "not_found")
    server = new_server(client, "s", start_after_create=True)
    add, remove = (f"/servers/{server}/actions/{verb}_placement_group" for verb in ("add_to", "remove_from"))
    error(client.post(add, json={"placement_group": group}), 422, "server_not_stopped")
    error(client.post(add, json={"placement_group": 1}), 404, "not_found")
    assert fields(client.post(add, json={"placement_group": "g"})) == ["placement_group"]
    assert fields(client.post(remove)) == ["placement_group"]
    client.post(f"/servers/{server}/actions/poweroff")
    wait_for(lambda: client.get(f"/servers/{server}").json()["server"]["status"] == "off")
    assert client.post(add, json={"placement_group": group}).status_code == 201
    other = new_group(client, "other")
    assert fields(client.post(add, json={"placement_group": other})) == ["placement_group"]
    other_name = client.put(f"/placement_groups/{other}", json={"name": "g"})
    error(other_name, 409, "uniqueness_error")


def test_a_project_has_fifty_groups(client: ValidatingClient) -> None:
    for number in range(50):
        new_group(client, f"g{number}")
    full = client.post("/placement_groups", json={"name": "more", "type": "spread"})
    error(full, 403, "resource_limit_exceeded")


def test_groups_outlive_a_kill(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox().started()
    with sandbox.client() as client:
        group = new_group(client)
        server = new_server(client, "s", placement_group=group)
    pid = sandbox.pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))  # noqa: PTH110
    sandbox.started()
    with sandbox.client() as client:
        assert client.get(f"/placement_groups/{group}").json()["placement_group"]["servers"] == [server]
