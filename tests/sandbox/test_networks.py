"""Networks: ranges, subnets, routes, and who has which address in them."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

import hcloud
import pytest
from hcloud.images import Image
from hcloud.networks import NetworkRoute, NetworkSubnet
from hcloud.server_types import ServerType

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient

SUBNET = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}


def network(client: ValidatingClient, **more: Any) -> dict[str, Any]:
    body = {"name": "n", "ip_range": "10.0.0.0/16", "subnets": [SUBNET]} | more
    response = client.post("/networks", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["network"]
    return made


def server(client: ValidatingClient, name: str = "s", **more: Any) -> dict[str, Any]:
    body = {"name": name, "server_type": "cx23", "image": "debian-13", "location": "fsn1"} | more
    response = client.post("/servers", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["server"]
    wait_for(lambda: not client.get(f"/servers/{made['id']}").json()["server"]["locked"])
    return made


def act(client: ValidatingClient, path: str, command: str, **body: Any) -> str:
    """The error's code; empty when it succeeded."""
    response = client.post(f"{path}/actions/{command}", json=body)
    return "" if response.is_success else str(response.json()["error"]["code"])


def test_the_client_of_python(sdk: Any) -> None:
    subnet = NetworkSubnet(type="cloud", ip_range="10.0.1.0/24", network_zone="eu-central")
    route = NetworkRoute(destination="10.100.1.0/24", gateway="10.0.1.1")
    made = sdk.networks.create(name="n", ip_range="10.0.0.0/16", subnets=[subnet], routes=[route], labels={"a": "b"})
    assert (made.subnets[0].gateway, made.routes[0].gateway) == ("10.0.0.1", "10.0.1.1")
    made.add_subnet(NetworkSubnet(type="server", network_zone="us-east", ip_range=None)).wait_until_finished()
    made.change_ip_range("10.0.0.0/15").wait_until_finished()
    made.update(name="m", labels={})
    made = sdk.networks.get_by_name("m")
    assert (made.ip_range, [item.ip_range for item in made.subnets]) == ("10.0.0.0/15", ["10.0.1.0/24", "10.0.0.0/24"])
    first = sdk.servers.create(
        name="first", server_type=ServerType(name="cx23"), image=Image(name="debian-13"), networks=[made]
    )
    for action in (first.action, *first.next_actions):
        action.wait_until_finished()
    second = sdk.servers.create(name="second", server_type=ServerType(name="cx23"), image=Image(name="debian-13"))
    for action in (second.action, *second.next_actions):
        action.wait_until_finished()
    second.server.attach_to_network(made, ip="10.0.1.7", alias_ips=["10.0.1.8"]).wait_until_finished()
    second.server.change_alias_ips(made, ["10.0.1.9", "10.0.1.10"]).wait_until_finished()
    nets = [sdk.servers.get_by_id(item.server.id).private_net[0] for item in (first, second)]
    assert [net.ip for net in nets] == ["10.0.1.1", "10.0.1.7"]
    assert nets[1].alias_ips == ["10.0.1.9", "10.0.1.10"] and nets[1].mac_address.startswith("86:00:00:")
    assert sorted(item.id for item in sdk.networks.get_by_id(made.id).servers) == [first.server.id, second.server.id]
    with pytest.raises(hcloud.APIException, match="servers are attached"):
        made.delete_subnet(made.subnets[0])
    second.server.detach_from_network(made).wait_until_finished()
    first.server.delete().wait_until_finished()
    assert sdk.networks.get_by_id(made.id).servers == []
    made.delete_subnet(made.subnets[0]).wait_until_finished()
    made.delete_route(route).wait_until_finished()
    made.change_protection(delete=True).wait_until_finished()
    with pytest.raises(hcloud.APIException, match="protected"):
        made.delete()
    made.change_protection(delete=False).wait_until_finished()
    assert made.delete() is True
    assert sdk.networks.get_all() == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"ip_range": "8.8.0.0/16"}, "ip_range"),
        ({"ip_range": "10.0.0.0/25"}, "ip_range"),
        ({"ip_range": "10.0.0.1/16"}, "ip_range"),
        ({"ip_range": "ten"}, "ip_range"),
        ({"ip_range": "10.1.0.0/16"}, "subnets.0.ip_range"),
        ({"subnets": [SUBNET, SUBNET]}, "subnets.1.ip_range"),
        ({"subnets": [SUBNET | {"ip_range": "10.0.1.0/31"}]}, "subnets.0.ip_range"),
        ({"subnets": [SUBNET | {"network_zone": "mars"}]}, "subnets.0.network_zone"),
        ({"subnets": [SUBNET | {"type": "vswitch", "vswitch_id": 7}]}, "subnets.0.vswitch_id"),
        ({"subnets": [SUBNET | {"type": "public"}]}, "subnets"),
        ({"routes": [{"destination": "8.8.8.0/24", "gateway": "10.0.1.1"}]}, "destination"),
        ({"routes": [{"destination": "10.0.1.0/25", "gateway": "10.0.1.1"}]}, "destination"),
        ({"routes": [{"destination": "172.31.0.0/16", "gateway": "10.0.1.1"}]}, "destination"),
        ({"routes": [{"destination": "10.100.1.0/24", "gateway": "10.0.0.1"}]}, "gateway"),
        ({"routes": [{"destination": "10.100.1.0/24", "gateway": "172.31.1.1"}]}, "gateway"),
        ({"routes": [{"destination": "10.100.1.0/24", "gateway": "10.0.1.1"}] * 2}, "destination"),
        ({"name": ""}, "name"),
    ],
)
def test_what_a_network_cannot_be(client: ValidatingClient, wrong: dict[str, Any], field: str) -> None:
    body = {"name": "n", "ip_range": "10.0.0.0/16", "subnets": [SUBNET]} | wrong
    refused = client.post("/networks", json=body)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "invalid_input")
    assert [item["name"] for item in refused.json()["error"]["details"]["fields"]] == [field]
    assert client.get("/networks").json()["networks"] == []


def test_a_way_to_everywhere_may_stand_beside_others(client: ValidatingClient) -> None:
    routes = [
        {"destination": "0.0.0.0/0", "gateway": "10.0.1.2"},
        {"destination": "10.9.0.0/16", "gateway": "10.0.1.2"},
    ]
    path = f"/networks/{network(client, routes=routes)['id']}"
    assert act(client, path, "add_route", destination="0.0.0.0/0", gateway="10.0.1.3") == "invalid_input"
    assert act(client, path, "delete_route", destination="10.8.0.0/16", gateway="10.0.1.2") == "not_found"
    assert act(client, path, "delete_subnet", ip_range="10.0.7.0/24") == "not_found"


def test_names_are_unique(client: ValidatingClient) -> None:
    network(client)
    other = network(client, name="other")
    assert client.post("/networks", json={"name": "n", "ip_range": "10.0.0.0/16"}).status_code == 409
    assert client.put(f"/networks/{other['id']}", json={"name": "n"}).status_code == 409


def test_an_ip_range_only_grows(client: ValidatingClient) -> None:
    path = f"/networks/{network(client)['id']}"
    for refused in ("10.0.0.0/17", "10.1.0.0/16", "11.0.0.0/8", "nonsense"):
        assert act(client, path, "change_ip_range", ip_range=refused) == "invalid_input"
    assert act(client, path, "change_ip_range", ip_range="10.0.0.0/8") == ""


def test_addresses(client: ValidatingClient) -> None:
    made = network(client, subnets=[SUBNET, SUBNET | {"ip_range": "10.0.2.0/30"}])
    one, two = (f"/servers/{server(client, name)['id']}" for name in ("one", "two"))
    attach = {"network": made["id"]}
    assert act(client, one, "attach_to_network", **attach, ip="10.0.1.5") == ""
    assert act(client, one, "attach_to_network", **attach) == "server_already_attached"
    for ip in ("10.0.1.5", "10.0.1.0", "10.0.1.255"):
        assert act(client, two, "attach_to_network", **attach, ip=ip) == "ip_not_available", ip
    assert act(client, two, "attach_to_network", **attach, ip="10.0.9.1") == "no_subnet_available"
    assert act(client, two, "attach_to_network", **attach, ip="192.168.0.1") == "invalid_input"
    assert act(client, two, "attach_to_network", **attach, ip="10.0.1.6", ip_range="10.0.2.0/30") == "invalid_input"
    assert act(client, two, "attach_to_network", **attach, ip_range="10.0.3.0/24") == "no_subnet_available"
    assert act(client, two, "attach_to_network", network=1) == "not_found"
    assert act(client, two, "detach_from_network", **attach) == "not_found"
    assert act(client, two, "attach_to_network", **attach, ip_range="10.0.2.0/30") == ""
    shown = client.get(two).json()["server"]["private_net"]
    assert [(net["network"], net["ip"]) for net in shown] == [(made["id"], "10.0.2.1")]
    for aliases in (["10.0.1.5"], ["10.0.2.1"]):
        assert act(client, two, "change_alias_ips", **attach, alias_ips=aliases) == "ip_not_available"
    assert act(client, two, "change_alias_ips", **attach, alias_ips=["10.0.1.7", "10.0.1.7"]) == "invalid_input"
    many = [f"10.0.1.{number}" for number in range(10, 16)]
    assert act(client, two, "change_alias_ips", **attach, alias_ips=many) == "invalid_input"


def test_a_server_and_its_networks(client: ValidatingClient) -> None:
    ids = [network(client, name=f"n{i}", ip_range=f"10.{i}.0.0/16", subnets=[])["id"] for i in range(4)]
    overlapping = network(client, name="o", ip_range="10.0.0.0/8", subnets=[])["id"]
    american = SUBNET | {"network_zone": "us-east"}
    path = f"/servers/{server(client)['id']}"
    assert act(client, path, "attach_to_network", network=ids[0]) == "no_subnet_available"
    assert act(client, f"/networks/{ids[0]}", "add_subnet", **american | {"ip_range": "10.0.0.0/24"}) == ""
    assert act(client, path, "attach_to_network", network=ids[0]) == "no_subnet_available", "of another zone"
    for i, number in enumerate(ids):
        assert act(client, f"/networks/{number}", "add_subnet", **SUBNET | {"ip_range": f"10.{i}.1.0/24"}) == ""
    for number in ids[:3]:
        assert act(client, path, "attach_to_network", network=number) == ""
    assert act(client, path, "attach_to_network", network=ids[3]) == "resource_limit_exceeded"
    assert act(client, path, "attach_to_network", network=overlapping) == "networks_overlap"
    body = {"name": "t", "server_type": "cx23", "image": "debian-13", "location": "fsn1"}
    refused = client.post("/servers", json=body | {"networks": [overlapping, ids[0]]})
    assert refused.json()["error"]["code"] == "networks_overlap"
    assert (
        client.post("/servers", json=body | {"networks": [overlapping]}).json()["error"]["code"]
        == "no_subnet_available"
    )
    assert [item["name"] for item in client.get("/servers").json()["servers"]] == ["s"]
    assert client.delete(f"/networks/{ids[0]}").status_code == 204, "what is attached is detached"
    assert [net["network"] for net in client.get(path).json()["server"]["private_net"]] == ids[1:3]


def test_a_kill_loses_nothing(make_sandbox: Callable[..., Sandbox]) -> None:
    own = make_sandbox().started()
    with own.client() as client:
        made = network(client, routes=[{"destination": "10.9.0.0/16", "gateway": "10.0.1.2"}])
        attached = server(client, networks=[made["id"]])
        before = client.get(f"/networks/{made['id']}").json()
        os.kill(own.pid(), signal.SIGKILL)
        own.started()
        assert client.get(f"/networks/{made['id']}").json() == before
        assert client.get(f"/servers/{attached['id']}").json()["server"]["private_net"][0]["ip"] == "10.0.1.1"
        assert before["network"]["servers"] == [attached["id"]]
