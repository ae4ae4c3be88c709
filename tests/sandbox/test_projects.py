"""A project for each token; tokens that are made, may only read, or are withdrawn."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Callable
from functools import partial
from typing import Any

import hcloud
import httpx
import pytest
from hcloud.images import Image
from hcloud.server_types import ServerType

from sandbox.settings import TOKEN
from tests.sandbox.backends import SECONDS, answering, asked
from tests.sandbox.conftest import Sandbox, free_port, wait_for
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.test_errors import GOOD, error
from tests.sandbox.test_load_balancers import address, create, health, service

OTHER = "o" * 64


def client_of(sandbox: Sandbox, token: str) -> ValidatingClient:
    return ValidatingClient(sandbox.url, token)


def sdk_of(sandbox: Sandbox, token: str) -> Any:
    return hcloud.Client(token=token, api_endpoint=sandbox.url, poll_interval=0.02)


def token(sandbox: Sandbox, *options: str) -> str:
    done = sandbox.command("token", "create", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def hcloud_cli(sandbox: Sandbox, given: str, *words: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"HCLOUD_ENDPOINT": sandbox.url, "HCLOUD_TOKEN": given, "HOME": str(sandbox.home)}
    return subprocess.run(["hcloud", *words], env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture
def alone(make_sandbox: Callable[..., Sandbox]) -> Sandbox:
    return make_sandbox().started()


def test_each_token_sees_its_own_project(alone: Sandbox, public_key: str) -> None:
    mine, other = sdk_of(alone, "m" * 64), sdk_of(alone, OTHER)
    for sdk in (mine, other):  # the same names, the same key
        sdk.ssh_keys.create(name="k", public_key=public_key)
        sdk.firewalls.create(name="f")
        made = sdk.servers.create(name="s", server_type=ServerType(name="cx23"), image=Image(name="debian-13"))
        made.action.wait_until_finished()
    (one,), (two,) = mine.servers.get_all(), other.servers.get_all()
    assert one.id != two.id and one.public_net.ipv4.ip != two.public_net.ipv4.ip
    with pytest.raises(hcloud.APIException, match="not found"):
        mine.servers.get_by_id(two.id)
    with pytest.raises(hcloud.APIException, match="not found"):
        mine.actions.get_by_id(made.action.id)
    mine.servers.delete(one).wait_until_finished()
    assert [server.id for server in other.servers.get_all()] == [two.id]
    with client_of(alone, TOKEN) as first:
        assert first.get("/servers").json()["servers"] == []


def test_a_snapshot_of_another_project_cannot_be_used(alone: Sandbox) -> None:
    with client_of(alone, "m" * 64) as mine, client_of(alone, OTHER) as other:
        server = mine.post("/servers", json=GOOD).json()["server"]["id"]
        wait_for(lambda: not mine.get(f"/servers/{server}").json()["server"]["locked"])
        image = mine.post(f"/servers/{server}/actions/create_image", json={}).json()["image"]["id"]
        error(other.post("/servers", json=GOOD | {"image": image}), 404, "not_found")
        error(other.delete(f"/images/{image}"), 404, "not_found")


def test_projects_outlive_the_sandbox(alone: Sandbox) -> None:
    ours = token(alone, "--project", "team")
    for name, given in (("first", TOKEN), ("any", OTHER), ("team", ours)):
        with client_of(alone, given) as client:
            assert client.post("/servers", json=GOOD | {"name": name}).status_code == 201
    alone.command("stop")
    alone.started()
    for name, given in (("first", TOKEN), ("any", OTHER), ("team", ours)):
        with client_of(alone, given) as client:
            assert [server["name"] for server in client.get("/servers").json()["servers"]] == [name]
    assert "team" in alone.command("status").stdout


def test_tokens_of_one_project_see_the_same_and_some_may_only_read(alone: Sandbox) -> None:
    writer, reader = token(alone, "--project", "team"), token(alone, "--project", "team", "--read-only")
    assert hcloud_cli(alone, writer, "firewall", "create", "--name", "wall").returncode == 0
    assert "wall" in hcloud_cli(alone, reader, "firewall", "list").stdout
    refused = hcloud_cli(alone, reader, "firewall", "delete", "wall")
    assert refused.returncode != 0 and "forbidden" in refused.stderr
    with client_of(alone, reader) as client:
        error(client.post("/servers", json=GOOD), 403, "forbidden")
        error(client.put("/ssh_keys/1", json={}), 403, "forbidden")
    with pytest.raises(hcloud.APIException) as caught:
        sdk_of(alone, reader).ssh_keys.create(name="k", public_key="no")
    assert caught.value.code == "forbidden"
    assert "wall" in hcloud_cli(alone, writer, "firewall", "list").stdout


def test_a_withdrawn_token_opens_nothing(alone: Sandbox) -> None:
    ours = token(alone, "--project", "team")
    listed = alone.command("token", "list").stdout
    assert "reads and writes, project team" in listed and ours not in listed
    number = listed.split()[1].rstrip(":")
    assert alone.command("token", "delete", number).returncode == 0
    with client_of(alone, ours) as client:
        error(client.get("/servers"), 401, "unauthorized")
    again = alone.command("token", "delete", number)
    assert again.returncode == 1 and "not found" in again.stderr


def test_only_known_tokens_where_that_is_wanted(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox(options=("--known-tokens",)).started()
    for given, status in ((TOKEN, 200), (token(sandbox, "--project", "team"), 200), (OTHER, 401)):
        with client_of(sandbox, given) as client:
            assert client.get("/servers").status_code == status


def test_a_token_that_cannot_be_made(alone: Sandbox) -> None:
    done = alone.command("token", "create", "--project", "No Name")
    assert done.returncode == 1 and "project" in done.stderr
    alone.command("stop")
    done = alone.command("token", "list")
    assert done.returncode == 1 and "start it first" in done.stderr


def test_the_rate_limit_is_that_of_a_project(alone: Sandbox) -> None:
    alone.control("PUT", "/conditions", json={"rate": {"limit": 2, "per_second": 0.001, "enforced": True}})
    with client_of(alone, "m" * 64) as mine, client_of(alone, OTHER) as other:
        assert [mine.get("/servers").status_code for _ in range(3)] == [200, 200, 429]
        assert other.get("/servers").status_code == 200


def test_one_project_can_be_emptied(alone: Sandbox) -> None:
    ours = token(alone, "--project", "team")
    with client_of(alone, ours) as team, client_of(alone, OTHER) as other:
        for client in (team, other):
            client.post("/firewalls", json={"name": "wall"})
        assert alone.control("DELETE", "/project?project=team").status_code == 204
        assert [len(client.get("/firewalls").json()["firewalls"]) for client in (team, other)] == [0, 1]
        assert alone.control("DELETE", "/project?project=nobody").status_code == 404
        assert alone.control("DELETE", "/project").status_code == 204
        assert other.get("/firewalls").json()["firewalls"] == []


def test_requests_tell_their_project(alone: Sandbox) -> None:
    with httpx.Client(trust_env=False, headers={"Authorization": f"Bearer {TOKEN}"}) as plain:
        plain.get(f"{alone.url}/servers")
        plain.get(f"{alone.url}/servers", headers={"Authorization": f"Bearer {token(alone, '--project', 'team')}"})
    assert [entry["project"] for entry in alone.control("GET", "/requests").json()["requests"]] == ["", "team"]


RESOURCES = {
    "networks": {"name": "n", "ip_range": "10.0.0.0/16"},
    "load_balancers": {"name": "l", "load_balancer_type": "lb11", "location": "fsn1"},
    "primary_ips": {"name": "p", "type": "ipv4", "location": "fsn1", "assignee_type": "server"},
    "floating_ips": {"name": "i", "type": "ipv4", "home_location": "fsn1"},
    "volumes": {"name": "v", "size": 10, "location": "fsn1"},
    "certificates": {"name": "c", "type": "managed", "domain_names": ["example.com"]},
    "placement_groups": {"name": "g", "type": "spread"},
}


def make_all(client: ValidatingClient) -> dict[str, dict[str, Any]]:
    made = {kind: client.post(f"/{kind}", json=body) for kind, body in RESOURCES.items()}
    assert {kind: answer.status_code for kind, answer in made.items()} == dict.fromkeys(RESOURCES, 201)
    return {kind: answer.json()[kind.removesuffix("s")] for kind, answer in made.items()}


def addresses(made: dict[str, dict[str, Any]]) -> set[str]:
    own = {made[kind]["ip"] for kind in ("primary_ips", "floating_ips")}
    return own | {made["load_balancers"]["public_net"]["ipv4"]["ip"]}


def listed(client: ValidatingClient) -> dict[str, list[int]]:
    return {kind: [item["id"] for item in client.get(f"/{kind}").json()[kind]] for kind in RESOURCES}


def test_every_kind_of_resource_belongs_to_a_project(alone: Sandbox) -> None:
    ours = token(alone, "--project", "team")
    with client_of(alone, ours) as team, client_of(alone, OTHER) as other:
        one, two = make_all(team), make_all(other)
        assert len(addresses(one) | addresses(two)) == 6
        kept = {kind: [item["id"]] for kind, item in two.items()}
        for kind, item in one.items():
            error(other.get(f"/{kind}/{item['id']}"), 404, "not_found")
        server = other.post("/servers", json=GOOD).json()["server"]["public_net"]["ipv4"]["ip"]
        assert server not in addresses(one) | addresses(two)
        assert alone.control("DELETE", "/project?project=team").status_code == 204
        assert listed(team) == {kind: [] for kind in RESOURCES}
        assert {kind: ids for kind, ids in listed(other).items() if kind != "primary_ips"} == {
            kind: ids for kind, ids in kept.items() if kind != "primary_ips"
        }
    alone.command("stop")
    alone.started()
    with client_of(alone, OTHER) as other:
        assert listed(other)["load_balancers"] == kept["load_balancers"]
        assert alone.control("DELETE", "/project").status_code == 204
        assert listed(other) == {kind: [] for kind in RESOURCES}


def test_load_balancers_of_two_projects_have_the_same_port(alone: Sandbox) -> None:
    port, target = free_port(), free_port()
    with client_of(alone, "m" * 64) as mine, client_of(alone, OTHER) as other, answering("127.0.0.1", target, "yes"):
        listening = []
        for client in (mine, other):
            body = {"services": [service(port, target)], "targets": [{"type": "ip", "ip": {"ip": "127.0.0.1"}}]}
            made = create(client, **body)
            listening.append(address(made))
            path = f"/load_balancers/{made['id']}"
            wait_for(partial(healthy, client, path), SECONDS)
        assert [asked(where, port) for where in listening] == ["yes", "yes"]
        assert mine.delete(
            f"/load_balancers/{mine.get('/load_balancers').json()['load_balancers'][0]['id']}"
        ).is_success
        wait_for(lambda: refuses(listening[0], port), SECONDS)
        assert asked(listening[1], port) == "yes"


def healthy(client: ValidatingClient, path: str) -> bool:
    return health(client, path) == ["healthy"]


def refuses(host: str, port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((host, port)) != 0
