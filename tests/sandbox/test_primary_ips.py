"""Primary IPs: every address of a server is one, and they come and go as the document of the API says."""

from __future__ import annotations

import json
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from os import kill
from typing import Any

import hcloud
import pytest
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType
from hcloud.servers import ServerCreatePublicNetwork

from tests.sandbox.conftest import Sandbox
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.steps import SERVER, bad_fields, new_server, refused, server, settled, slowed

NEW = {"name": "ip", "type": "ipv4", "assignee_type": "server", "location": "fsn1"}


def create(client: ValidatingClient, **changes: Any) -> dict[str, Any]:
    made: dict[str, Any] = settled(client, client.post("/primary_ips", json=NEW | changes))["primary_ip"]
    return made


def shown(client: ValidatingClient, number: int) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/primary_ips/{number}").json()["primary_ip"]
    return found


def test_every_server_has_its_own_listed(client: ValidatingClient) -> None:
    number = new_server(client)
    listed = {item["id"]: item for item in client.get("/primary_ips").json()["primary_ips"]}
    net = server(client, number)["public_net"]
    assert set(listed) == {net["ipv4"]["id"], net["ipv6"]["id"]}
    ipv4, ipv6 = listed[net["ipv4"]["id"]], listed[net["ipv6"]["id"]]
    assert (ipv4["ip"], ipv6["ip"]) == (net["ipv4"]["ip"], net["ipv6"]["ip"])
    assert all(item["assignee_id"] == number and item["auto_delete"] for item in listed.values())
    assert client.get(f"/primary_ips?ip={ipv4['ip']}").json()["primary_ips"] == [ipv4]
    settled(client, client.delete(f"/servers/{number}"))
    assert client.get("/primary_ips").json()["primary_ips"] == []


def test_sdk_creates_assigns_and_deletes(sdk: Any) -> None:
    made = sdk.primary_ips.create(type="ipv4", name="a", location=Location(name="hel1"), labels={"x": "y"})
    assert made.action is None and made.primary_ip.assignee_id is None
    address = made.primary_ip
    address.update(name="b", labels={}, auto_delete=True)
    assert sdk.primary_ips.get_by_name("b").auto_delete is True
    address.update(auto_delete=False)
    net = ServerCreatePublicNetwork(ipv4=address, enable_ipv6=False)
    kind, image = ServerType(name="cx23"), Image(name="debian-13")
    created = sdk.servers.create(name="s", server_type=kind, image=image, public_net=net)
    for action in (created.action, *created.next_actions):
        action.wait_until_finished()
    found = sdk.servers.get_by_id(created.server.id)
    assert (found.public_net.ipv4.ip, found.public_net.ipv6) == (address.ip, None)
    assert found.location.name == "hel1", "where its address is"
    with pytest.raises(hcloud.APIException, match="must be powered off"):
        address.unassign()
    with pytest.raises(hcloud.APIException, match="unassign it first") as kept:
        address.delete()
    assert kept.value.code == "must_be_unassigned"
    found.power_off().wait_until_finished()
    address.unassign().wait_until_finished()
    assert sdk.servers.get_by_id(found.id).public_net.ipv4 is None
    address.assign(assignee_id=found.id, assignee_type="server").wait_until_finished()
    found.delete().wait_until_finished()
    assert sdk.primary_ips.get_by_id(address.id).assignee_id is None, "it was not to be deleted with the server"
    assert address.delete()


def test_two_addresses_change_places(client: ValidatingClient) -> None:
    number, spare = new_server(client), create(client)
    own = server(client, number)["public_net"]["ipv4"]
    to_server = {"assignee_id": number, "assignee_type": "server"}
    refused(client.post(f"/primary_ips/{spare['id']}/actions/assign", json=to_server), 422, "server_has_ipv4")
    settled(client, client.post(f"/primary_ips/{own['id']}/actions/unassign"))
    settled(client, client.post(f"/primary_ips/{spare['id']}/actions/assign", json=to_server))
    again = client.post(f"/primary_ips/{spare['id']}/actions/assign", json=to_server)
    refused(again, 422, "primary_ip_already_assigned")
    assert server(client, number)["public_net"]["ipv4"]["ip"] == spare["ip"]
    other = new_server(client, "other")
    assert server(client, other)["public_net"]["ipv4"]["ip"] not in (own["ip"], spare["ip"])


def test_created_for_a_server(client: ValidatingClient) -> None:
    bare = new_server(client, public_net={"enable_ipv4": False, "enable_ipv6": True})
    assert server(client, bare)["public_net"]["ipv4"] is None
    body = {"name": "ip", "type": "ipv4", "assignee_id": bare, "assignee_type": "server", "auto_delete": True}
    answer = settled(client, client.post("/primary_ips", json=body))
    assert answer["primary_ip"]["assignee_id"] == bare and answer["action"]["command"] == "assign_primary_ip"
    assert server(client, bare)["public_net"]["ipv4"]["id"] == answer["primary_ip"]["id"]
    refused(client.post("/primary_ips", json=body | {"name": "b"}), 422, "server_has_ipv4")
    refused(client.post("/primary_ips", json=body | {"name": "b", "type": "ipv6"}), 422, "server_has_ipv6")
    settled(client, client.post(f"/servers/{bare}/actions/poweron"))
    refused(client.post("/primary_ips", json=body | {"name": "b"}), 422, "server_not_stopped")


def test_a_server_without_any_address_is_not_powered_on(client: ValidatingClient) -> None:
    none = {"enable_ipv4": False, "enable_ipv6": False}
    body = SERVER | {"public_net": none, "start_after_create": True}
    assert bad_fields(client.post("/servers", json=body)) == ["public_net"]
    number = new_server(client, public_net=none)
    refused(client.post(f"/servers/{number}/actions/poweron"), 422, "service_error")
    create(client, assignee_id=number, location=None)
    settled(client, client.post(f"/servers/{number}/actions/poweron"))


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"type": "ipv5", "auto_delete": "no"}, ["auto_delete", "type"]),
        ({"assignee_type": "load_balancer"}, ["assignee_type"]),
        ({"location": None}, ["location"]),
        ({"assignee_id": 1}, ["assignee_id", "location"]),
        ({"labels": {"a b": "c"}}, ["labels"]),
    ],
)
def test_what_is_not_taken(client: ValidatingClient, changes: dict[str, Any], fields: list[str]) -> None:
    assert bad_fields(client.post("/primary_ips", json=NEW | changes)) == fields


def test_what_is_not_there_or_taken(client: ValidatingClient) -> None:
    refused(client.post("/primary_ips", json=NEW | {"location": "moon1"}), 404, "not_found")
    refused(client.post("/primary_ips", json=NEW | {"location": None, "assignee_id": 1}), 404, "not_found")
    refused(client.get("/primary_ips/1"), 404, "not_found")
    create(client)
    refused(client.post("/primary_ips", json=NEW), 409, "uniqueness_error")
    other = create(client, name="other")
    refused(client.put(f"/primary_ips/{other['id']}", json={"name": "ip"}), 409, "uniqueness_error")


@pytest.mark.parametrize(
    ("changes", "code"),
    [({"type": "ipv6"}, "primary_ip_version_mismatch"), ({"location": "nbg1"}, "primary_ip_datacenter_mismatch")],
)
def test_servers_take_only_addresses_that_fit(client: ValidatingClient, changes: dict[str, Any], code: str) -> None:
    address = create(client, **changes)
    refused(client.post("/servers", json=SERVER | {"public_net": {"ipv4": address["id"]}}), 422, code)
    assert client.get("/servers").json()["servers"] == []


def test_servers_take_only_addresses_that_are_free(client: ValidatingClient) -> None:
    taken = server(client, new_server(client))["public_net"]["ipv4"]["id"]
    body = SERVER | {"name": "other", "public_net": {"ipv4": taken}}
    refused(client.post("/servers", json=body), 422, "primary_ip_assigned")
    refused(client.post("/servers", json=body | {"public_net": {"ipv4": 1}}), 404, "not_found")
    off = {"ipv4": taken, "enable_ipv4": False}
    assert bad_fields(client.post("/servers", json=body | {"public_net": off})) == ["public_net"]


def test_an_address_elsewhere_is_not_assigned(client: ValidatingClient) -> None:
    bare, address = new_server(client, public_net={"enable_ipv4": False}), create(client, location="nbg1")
    body = {"assignee_id": bare, "assignee_type": "server"}
    assert bad_fields(client.post(f"/primary_ips/{address['id']}/actions/assign", json=body)) == ["assignee_id"]
    refused(client.post(f"/primary_ips/{address['id']}/actions/unassign"), 422, "service_error")


def test_protection_and_auto_delete_exclude_each_other(client: ValidatingClient) -> None:
    path = f"/primary_ips/{create(client)['id']}"
    settled(client, client.post(f"{path}/actions/change_protection", json={"delete": True}))
    refused(client.delete(path), 423, "protected")
    assert bad_fields(client.put(path, json={"auto_delete": True})) == ["auto_delete"]
    settled(client, client.post(f"{path}/actions/change_protection", json={"delete": False}))
    assert client.put(path, json={"auto_delete": True}).json()["primary_ip"]["auto_delete"] is True
    assert bad_fields(client.post(f"{path}/actions/change_protection", json={"delete": True})) == ["delete"]
    assert client.delete(path).status_code == 204


def test_reverse_dns(client: ValidatingClient) -> None:
    number = new_server(client)
    net = server(client, number)["public_net"]
    usual, change = net["ipv4"]["dns_ptr"], f"/servers/{number}/actions/change_dns_ptr"
    settled(client, client.post(change, json={"ip": net["ipv4"]["ip"], "dns_ptr": "a.example.com"}))
    inner = net["ipv6"]["ip"].replace("::/64", "::1")
    answer = settled(client, client.post(change, json={"ip": inner, "dns_ptr": "b.example.com"}))
    assert [item["type"] for item in answer["action"]["resources"]] == ["server"]
    named = server(client, number)["public_net"]
    assert named["ipv4"]["dns_ptr"] == "a.example.com"
    assert named["ipv6"]["dns_ptr"] == [{"ip": inner, "dns_ptr": "b.example.com"}]
    assert shown(client, net["ipv4"]["id"])["dns_ptr"] == [{"ip": net["ipv4"]["ip"], "dns_ptr": "a.example.com"}]
    by_ip = f"/primary_ips/{net['ipv6']['id']}/actions/change_dns_ptr"
    settled(client, client.post(by_ip, json={"ip": inner, "dns_ptr": None}))
    settled(client, client.post(change, json={"ip": net["ipv4"]["ip"], "dns_ptr": None}))
    reset = server(client, number)["public_net"]
    assert (reset["ipv4"]["dns_ptr"], reset["ipv6"]["dns_ptr"]) == (usual, [])
    assert bad_fields(client.post(change, json={"ip": "192.0.2.1", "dns_ptr": "a.example.com"})) == ["ip"]
    assert bad_fields(client.post(change, json={"ip": "x", "dns_ptr": "a.example.com"})) == ["ip"]
    assert bad_fields(client.post(change, json={"ip": inner, "dns_ptr": "no name"})) == ["dns_ptr"]
    assert bad_fields(client.post(change, json={})) == ["dns_ptr", "ip"]


def test_the_quota_counts_addresses_without_a_server(sandbox: Sandbox, client: ValidatingClient) -> None:
    sandbox.control("PUT", "/conditions", json={"quotas": {"primary_ips": 1}})
    address = create(client)
    refused(client.post("/primary_ips", json=NEW | {"name": "b"}), 403, "resource_limit_exceeded")
    create(client, name="six", type="ipv6")
    refused(client.post("/servers", json=SERVER), 403, "resource_limit_exceeded")
    new_server(client, public_net={"ipv4": address["id"]})


def test_only_one_of_two_that_take_the_same_address_gets_it(sandbox: Sandbox, client: ValidatingClient) -> None:
    address = create(client)
    first, second = (new_server(client, name, public_net={"enable_ipv4": False}) for name in ("a", "b"))
    slowed(sandbox, "assign_primary_ip")
    path = f"/primary_ips/{address['id']}"
    bodies = [{"assignee_id": number, "assignee_type": "server"} for number in (first, second)]
    answer = client.post(f"{path}/actions/assign", json=bodies[0])
    assert answer.json()["action"]["status"] == "running"
    refused(client.post(f"{path}/actions/assign", json=bodies[1]), 423, "locked")
    refused(client.delete(path), 423, "locked")
    refused(client.delete(f"/servers/{first}"), 423, "locked")
    settled(client, answer)
    refused(client.post(f"{path}/actions/assign", json=bodies[1]), 422, "primary_ip_already_assigned")


def test_all_of_it_outlives_a_kill(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox().started()
    with sandbox.client() as client:
        number, spare = new_server(client), create(client, labels={"a": "b"})
        own = server(client, number)["public_net"]["ipv4"]
        change = {"ip": spare["ip"], "dns_ptr": "kept.example.com"}
        settled(client, client.post(f"/primary_ips/{spare['id']}/actions/change_dns_ptr", json=change))
        settled(client, client.post(f"/primary_ips/{own['id']}/actions/unassign"))
        to_server = {"assignee_id": number, "assignee_type": "server"}
        settled(client, client.post(f"/primary_ips/{spare['id']}/actions/assign", json=to_server))
        before = client.get("/primary_ips").json()["primary_ips"]
        kill(sandbox.pid(), signal.SIGKILL)
        sandbox.started()
        assert client.get("/primary_ips").json()["primary_ips"] == before
        net = server(client, number)["public_net"]
        assert (net["ipv4"]["id"], net["ipv4"]["dns_ptr"]) == (spare["id"], "kept.example.com")
        settled(client, client.post(f"/servers/{number}/actions/poweron"))
        settled(client, client.delete(f"/servers/{number}"))
        assert {item["assignee_id"] for item in client.get("/primary_ips").json()["primary_ips"]} == {None}


def test_servers_of_an_older_state_get_their_primary_ips(make_sandbox: Callable[..., Sandbox]) -> None:
    """Then a server's record said itself whether it has addresses."""
    sandbox = make_sandbox().started()
    with sandbox.client() as client:
        number = new_server(client)
        before = server(client, number)["public_net"]["ipv4"]["ip"]
        assert sandbox.command("stop").returncode == 0
        with closing(sqlite3.connect(sandbox.home / "state.db")) as db, db:
            db.execute("delete from documents where kind like '%primary_ip'")
            db.execute(
                "update documents set body = json_set(body, '$.ipv4', json('true'), '$.ipv6', json('false'))"
                " where kind like '%server'"
            )
        sandbox.started()
        net = server(client, number)["public_net"]
        assert (net["ipv4"]["ip"], net["ipv6"]) == (before, None)
        assert shown(client, net["ipv4"]["id"])["auto_delete"] is True
        settled(client, client.delete(f"/servers/{number}"))
        assert client.get("/primary_ips").json()["primary_ips"] == []


def test_the_command_line_tool(sandbox: Sandbox) -> None:
    def run(*arguments: str) -> str:
        done = sandbox.hcloud_cli(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("primary-ip", "create", "--name", "p", "--type", "ipv4", "--datacenter", "fsn1-dc14")
    run("primary-ip", "update", "p", "--auto-delete=false")
    address = json.loads(run("primary-ip", "describe", "p", "-o", "json"))["ip"]
    run("primary-ip", "set-rdns", "p", "--ip", address, "--hostname", "p.example.com")
    run("primary-ip", "add-label", "p", "a=b")
    run("primary-ip", "enable-protection", "p")
    assert sandbox.hcloud_cli("primary-ip", "delete", "p").returncode != 0
    run("primary-ip", "disable-protection", "p")
    given = ("--type", "cx23", "--image", "debian-13", "--location", "fsn1", "--start-after-create=false")
    run("server", "create", "--name", "s", "--without-ipv4", *given)
    number = json.loads(run("server", "describe", "s", "-o", "json"))["id"]
    run("primary-ip", "assign", "p", "--server", "s")
    described = json.loads(run("primary-ip", "describe", "p", "-o", "json"))
    assert (described["assignee_id"], described["dns_ptr"][0]["dns_ptr"]) == (number, "p.example.com")
    run("server", "set-rdns", "s", "--hostname", "s.example.com")
    run("primary-ip", "unassign", "p")
    run("primary-ip", "delete", "p")
