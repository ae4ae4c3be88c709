"""What firewalls may be applied to and removed from, and what their rules may say: as the OpenAPI document has it."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.test_errors import GOOD, error, fields
from tests.sandbox.test_placement_groups import new_server

APPLY, REMOVE = ("apply_to_resources", "apply_to"), ("remove_from_resources", "remove_from")


def wall(client: ValidatingClient, name: str = "f", **more: object) -> int:
    return int(client.post("/firewalls", json={"name": name} | more).json()["firewall"]["id"])


def by_id(server: int) -> dict[str, Any]:
    return {"type": "server", "server": {"id": server}}


def by_label(selector: str) -> dict[str, Any]:
    return {"type": "label_selector", "label_selector": {"selector": selector}}


def call(client: ValidatingClient, firewall: int, action: tuple[str, str], *targets: dict[str, Any]) -> Any:
    return client.post(f"/firewalls/{firewall}/actions/{action[0]}", json={action[1]: list(targets)})


@pytest.mark.parametrize(
    "target",
    [
        {"type": "label_selector"},
        {"type": "label_selector", "label_selector": {}},
        {"type": "label_selector", "label_selector": {"selector": ""}},
        {"type": "server"},
        {"type": "server", "server": {"id": 1}, "label_selector": {"selector": "a"}},
        {"type": "label_selector", "server": {"id": 1}, "label_selector": {"selector": "a"}},
        {"type": "network", "server": {"id": 1}},
        {"type": "label_selector", "label_selector": {"selector": "a b"}},
    ],
)
def test_a_resource_is_a_server_or_a_selector(client: ValidatingClient, target: dict[str, Any]) -> None:
    server, firewall = new_server(client, "s"), wall(client)
    assert fields(call(client, firewall, APPLY, target)) == ["apply_to"]
    assert fields(client.post("/firewalls", json={"name": "g", "apply_to": [target]})) == ["apply_to"]
    assert client.get(f"/servers/{server}").json()["server"]["public_net"]["firewalls"] == []
    assert [item["name"] for item in client.get("/firewalls").json()["firewalls"]] == ["f"]


def test_an_unknown_server_has_the_code_and_status_of_the_document(client: ValidatingClient) -> None:
    firewall = wall(client)
    error(call(client, firewall, APPLY, by_id(1)), 404, "firewall_resource_not_found")
    error(call(client, firewall, REMOVE, by_id(1)), 404, "firewall_resource_not_found")
    refused = client.post("/firewalls", json={"name": "g", "apply_to": [by_id(1)]})
    error(refused, 422, "firewall_resource_not_found")


def test_only_what_is_attached_can_be_removed(client: ValidatingClient) -> None:
    server, firewall = new_server(client, "s", labels={"a": "b"}), wall(client)
    error(call(client, firewall, REMOVE, by_id(server)), 404, "firewall_resource_not_found")
    error(call(client, firewall, REMOVE, by_label("a=b")), 404, "firewall_resource_not_found")
    assert call(client, firewall, APPLY, by_label("a=b")).status_code == 201
    error(call(client, firewall, REMOVE, by_id(server)), 422, "firewall_managed_by_label_selector")
    assert call(client, firewall, APPLY, by_id(server)).status_code == 201
    refused = call(client, firewall, REMOVE, by_id(server), by_label("c"))
    error(refused, 404, "firewall_resource_not_found")
    assert len(client.get(f"/firewalls/{firewall}").json()["firewall"]["applied_to"]) == 2, "all of it or nothing"
    assert call(client, firewall, REMOVE, by_id(server), by_label("a=b")).status_code == 201
    assert client.get(f"/firewalls/{firewall}").json()["firewall"]["applied_to"] == []


def test_a_resource_is_named_once(client: ValidatingClient) -> None:
    server, firewall = new_server(client, "s"), wall(client)
    error(call(client, firewall, APPLY, by_id(server), by_id(server)), 422, "firewall_already_applied")
    assert client.get(f"/firewalls/{firewall}").json()["firewall"]["applied_to"] == []
    assert call(client, firewall, APPLY, by_id(server)).status_code == 201
    error(call(client, firewall, APPLY, by_id(server)), 422, "firewall_already_applied")
    twice = client.post("/firewalls", json={"name": "g", "apply_to": [by_id(server), by_id(server)]})
    error(twice, 422, "server_already_added")


def test_a_server_has_five_firewalls_and_a_public_interface(client: ValidatingClient) -> None:
    walls = [wall(client, f"f{number}") for number in range(6)]
    too_many = GOOD | {"name": "many", "firewalls": [{"firewall": number} for number in walls]}
    error(client.post("/servers", json=too_many), 403, "resource_limit_exceeded")
    server = new_server(client, "s", firewalls=[{"firewall": number} for number in (*walls[:5], walls[0])])
    assert len(client.get(f"/servers/{server}").json()["server"]["public_net"]["firewalls"]) == 5
    error(call(client, walls[5], APPLY, by_id(server)), 403, "resource_limit_exceeded")
    hidden = new_server(client, "hidden", public_net={"enable_ipv4": False, "enable_ipv6": False})
    error(call(client, walls[5], APPLY, by_id(hidden)), 422, "private_net_only_server")


GOOD_RULE = {"direction": "in", "protocol": "tcp", "port": "80", "source_ips": ["0.0.0.0/0"]}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"description": "x" * 256}, "rules"),
        ({"port": "http"}, "rules.0.port"),
        ({"port": "0"}, "rules.0.port"),
        ({"port": "90-80"}, "rules.0.port"),
        ({"port": "80-65536"}, "rules.0.port"),
        ({"source_ips": ["10.0.0.1"]}, "rules.0.source_ips"),
        ({"source_ips": ["10.0.0.1/8"]}, "rules.0.source_ips"),
        ({"source_ips": ["everywhere"]}, "rules.0.source_ips"),
        ({"source_ips": ["10.0.0.0/8"] * 101}, "rules.0.source_ips"),
        ({"destination_ips": ["10.0.0.0/8"]}, "rules.0.destination_ips"),
    ],
)
def test_rules_that_are_refused(client: ValidatingClient, change: dict[str, Any], field: str) -> None:
    rule = GOOD_RULE | change
    assert fields(client.post("/firewalls", json={"name": "f", "rules": [rule]})) == [field]
    firewall = wall(client)
    assert fields(client.post(f"/firewalls/{firewall}/actions/set_rules", json={"rules": [rule]})) == [field]


def test_rules_at_their_limits(client: ValidatingClient) -> None:
    longest = GOOD_RULE | {
        "description": "x" * 255,
        "port": "1-65535",
        "source_ips": ["2001:0DB8:0::/32", "192.0.2.1/32"],
    }
    firewall = wall(client, rules=[longest] * 50)
    kept = client.get(f"/firewalls/{firewall}").json()["firewall"]["rules"]
    assert len(kept) == 50 and kept[0]["source_ips"] == ["2001:db8::/32", "192.0.2.1/32"]
    assert "rules" in fields(client.post(f"/firewalls/{firewall}/actions/set_rules", json={"rules": [longest] * 51}))
