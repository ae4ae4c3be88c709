"""Volumes: shapes, rules and errors. What a machine sees of one is tested in tests/sandbox/vm."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from os import kill
from typing import Any

import hcloud
import pytest
from hcloud.locations import Location

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.steps import SERVER, bad_fields, new_server, refused, server, settled, slowed

NEW = {"name": "v", "size": 10, "location": "fsn1"}


def create(client: ValidatingClient, **changes: Any) -> dict[str, Any]:
    answer = settled(client, client.post("/volumes", json=NEW | changes))
    shown: dict[str, Any] = client.get(f"/volumes/{answer['volume']['id']}").json()["volume"]
    return shown


def test_sdk_creates_attaches_resizes_and_deletes(sdk: Any, client: ValidatingClient) -> None:
    holder = sdk.servers.get_by_id(new_server(client))
    made = sdk.volumes.create(size=10, name="v", location=Location(name="fsn1"), format="ext4", labels={"a": "b"})
    made.action.wait_until_finished()
    volume = sdk.volumes.get_by_name("v")
    assert (volume.status, volume.format, volume.server) == ("available", "ext4", None)
    assert volume.linux_device == f"/dev/disk/by-id/scsi-0HC_Volume_{volume.id}"
    volume.attach(holder, automount=True).wait_until_finished()
    assert [item.id for item in sdk.servers.get_by_id(holder.id).volumes] == [volume.id]
    with pytest.raises(hcloud.APIException) as again:
        volume.attach(holder)
    assert again.value.code == "volume_already_attached"
    with pytest.raises(hcloud.APIException, match="still attached to a server"):
        volume.delete()
    volume.resize(20).wait_until_finished()
    assert sdk.volumes.get_by_id(volume.id).size == 20
    volume.detach().wait_until_finished()
    assert volume.delete()


def test_created_for_a_server_and_kept_without_it(client: ValidatingClient) -> None:
    number = new_server(client, location="nbg1")
    answer = settled(client, client.post("/volumes", json={"name": "v", "size": 10, "server": number}))
    assert (answer["action"]["command"], answer["next_actions"][0]["command"]) == ("create_volume", "attach_volume")
    volume = client.get(f"/volumes/{answer['volume']['id']}").json()["volume"]
    assert (volume["server"], volume["location"]["name"]) == (number, "nbg1")
    settled(client, client.delete(f"/servers/{number}"))
    assert client.get(f"/volumes/{volume['id']}").json()["volume"]["server"] is None


def test_servers_are_created_with_volumes(client: ValidatingClient) -> None:
    one, two = create(client), create(client, name="w")
    body = SERVER | {"volumes": [one["id"], two["id"], one["id"]], "automount": False, "location": None}
    answer = settled(client, client.post("/servers", json=body))
    assert [action["command"] for action in answer["next_actions"]] == ["attach_volume", "attach_volume"]
    assert server(client, answer["server"]["id"])["volumes"] == [one["id"], two["id"]]
    elsewhere = create(client, name="x", location="hel1")
    other = SERVER | {"name": "other"}
    assert bad_fields(client.post("/servers", json=other | {"volumes": [elsewhere["id"]]})) == ["server"]
    refused(client.post("/servers", json=other | {"volumes": [one["id"]]}), 422, "volume_already_attached")


def test_a_server_that_cannot_be_made_leaves_its_volumes(sandbox: Sandbox, client: ValidatingClient) -> None:
    volume = create(client)
    sandbox.control("POST", "/faults", json={"kind": "action_error", "action": "create_server"})
    made = client.post("/servers", json=SERVER | {"volumes": [volume["id"]]}).json()
    wait_for(lambda: client.get(f"/actions/{made['next_actions'][0]['id']}").json()["action"]["status"] == "error")
    assert client.get(f"/volumes/{volume['id']}").json()["volume"]["server"] is None
    assert client.get("/primary_ips").json()["primary_ips"] == []


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"name": "-v"}, ["name"]),
        ({"name": "v" * 65}, ["name"]),
        ({"size": 9}, ["size"]),
        ({"size": 10241}, ["size"]),
        ({"size": 10.5}, ["size"]),
        ({"format": "btrfs"}, ["format"]),
        ({"automount": True}, ["automount"]),
        ({"location": None}, ["location"]),
        ({"server": 1}, ["location"]),
        ({"labels": {"a": "-"}}, ["labels"]),
    ],
)
def test_what_is_not_taken(client: ValidatingClient, changes: dict[str, Any], fields: list[str]) -> None:
    assert bad_fields(client.post("/volumes", json=NEW | changes)) == fields


def test_what_is_refused(client: ValidatingClient) -> None:
    refused(client.get("/volumes/1"), 404, "not_found")
    refused(client.post("/volumes", json=NEW | {"location": "moon1"}), 404, "not_found")
    path = f"/volumes/{create(client)['id']}"
    refused(client.post("/volumes", json=NEW), 409, "uniqueness_error")
    elsewhere = new_server(client, location="nbg1")
    assert bad_fields(client.post(f"{path}/actions/attach", json={"server": elsewhere})) == ["server"]
    refused(client.post(f"{path}/actions/attach", json={"server": 1}), 404, "not_found")
    refused(client.post(f"{path}/actions/detach"), 422, "service_error")
    for size in (10, 5, 10241, 20.5):
        assert bad_fields(client.post(f"{path}/actions/resize", json={"size": size})) == ["size"]
    settled(client, client.post(f"{path}/actions/change_protection", json={"delete": True}))
    refused(client.delete(path), 423, "protected")
    settled(client, client.post(f"{path}/actions/change_protection", json={}))
    assert client.get(path).json()["volume"]["protection"] == {"delete": True}
    assert client.get("/volumes?status=creating").json()["volumes"] == []
    assert bad_fields(client.get("/volumes?status=full")) == ["status"]


def test_a_server_has_at_most_16(client: ValidatingClient) -> None:
    number = new_server(client)
    for index in range(16):
        settled(client, client.post("/volumes", json={"name": f"v{index}", "size": 10, "server": number}))
    refused(client.post("/volumes", json={"name": "v", "size": 10, "server": number}), 403, "resource_limit_exceeded")


def test_both_are_locked_while_it_is_attached(sandbox: Sandbox, client: ValidatingClient) -> None:
    number, volume = new_server(client), create(client)
    slowed(sandbox, "attach_volume")
    path = f"/volumes/{volume['id']}"
    answer = client.post(f"{path}/actions/attach", json={"server": number})
    refused(client.delete(path), 423, "locked")
    refused(client.post(f"{path}/actions/resize", json={"size": 20}), 423, "locked")
    refused(client.post("/volumes", json={"name": "w", "size": 10, "server": number}), 423, "locked")
    refused(client.delete(f"/servers/{number}"), 423, "locked")
    settled(client, answer)


def test_all_of_it_outlives_a_kill(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox().started()
    with sandbox.client() as client:
        number, volume = new_server(client), create(client, format="xfs", labels={"a": "b"})
        settled(client, client.post(f"/volumes/{volume['id']}/actions/attach", json={"server": number}))
        before = client.get("/volumes").json()["volumes"]
        kill(sandbox.pid(), signal.SIGKILL)
        sandbox.started()
        assert client.get("/volumes").json()["volumes"] == before
        assert server(client, number)["volumes"] == [volume["id"]]


def test_the_command_line_tool(sandbox: Sandbox, client: ValidatingClient) -> None:
    def run(*arguments: str) -> str:
        done = sandbox.hcloud_cli("volume", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    number = new_server(client)
    run("create", "--name", "v", "--size", "10", "--server", "s", "--automount", "--format", "ext4")
    assert json.loads(run("describe", "v", "-o", "json"))["server"] == number
    run("detach", "v")
    run("attach", "v", "--server", "s")
    run("resize", "v", "--size", "12")
    run("add-label", "v", "a=b")
    assert run("list", "-l", "a=b", "-o", "columns=name,size", "-o", "noheader").split()[:2] == ["v", "12"]
    run("detach", "v")
    run("enable-protection", "v", "delete")
    run("disable-protection", "v", "delete")
    run("delete", "v")
