"""Floating IPs: they move between servers, and keep their names."""

from __future__ import annotations

import json
from typing import Any

import hcloud
import pytest
from hcloud.locations import Location

from tests.sandbox.conftest import Sandbox
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.steps import bad_fields, new_server, refused, server, settled


def create(client: ValidatingClient, **more: Any) -> dict[str, Any]:
    body = {"type": "ipv4", "home_location": "fsn1"} | more
    made: dict[str, Any] = settled(client, client.post("/floating_ips", json=body))["floating_ip"]
    return made


def test_sdk_creates_moves_and_deletes(sdk: Any, client: ValidatingClient) -> None:
    first, second = (sdk.servers.get_by_id(new_server(client, name)) for name in ("a", "b"))
    made = sdk.floating_ips.create(type="ipv4", name="f", description="web", home_location=Location(name="nbg1"))
    address = made.floating_ip
    assert made.action is None and (address.server, address.home_location.name) == (None, "nbg1")
    address.update(name="g", description="mail", labels={"a": "b"})
    assert sdk.floating_ips.get_by_name("g").description == "mail"
    address.assign(first).wait_until_finished()
    address.assign(second).wait_until_finished()
    shown = [sdk.servers.get_by_id(item.id).public_net.floating_ips for item in (first, second)]
    assert [[item.id for item in items] for items in shown] == [[], [address.id]]
    with pytest.raises(hcloud.APIException) as again:
        address.assign(second)
    assert again.value.code == "floating_ip_assigned"
    with pytest.raises(hcloud.APIException) as kept:
        address.delete()
    assert kept.value.code == "must_be_unassigned"
    address.unassign().wait_until_finished()
    assert address.delete()


def test_created_for_a_server_and_kept_without_it(client: ValidatingClient) -> None:
    number = new_server(client, location="hel1")
    body = {"type": "ipv6", "server": number}
    answer = settled(client, client.post("/floating_ips", json=body))
    address = answer["floating_ip"]
    assert (answer["action"]["command"], address["server"]) == ("assign_floating_ip", number)
    assert (address["home_location"]["name"], address["name"]) == ("hel1", f"floating-ip-{address['id']}")
    path, inner = f"/floating_ips/{address['id']}", address["ip"].replace("::/64", "::2")
    change = {"ip": inner, "dns_ptr": "six.example.com"}
    settled(client, client.post(f"{path}/actions/change_dns_ptr", json=change))
    by_server = f"/servers/{number}/actions/change_dns_ptr"
    assert bad_fields(client.post(by_server, json=change)) == ["ip"], "floating IPs are not the server's"
    assert server(client, number)["public_net"]["floating_ips"] == [address["id"]]
    settled(client, client.delete(f"/servers/{number}"))
    left = client.get(path).json()["floating_ip"]
    assert (left["server"], left["dns_ptr"]) == (None, [change])


def test_what_is_refused(client: ValidatingClient) -> None:
    assert bad_fields(client.post("/floating_ips", json={})) == ["type"]
    assert bad_fields(client.post("/floating_ips", json={"type": "ipv4"})) == ["home_location"]
    refused(client.post("/floating_ips", json={"type": "ipv4", "home_location": "moon1"}), 404, "not_found")
    refused(client.post("/floating_ips", json={"type": "ipv4", "server": 1}), 404, "not_found")
    path = f"/floating_ips/{create(client, name='f')['id']}"
    refused(
        client.post("/floating_ips", json={"type": "ipv4", "home_location": "fsn1", "name": "f"}),
        409,
        "uniqueness_error",
    )
    refused(client.post(f"{path}/actions/unassign"), 422, "service_error")
    refused(client.post(f"{path}/actions/assign", json={"server": 1}), 404, "not_found")
    assert bad_fields(client.post(f"{path}/actions/assign", json={"server": None})) == ["server"]
    settled(client, client.post(f"{path}/actions/change_protection", json={"delete": True}))
    refused(client.delete(path), 423, "protected")
    refused(client.get("/floating_ips/1"), 404, "not_found")


def test_no_two_have_the_same_address(client: ValidatingClient) -> None:
    addresses = [create(client)["ip"] for _ in range(3)]
    assert len(set(addresses)) == 3
    assert bad_fields(client.get("/floating_ips?sort=name")) == ["sort"], "the document has no such order"


def test_the_command_line_tool(sandbox: Sandbox, client: ValidatingClient) -> None:
    def run(*arguments: str) -> str:
        done = sandbox.hcloud_cli("floating-ip", *arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    number = new_server(client)
    run("create", "--type", "ipv4", "--name", "f", "--home-location", "fsn1", "--description", "d")
    run("assign", "f", "s")
    run("set-rdns", "f", "--hostname", "f.example.com")
    described = json.loads(run("describe", "f", "-o", "json"))
    assert (described["server"], described["dns_ptr"][0]["dns_ptr"]) == (number, "f.example.com")
    assert "f.example.com" in run("list", "-o", "columns=dns", "-o", "noheader") or described["ip"] in run("list")
    run("unassign", "f")
    run("delete", "f")
