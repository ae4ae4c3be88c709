"""A walk through the whole API: every response is checked against Hetzner's OpenAPI document."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, cast

from sandbox.api.app import make_app
from sandbox.projects import Projects
from tests.sandbox.conftest import wait_for
from tests.sandbox.openapi import ValidatingClient

Wishes = list[tuple[str, dict[str, Any]]]
NOT_IN_DOCUMENT = {("POST", "/servers/{id}/actions/{command}")}  # our catch-all for actions that do not exist


def finish(client: ValidatingClient, answer: dict[str, Any]) -> None:
    """Wait for all actions of an answer; they must succeed."""
    actions = [answer["action"]] if "action" in answer else []
    actions += answer.get("actions", []) + answer.get("next_actions", [])
    for action in actions:
        wait_for(partial(ended, client, action["id"]))
        assert client.get(f"/actions/{action['id']}").json()["action"]["status"] == "success"


def ended(client: ValidatingClient, action: int) -> bool:
    return bool(client.get(f"/actions/{action}").json()["action"]["status"] != "running")


def done(client: ValidatingClient, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """A call that must succeed, and its actions too."""
    response = client.request(method, path, json=body)
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json() if response.content else {}
    finish(client, answer)
    return answer


def walk_catalogue(client: ValidatingClient) -> None:
    for name in ("locations", "server_types", "load_balancer_types", "isos"):
        for item in done(client, "GET", f"/{name}?per_page=50")[name]:
            done(client, "GET", f"/{name}/{item['id']}")
    done(client, "GET", "/pricing")
    assert client.get("/datacenters").status_code == 410
    assert client.get("/datacenters/1").status_code == 410


def walk_ssh_keys(client: ValidatingClient, public_key: str) -> int:
    key = done(client, "POST", "/ssh_keys", {"name": "walk", "public_key": public_key, "labels": {"a": "b"}})["ssh_key"]
    done(client, "PUT", f"/ssh_keys/{key['id']}", {"name": "walked", "labels": {}})
    assert done(client, "GET", f"/ssh_keys/{key['id']}")["ssh_key"]["name"] == "walked"
    assert len(done(client, "GET", "/ssh_keys")["ssh_keys"]) == 1
    return int(key["id"])


def walk_power(client: ValidatingClient, path: str) -> None:
    for command in ("reboot", "reset", "shutdown", "poweron", "poweroff"):
        done(client, "POST", f"{path}/actions/{command}", {})
    done(client, "POST", f"{path}/actions/change_type", {"server_type": "cx33", "upgrade_disk": False})
    done(client, "POST", f"{path}/actions/poweroff")
    done(client, "POST", f"{path}/actions/rebuild", {"image": "debian-12"})
    done(client, "POST", f"{path}/actions/change_protection", {"delete": True, "rebuild": True})
    assert client.delete(path).status_code == 423
    done(client, "POST", f"{path}/actions/change_protection", {"delete": False, "rebuild": False})


def walk_others(client: ValidatingClient, path: str) -> None:
    done(client, "POST", f"{path}/actions/enable_rescue", {"type": "linux64"})
    done(client, "POST", f"{path}/actions/disable_rescue")
    done(client, "POST", f"{path}/actions/request_console")
    done(client, "POST", f"{path}/actions/reset_password")
    done(client, "POST", f"{path}/actions/enable_backup")
    done(client, "POST", f"{path}/actions/create_image", {"type": "backup"})
    done(client, "GET", "/images?type=backup")
    done(client, "POST", f"{path}/actions/disable_backup")
    done(client, "POST", f"{path}/actions/attach_iso", {"iso": "8637"})
    assert done(client, "GET", path)["server"]["iso"]["id"] == 8637
    done(client, "POST", f"{path}/actions/detach_iso")
    hour = "start=2026-11-30T12:00:00Z&end=2026-11-30T13:00:00Z"
    assert done(client, "GET", f"{path}/metrics?type=cpu,disk&{hour}")["metrics"]["time_series"]


def walk_snapshot(client: ValidatingClient, server: int) -> None:
    body = {"description": "walk", "labels": {"a": "b"}, "type": "snapshot"}
    image = done(client, "POST", f"/servers/{server}/actions/create_image", body)["image"]["id"]
    done(client, "PUT", f"/images/{image}", {"description": "walked", "labels": {"c": "d"}})
    done(client, "POST", f"/images/{image}/actions/change_protection", {"delete": True})
    assert client.delete(f"/images/{image}").status_code == 423
    done(client, "POST", f"/images/{image}/actions/change_protection", {"delete": False})
    assert done(client, "GET", f"/images/{image}")["image"]["status"] == "available"
    assert len(done(client, "GET", "/images?type=snapshot&status=available")["images"]) == 1
    walk_actions(client, "images", image)
    done(client, "DELETE", f"/images/{image}")


def walk_firewall(client: ValidatingClient, server: int) -> None:
    rule = {"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"]}
    wall = done(client, "POST", "/firewalls", {"name": "walk", "rules": [rule], "labels": {"a": "b"}})["firewall"]["id"]
    done(client, "PUT", f"/firewalls/{wall}", {"name": "walked"})
    done(client, "POST", f"/firewalls/{wall}/actions/set_rules", {"rules": []})
    by_id = {"type": "server", "server": {"id": server}}
    by_label = {"type": "label_selector", "label_selector": {"selector": "a=b"}}
    for target in (by_id, by_label):
        done(client, "POST", f"/firewalls/{wall}/actions/apply_to_resources", {"apply_to": [target]})
        assert done(client, "GET", f"/firewalls/{wall}")["firewall"]["applied_to"][0]["type"] == target["type"]
        shown = done(client, "GET", f"/servers/{server}")["server"]["public_net"]["firewalls"]
        assert shown == [{"id": wall, "status": "applied"}]
        assert client.delete(f"/firewalls/{wall}").status_code == 422
        done(client, "POST", f"/firewalls/{wall}/actions/remove_from_resources", {"remove_from": [target]})
    done(client, "GET", "/firewalls")
    walk_actions(client, "firewalls", wall)
    done(client, "DELETE", f"/firewalls/{wall}")


def walk_placement_group(client: ValidatingClient, server: str) -> None:
    body = {"name": "walk", "type": "spread", "labels": {"a": "b"}}
    group = done(client, "POST", "/placement_groups", body)["placement_group"]["id"]
    done(client, "PUT", f"/placement_groups/{group}", {"name": "walked"})
    done(client, "POST", f"{server}/actions/poweroff")
    done(client, "POST", f"{server}/actions/add_to_placement_group", {"placement_group": group})
    assert done(client, "GET", server)["server"]["placement_group"]["name"] == "walked"
    assert len(done(client, "GET", f"/placement_groups/{group}")["placement_group"]["servers"]) == 1
    assert client.delete(f"/placement_groups/{group}").status_code == 422
    done(client, "POST", f"{server}/actions/remove_from_placement_group")
    done(client, "POST", f"{server}/actions/poweron")
    done(client, "GET", "/placement_groups?type=spread&label_selector=a")
    done(client, "DELETE", f"/placement_groups/{group}")


def act(client: ValidatingClient, path: str, wishes: Wishes) -> None:
    for command, wish in wishes:
        done(client, "POST", f"{path}/actions/{command}", wish)


def walk_network(client: ValidatingClient, server: int) -> None:
    subnet = {"type": "cloud", "ip_range": "10.0.1.0/24", "network_zone": "eu-central"}
    route = {"destination": "10.100.0.0/24", "gateway": "10.0.1.1"}
    body = {"name": "walk", "ip_range": "10.0.0.0/16", "labels": {"a": "b"}, "subnets": [subnet], "routes": [route]}
    made = done(client, "POST", "/networks", body)["network"]["id"]
    path = f"/networks/{made}"
    done(client, "PUT", path, {"name": "walked", "expose_routes_to_vswitch": True})
    wishes: Wishes = [
        ("add_subnet", subnet | {"ip_range": "10.0.2.0/24"}),
        ("delete_subnet", {"ip_range": "10.0.2.0/24"}),
        ("delete_route", route),
        ("add_route", route),
        ("change_ip_range", {"ip_range": "10.0.0.0/15"}),
        ("change_protection", {"delete": True}),
    ]
    act(client, path, wishes)
    assert client.delete(path).status_code == 423
    done(client, "POST", f"{path}/actions/change_protection", {"delete": False})
    attach = {"network": made, "alias_ips": ["10.0.1.9"]}
    done(client, "POST", f"/servers/{server}/actions/attach_to_network", attach)
    done(client, "POST", f"/servers/{server}/actions/change_alias_ips", attach | {"alias_ips": []})
    assert done(client, "GET", path)["network"]["servers"] == [server]
    assert done(client, "GET", f"/servers/{server}")["server"]["private_net"][0]["network"] == made
    walk_load_balancer(client, server, made)
    done(client, "POST", f"/servers/{server}/actions/detach_from_network", {"network": made})
    assert len(done(client, "GET", "/networks?name=walked&label_selector=a")["networks"]) == 1
    walk_actions(client, "networks", made)
    done(client, "DELETE", path)


def walk_load_balancer(client: ValidatingClient, server: int, network: int) -> None:
    body = {"name": "walk", "load_balancer_type": "lb11", "network_zone": "eu-central", "labels": {"a": "b"}}
    made = done(client, "POST", "/load_balancers", body)["load_balancer"]
    path = f"/load_balancers/{made['id']}"
    done(client, "PUT", path, {"name": "walked"})
    check = {"protocol": "tcp", "port": 6443, "interval": 15, "timeout": 10, "retries": 3}
    ports = {"listen_port": 16443, "destination_port": 6443}
    service = {"protocol": "tcp", **ports, "proxyprotocol": False, "health_check": check}
    by_http = check | {"protocol": "http", "http": {"domain": None, "path": "/"}}
    by_label = {"type": "label_selector", "label_selector": {"selector": "a=b"}, "use_private_ip": True}
    by_id = {"type": "server", "server": {"id": server}, "use_private_ip": True}
    by_ip = {"type": "ip", "ip": {"ip": "127.0.0.1"}}
    first: Wishes = [
        ("attach_to_network", {"network": network}),
        ("add_service", service),
        ("update_service", {"listen_port": 16443, "health_check": by_http, "protocol": "http"}),
        *(("add_target", target) for target in (by_id, by_label, by_ip)),
        ("change_algorithm", {"type": "least_connections"}),
        ("change_type", {"load_balancer_type": "lb21"}),
        ("change_dns_ptr", {"ip": made["public_net"]["ipv4"]["ip"], "dns_ptr": "walk.example.com"}),
        ("change_protection", {"delete": True}),
    ]
    act(client, path, first)
    assert len(done(client, "GET", path)["load_balancer"]["targets"]) == 3
    assert client.delete(path).status_code == 423
    then: Wishes = [
        ("change_protection", {"delete": False}),
        ("remove_target", by_ip),
        ("remove_target", by_label),
        ("disable_public_interface", {}),
        ("enable_public_interface", {}),
        ("delete_service", {"listen_port": 16443}),
        ("detach_from_network", {"network": network}),
    ]
    act(client, path, then)
    query = "type=open_connections,bandwidth&start=2026-11-01T00:00:00Z&end=2026-11-02T00:00:00Z"
    assert done(client, "GET", f"{path}/metrics?{query}")["metrics"]["step"] == 432
    assert len(done(client, "GET", "/load_balancers?name=walked&label_selector=a")["load_balancers"]) == 1
    walk_actions(client, "load_balancers", made["id"])
    done(client, "DELETE", path)


def walk_primary_ip(client: ValidatingClient, server: int) -> None:
    """The server is off."""
    own = done(client, "GET", f"/servers/{server}")["server"]["public_net"]["ipv6"]
    done(client, "POST", f"/primary_ips/{own['id']}/actions/unassign")
    body = {"name": "walk", "type": "ipv6", "assignee_type": "server", "assignee_id": server}
    address = done(client, "POST", "/primary_ips", body)["primary_ip"]["id"]
    path = f"/primary_ips/{address}"
    done(client, "POST", f"/servers/{server}/actions/change_dns_ptr", walk_names(client, path))
    assert client.delete(path).status_code == 422
    done(client, "POST", f"{path}/actions/unassign")
    done(client, "POST", f"{path}/actions/assign", {"assignee_id": server, "assignee_type": "server"})
    done(client, "POST", f"{path}/actions/unassign")
    done(client, "PUT", path, {"name": "walked", "auto_delete": False, "labels": {"a": "b"}})
    walk_actions(client, "primary_ips", address)
    for number in (address, own["id"]):
        done(client, "DELETE", f"/primary_ips/{number}")
    assert len(done(client, "GET", "/primary_ips?sort=created:desc")["primary_ips"]) == 1


def walk_names(client: ValidatingClient, path: str) -> dict[str, str]:
    """Reverse DNS and protection of an IPv6 address, which end as they were; the change that was made last."""
    kind = path.split("/")[1].removesuffix("s")
    address = done(client, "GET", path)[kind]["ip"].replace("::/64", "::1")
    change = {"ip": address, "dns_ptr": "walk.example.com"}
    done(client, "POST", f"{path}/actions/change_dns_ptr", change)
    assert done(client, "GET", path)[kind]["dns_ptr"] == [change]
    done(client, "POST", f"{path}/actions/change_protection", {"delete": True})
    assert client.delete(path).status_code == 423
    done(client, "POST", f"{path}/actions/change_protection", {"delete": False})
    return change


def walk_floating_ip(client: ValidatingClient, server: int) -> None:
    address = done(client, "POST", "/floating_ips", {"type": "ipv6", "server": server})["floating_ip"]["id"]
    path = f"/floating_ips/{address}"
    walk_names(client, path)
    assert client.delete(path).status_code == 422
    done(client, "POST", f"{path}/actions/unassign")
    done(client, "POST", f"{path}/actions/assign", {"server": server})
    done(client, "POST", f"{path}/actions/unassign")
    done(client, "PUT", path, {"name": "walked", "description": "d", "labels": {"a": "b"}})
    assert len(done(client, "GET", "/floating_ips?label_selector=a=b")["floating_ips"]) == 1
    walk_actions(client, "floating_ips", address)
    done(client, "DELETE", path)


def walk_volume(client: ValidatingClient, server: int) -> None:
    body = {"name": "walk", "size": 10, "server": server, "format": "ext4", "automount": True}
    volume = done(client, "POST", "/volumes", body)["volume"]["id"]
    path = f"/volumes/{volume}"
    assert done(client, "GET", f"/servers/{server}")["server"]["volumes"] == [volume]
    done(client, "POST", f"{path}/actions/detach")
    done(client, "POST", f"{path}/actions/attach", {"server": server, "automount": False})
    assert client.delete(path).status_code == 422
    done(client, "POST", f"{path}/actions/detach")
    done(client, "POST", f"{path}/actions/resize", {"size": 11})
    done(client, "POST", f"{path}/actions/change_protection", {"delete": True})
    assert client.delete(path).status_code == 423
    done(client, "POST", f"{path}/actions/change_protection", {"delete": False})
    done(client, "PUT", path, {"name": "walked", "labels": {"a": "b"}})
    assert done(client, "GET", path)["volume"]["size"] == 11
    assert len(done(client, "GET", "/volumes?status=available&name=walked")["volumes"]) == 1
    walk_actions(client, "volumes", volume)
    done(client, "DELETE", path)


def walk_certificate(client: ValidatingClient) -> None:
    """Without a DNS zone it is never issued; uploaded ones are walked in test_certificates."""
    body = {"name": "walk", "type": "managed", "domain_names": ["example.com"]}
    made = client.post("/certificates", json=body).json()
    path = f"/certificates/{made['certificate']['id']}"
    wait_for(partial(ended, client, made["action"]["id"]))
    again = client.post(f"{path}/actions/retry").json()["action"]
    wait_for(partial(ended, client, again["id"]))
    done(client, "PUT", path, {"name": "walked", "labels": {"a": "b"}})
    assert done(client, "GET", path)["certificate"]["status"]["issuance"] == "failed"
    assert len(done(client, "GET", "/certificates?type=managed")["certificates"]) == 1
    walk_actions(client, "certificates", made["certificate"]["id"], "error")
    done(client, "DELETE", path)


def walk_actions(client: ValidatingClient, kind: str, resource: int, status: str = "success") -> None:
    def got(path: str) -> Any:
        return client.get(path).raise_for_status().json()

    listed = got(f"/{kind}/{resource}/actions?sort=id:desc")["actions"]
    assert listed and listed == sorted(listed, key=lambda action: -action["id"])
    first = listed[0]
    assert got(f"/{kind}/{resource}/actions/{first['id']}")["action"] == first
    assert got(f"/{kind}/actions/{first['id']}")["action"] == first
    assert first in got(f"/{kind}/actions?status={status}&sort=id:desc")["actions"]
    assert got(f"/actions?id={first['id']}")["actions"] == [first]


def test_every_endpoint_answers_as_documented(client: ValidatingClient, public_key: str) -> None:
    walk_catalogue(client)
    key = walk_ssh_keys(client, public_key)
    body = {"name": "walk", "server_type": "cx23", "image": "debian-13", "ssh_keys": ["walked"], "labels": {"a": "b"}}
    server = done(client, "POST", "/servers", body)["server"]["id"]
    path = f"/servers/{server}"
    assert done(client, "GET", path)["server"]["status"] == "running"
    done(client, "PUT", path, {"name": "walked", "labels": {"a": "b", "c": ""}})
    assert [item["id"] for item in done(client, "GET", "/servers?status=running&label_selector=c")["servers"]] == [
        server
    ]
    walk_firewall(client, server)
    walk_placement_group(client, path)
    walk_others(client, path)
    walk_network(client, server)
    walk_power(client, path)
    walk_snapshot(client, server)
    done(client, "POST", f"{path}/actions/poweroff", {})
    walk_primary_ip(client, server)
    walk_floating_ip(client, server)
    walk_volume(client, server)
    walk_certificate(client)
    walk_actions(client, "servers", server)
    done(client, "DELETE", path)
    assert client.get(path).status_code == 404
    done(client, "DELETE", f"/ssh_keys/{key}")
    assert served() - NOT_IN_DOCUMENT <= client.seen, f"not walked: {served() - NOT_IN_DOCUMENT - client.seen}"


def served() -> set[tuple[str, str]]:
    """Every operation below /v1, in the document's words."""
    api: Any = next(route for route in make_app(cast(Projects, None)).routes if getattr(route, "path", "") == "/v1")
    found = {(method, re.sub(r":\w+\}", "}", route.path)) for route in api.routes for method in route.methods}
    return {(method, documented(path)) for method, path in found if method != "HEAD"}


def documented(path: str) -> str:
    """``/servers/actions/{action_id}`` is ``/servers/actions/{id}`` in the document."""
    return path.replace("{action_id}", "{id}") if path.count("{") == 1 else path
