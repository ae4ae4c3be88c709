"""A walk through the whole API: every response is checked against Hetzner's OpenAPI document."""

from __future__ import annotations

import re
from functools import partial
from typing import Any, cast

from sandbox.api.app import make_app
from sandbox.projects import Projects
from tests.sandbox.conftest import wait_for
from tests.sandbox.openapi import ValidatingClient

NOT_IN_DOCUMENT = {("POST", "/servers/{id}/actions/{command}")}  # our catch-all for actions that are not supported


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
    for name in ("locations", "server_types"):
        for item in done(client, "GET", f"/{name}?per_page=50")[name]:
            done(client, "GET", f"/{name}/{item['id']}")
    for name in ("isos", "primary_ips", "volumes", "networks", "load_balancers", "load_balancer_types"):
        assert done(client, "GET", f"/{name}")[name] == []
    for name in ("placement_groups", "certificates", "floating_ips"):
        assert done(client, "GET", f"/{name}")[name] == []
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
    done(client, "POST", f"{path}/actions/rebuild", {"image": "debian-12"})
    done(client, "POST", f"{path}/actions/change_protection", {"delete": True, "rebuild": True})
    assert client.delete(path).status_code == 423
    done(client, "POST", f"{path}/actions/change_protection", {"delete": False, "rebuild": False})


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


def walk_actions(client: ValidatingClient, kind: str, resource: int) -> None:
    listed = done(client, "GET", f"/{kind}/{resource}/actions?sort=id:desc")["actions"]
    assert listed and listed == sorted(listed, key=lambda action: -action["id"])
    first = listed[0]
    assert done(client, "GET", f"/{kind}/{resource}/actions/{first['id']}")["action"] == first
    assert done(client, "GET", f"/{kind}/actions/{first['id']}")["action"] == first
    assert first in done(client, "GET", f"/{kind}/actions?status=success&sort=id:desc")["actions"]
    assert done(client, "GET", f"/actions?id={first['id']}")["actions"] == [first]


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
    walk_power(client, path)
    walk_snapshot(client, server)
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
