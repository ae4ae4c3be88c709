"""A project for each token; tokens that are made, may only read, or are withdrawn."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from typing import Any

import hcloud
import httpx
import pytest
from hcloud.images import Image
from hcloud.server_types import ServerType

from sandbox.settings import TOKEN
from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.test_errors import GOOD, error

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
