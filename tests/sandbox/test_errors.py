"""What the API refuses, and how: code, status, and the fields at fault. Shapes are checked by the client."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient

GOOD = {"name": "s", "server_type": "cx23", "image": "debian-13", "start_after_create": False}


def error(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    found: dict[str, Any] = response.json()["error"]
    assert (response.status_code, found["code"]) == (status, code), response.text
    return found


def fields(response: httpx.Response) -> list[str]:
    return [field["name"] for field in error(response, 422, "invalid_input")["details"]["fields"]]


@pytest.mark.parametrize(
    "header", ["", "Bearer ", "Bearer short", "Basic " + "t" * 64, "Bearer " + "t" * 63, "Bearer " + "t" * 65]
)
def test_token(sandbox: Sandbox, header: str) -> None:
    with ValidatingClient(sandbox.url, "") as client:
        client.headers["Authorization"] = header.strip()
        error(client.get("/servers"), 401, "unauthorized")


def test_any_token_of_64_characters_is_taken(sandbox: Sandbox) -> None:
    with ValidatingClient(sandbox.url, "Zz09" * 16) as client:
        assert client.get("/servers").status_code == 200


def test_body_that_is_no_json(client: ValidatingClient) -> None:
    error(client.post("/servers", content="{"), 400, "json_error")
    error(client.post("/servers", content="[]"), 400, "json_error")


def test_every_bad_field_is_named_at_once(client: ValidatingClient) -> None:
    assert fields(client.post("/servers", json={})) == ["name", "server_type", "image"]
    bad = GOOD | {
        "name": "under_score",
        "labels": {"a": "-"},
        "user_data": "x" * 32769,
        "ssh_keys": "k",
        "start_after_create": "yes",
    }
    assert sorted(fields(client.post("/servers", json=bad))) == [
        "labels",
        "name",
        "ssh_keys",
        "start_after_create",
        "user_data",
    ]


@pytest.mark.parametrize("name", ["", "a b", "-a", "a-", "a" * 64, "ä", "a..b"])
def test_server_name_must_be_a_hostname(client: ValidatingClient, name: str) -> None:
    assert fields(client.post("/servers", json=GOOD | {"name": name})) == ["name"]


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"server_type": "cx999"}, 404, "not_found"),
        ({"image": "windows-95"}, 404, "not_found"),
        ({"image": 1}, 404, "not_found"),
        ({"location": "moon1"}, 404, "not_found"),
        ({"ssh_keys": ["nobody"]}, 404, "not_found"),
        ({"firewalls": [{"firewall": 1}]}, 404, "not_found"),
        ({"server_type": "cx22"}, 422, "invalid_input"),  # no longer sold
        ({"location": "ash"}, 422, "invalid_input"),  # not sold there
        ({"image": 310557661}, 422, "invalid_input"),  # Debian 13 for arm, on x86
        ({"server_type": "cax11", "image": 310557660}, 422, "invalid_input"),  # and the other way round
        ({"volumes": [1]}, 404, "not_found"),
        ({"location": "fsn1", "datacenter": "fsn1-dc14"}, 422, "invalid_input"),
    ],
)
def test_server_that_cannot_be_made(client: ValidatingClient, changes: dict[str, Any], status: int, code: str) -> None:
    error(client.post("/servers", json=GOOD | changes), status, code)
    assert client.get("/servers").json()["servers"] == []


def test_an_image_name_means_the_one_of_the_server_types_architecture(client: ValidatingClient) -> None:
    made = client.post("/servers", json=GOOD | {"server_type": "cax11"}).json()["server"]
    assert made["image"]["architecture"] == "arm"


def test_names_are_unique(client: ValidatingClient, public_key: str, tmp_path: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-t", "rsa", "-b", "2048", "-N", "", "-f", str(tmp_path / "k")], check=True)
    other_key = (tmp_path / "k.pub").read_text()
    for path, body, twin in (
        ("/servers", GOOD, GOOD),
        ("/firewalls", {"name": "f"}, {"name": "f"}),
        ("/ssh_keys", {"name": "k", "public_key": public_key}, {"name": "k", "public_key": other_key}),
        (
            "/ssh_keys",
            {"name": "l", "public_key": other_key},
            {"name": "m", "public_key": other_key + " other comment"},
        ),
    ):
        assert client.post(path, json=body).status_code == 201
        error(client.post(path, json=twin), 409, "uniqueness_error")


@pytest.mark.parametrize(
    "public_key", ["", "ssh-ed25519", "ssh-ed25519 AAAA", "ssh-rsa !!!!", "hello AAAAB3NzaC1yc2E="]
)
def test_what_is_no_ssh_key(client: ValidatingClient, public_key: str) -> None:
    assert fields(client.post("/ssh_keys", json={"name": "k", "public_key": public_key})) == ["public_key"]


@pytest.mark.parametrize("key_type", [["ed25519"], ["rsa", "-b", "2048"], ["ecdsa"]])
def test_the_fingerprint_is_that_of_ssh_keygen(client: ValidatingClient, tmp_path: Path, key_type: list[str]) -> None:
    subprocess.run(["ssh-keygen", "-q", "-N", "", "-f", str(tmp_path / "k"), "-t", *key_type], check=True)
    shown = subprocess.run(
        ["ssh-keygen", "-l", "-E", "md5", "-f", str(tmp_path / "k.pub")], capture_output=True, text=True
    )
    public_key = (tmp_path / "k.pub").read_text()
    made = client.post("/ssh_keys", json={"name": "k", "public_key": public_key}).json()["ssh_key"]
    assert "MD5:" + made["fingerprint"] == shown.stdout.split()[1]


def test_unknown_things_are_not_found(client: ValidatingClient) -> None:
    for path in (
        "/servers/1",
        "/images/1",
        "/ssh_keys/1",
        "/firewalls/1",
        "/actions/1",
        "/locations/99",
        "/server_types/999",
    ):
        error(client.get(path), 404, "not_found")
    error(client.post("/servers/1/actions/poweron"), 404, "not_found")


def test_arbitrary_actions_are_not_listed(client: ValidatingClient) -> None:
    error(client.get("/actions"), 410, "deprecated_api_endpoint")


def test_system_images_stay_as_they_are(client: ValidatingClient) -> None:
    image = client.get("/images?name=debian-13&architecture=x86").json()["images"][0]
    error(client.put(f"/images/{image['id']}", json={"description": "mine"}), 403, "forbidden")
    error(client.delete(f"/images/{image['id']}"), 403, "forbidden")


def test_a_server_is_locked_while_an_action_runs(sandbox: Sandbox, client: ValidatingClient) -> None:
    sandbox.control("PUT", "/speed", json={"speed": "realistic"})
    server = client.post("/servers", json=GOOD).json()["server"]
    assert server["locked"] and server["status"] == "initializing"
    for call in (("POST", f"/servers/{server['id']}/actions/poweron"), ("DELETE", f"/servers/{server['id']}")):
        error(client.request(*call), 423, "locked")
    sandbox.control("PUT", "/speed", json={"speed": "instant"})
    wait_for(lambda: client.get(f"/servers/{server['id']}").json()["server"]["status"] == "off")


def test_a_server_must_be_off_to_change_its_type_and_cannot_get_a_smaller_disk(client: ValidatingClient) -> None:
    server = client.post("/servers", json=GOOD | {"start_after_create": True, "server_type": "cx33"}).json()["server"][
        "id"
    ]
    wait_for(lambda: client.get(f"/servers/{server}").json()["server"]["locked"] is False)
    change = f"/servers/{server}/actions/change_type"
    error(client.post(change, json={"server_type": "cx43", "upgrade_disk": True}), 422, "server_not_stopped")
    client.post(f"/servers/{server}/actions/poweroff")
    wait_for(lambda: client.get(f"/servers/{server}").json()["server"]["status"] == "off")
    error(client.post(change, json={"server_type": "cx23", "upgrade_disk": False}), 422, "invalid_server_type")
    error(client.post(change, json={"server_type": "cax21", "upgrade_disk": False}), 422, "invalid_server_type")


def test_firewall_rules(client: ValidatingClient) -> None:
    rules = [
        {"direction": "in", "protocol": "tcp"},
        {"direction": "out", "protocol": "icmp", "port": "1", "destination_ips": ["::/0"]},
    ]
    assert fields(client.post("/firewalls", json={"name": "f", "rules": rules})) == [
        "rules.0.port",
        "rules.0.source_ips",
        "rules.1.port",
    ]


@pytest.mark.parametrize(
    "query",
    ["page=0", "per_page=x", "sort=size", "sort=name:up", "status=asleep", "label_selector=a%20b"],
)
def test_bad_queries(client: ValidatingClient, query: str) -> None:
    assert fields(client.get(f"/servers?{query}")) == [query.partition("=")[0]]


def test_paging(client: ValidatingClient) -> None:
    for number in range(5):
        client.post("/firewalls", json={"name": f"f{number}"})
    second = client.get("/firewalls?sort=name:desc&per_page=2&page=2").json()
    assert [item["name"] for item in second["firewalls"]] == ["f2", "f1"]
    expected = {"page": 2, "per_page": 2, "previous_page": 1, "next_page": 3, "last_page": 3, "total_entries": 5}
    assert second["meta"]["pagination"] == expected
    assert client.get("/firewalls?per_page=50").json()["meta"]["pagination"]["per_page"] == 50
    assert fields(client.get("/firewalls?per_page=51")) == ["per_page"]


def test_rate_limit_headers(client: ValidatingClient) -> None:
    first, second = client.get("/servers").headers, client.get("/servers").headers
    assert first["RateLimit-Limit"] == "3600"
    assert int(second["RateLimit-Remaining"]) <= int(first["RateLimit-Remaining"]) < 3600
    assert int(first["RateLimit-Reset"]) > 0


def test_unknown_endpoint(sandbox: Sandbox) -> None:
    with httpx.Client(trust_env=False, verify=False, headers={"Authorization": "Bearer " + "t" * 64}) as plain:
        error(plain.get(sandbox.url + "/teapots"), 404, "not_found")
        error(plain.patch(sandbox.url + "/servers"), 405, "method_not_allowed")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("TRACE", "/servers", "GET, HEAD, POST"),
        ("PATCH", "/servers/1", "DELETE, GET, HEAD, PUT"),
        ("DELETE", "/pricing", "GET, HEAD"),
        ("OPTIONS", "/servers/1/actions/2", "GET, HEAD"),
    ],
)
def test_a_method_that_is_not_there_names_those_that_are(
    sandbox: Sandbox, method: str, path: str, allowed: str
) -> None:
    with httpx.Client(trust_env=False, verify=False, headers={"Authorization": "Bearer " + "t" * 64}) as plain:
        answer = plain.request(method, sandbox.url + path)
    error(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed


def test_a_change_without_a_body(client: ValidatingClient, public_key: str) -> None:
    key = client.post("/ssh_keys", json={"name": "k", "public_key": public_key}).json()["ssh_key"]["id"]
    error(client.put(f"/ssh_keys/{key}"), 400, "json_error")
    assert client.put(f"/ssh_keys/{key}", json={}).status_code == 200
