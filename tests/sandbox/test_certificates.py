"""Certificates: uploaded ones are read, managed ones fail as they do where a domain has no DNS zone."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from os import kill
from pathlib import Path
from typing import Any

import pytest
from hcloud.actions import ActionFailedException

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.steps import bad_fields, refused


@dataclass(frozen=True)
class Pair:
    """Files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def body(self) -> dict[str, str]:
        return {"name": "c", "certificate": self.certificate.read_text(), "private_key": self.key.read_text()}


def openssl(*arguments: object) -> str:
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def issue(directory: Path, name: str, *more: object) -> Pair:
    """Self-signed, unless ``more`` says by whom."""
    made = Pair(directory / f"{name}.crt", directory / f"{name}.key")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", made.key)
    openssl("req", "-x509", *key, "-out", made.certificate, "-days", "30", "-subj", f"/CN={name}.example.com", *more)
    return made


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    names = "subjectAltName=DNS:www.example.com,DNS:*.example.org"
    return issue(tmp_path_factory.mktemp("pair"), "www", "-addext", names)


def test_an_uploaded_one_is_read_as_openssl_reads_it(client: ValidatingClient, pair: Pair) -> None:
    answer = client.post("/certificates", json=pair.body | {"labels": {"a": "b"}}).json()
    made = answer["certificate"]
    assert answer["action"] is None and (made["type"], made["status"], made["used_by"]) == ("uploaded", None, [])
    fingerprint = openssl("x509", "-in", pair.certificate, "-noout", "-fingerprint", "-sha256")
    assert made["fingerprint"] == fingerprint.partition("=")[2].lower()
    end = openssl("x509", "-in", pair.certificate, "-noout", "-enddate", "-dateopt", "iso_8601").partition("=")[2]
    assert made["not_valid_after"] == end.replace(" ", "T").replace("Z", "+00:00")
    assert made["domain_names"] == ["www.example.com", "*.example.org"]
    assert "private_key" not in made
    assert client.get(f"/certificates/{made['id']}/actions").json()["actions"] == []
    assert client.get("/certificates?type=uploaded&label_selector=a=b").json()["certificates"] == [made]
    assert client.get("/certificates?type=managed").json()["certificates"] == []


def test_a_chain_is_in_order(client: ValidatingClient, tmp_path: Path) -> None:
    root = issue(tmp_path, "root")
    leaf = issue(tmp_path, "leaf", "-CA", root.certificate, "-CAkey", root.key)
    first, second = leaf.certificate.read_text(), root.certificate.read_text()
    wrong = leaf.body | {"certificate": first + first}
    assert bad_fields(client.post("/certificates", json=wrong)) == ["certificate"]
    made = client.post("/certificates", json=leaf.body | {"certificate": first + second}).json()["certificate"]
    assert made["domain_names"] == ["leaf.example.com"], "without alternative names it is the common name"


@pytest.mark.parametrize(
    ("changes", "fields"),
    [
        ({"name": ""}, ["name"]),
        ({"certificate": None}, ["certificate"]),
        ({"certificate": None, "private_key": ""}, ["certificate", "private_key"]),
        ({"certificate": "hello"}, ["certificate"]),
        ({"certificate": "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"}, ["certificate"]),
        ({"private_key": "hello"}, ["private_key"]),
        ({"type": "bought"}, ["type"]),
        ({"type": "managed"}, ["domain_names"]),
        ({"type": "managed", "domain_names": ["a b"]}, ["domain_names"]),
    ],
)
def test_what_is_not_taken(client: ValidatingClient, pair: Pair, changes: dict[str, Any], fields: list[str]) -> None:
    assert bad_fields(client.post("/certificates", json=pair.body | changes)) == fields


def test_the_key_must_be_its_own(client: ValidatingClient, pair: Pair, tmp_path: Path) -> None:
    other = issue(tmp_path, "other").key.read_text()
    assert bad_fields(client.post("/certificates", json=pair.body | {"private_key": other})) == ["private_key"]


def test_a_managed_one_fails_without_a_zone_and_can_be_tried_again(client: ValidatingClient) -> None:
    body = {"name": "m", "type": "managed", "domain_names": ["example.com", "*.example.com"]}
    answer = client.post("/certificates", json=body).json()
    made = answer["certificate"]
    assert (made["fingerprint"], made["domain_names"]) == (None, body["domain_names"])
    path = f"/certificates/{made['id']}"
    wait_for(lambda: client.get(path).json()["certificate"]["status"]["issuance"] == "failed")
    action = client.get(f"/actions/{answer['action']['id']}").json()["action"]
    assert (action["command"], action["error"]["code"]) == ("create_certificate", "dns_zone_not_found")
    assert client.get(path).json()["certificate"]["status"]["error"] == action["error"]
    again = client.post(f"{path}/actions/retry")
    assert (again.status_code, again.json()["action"]["command"]) == (201, "issue_certificate")
    wait_for(lambda: client.get(path).json()["certificate"]["status"]["issuance"] == "failed")
    assert client.delete(path).status_code == 204


def test_what_is_refused(client: ValidatingClient, pair: Pair) -> None:
    made = client.post("/certificates", json=pair.body).json()["certificate"]
    refused(client.post("/certificates", json=pair.body), 409, "uniqueness_error")
    refused(client.post(f"/certificates/{made['id']}/actions/retry"), 422, "unsupported_error")
    refused(client.get("/certificates/1"), 404, "not_found")


def test_sdk_uploads_renames_and_deletes(sdk: Any, pair: Pair) -> None:
    made = sdk.certificates.create(**pair.body)
    made.update(name="d", labels={"a": "b"})
    assert sdk.certificates.get_by_name("d").labels == {"a": "b"}
    managed = sdk.certificates.create_managed(name="m", domain_names=["example.com"])
    with pytest.raises(ActionFailedException, match="DNS zone not found"):
        managed.action.wait_until_finished()
    assert made.delete() and managed.certificate.delete()


def test_it_outlives_a_kill_and_its_key_is_never_shown(make_sandbox: Callable[..., Sandbox], pair: Pair) -> None:
    sandbox = make_sandbox().started()
    with sandbox.client() as client:
        made = client.post("/certificates", json=pair.body).json()["certificate"]
        kill(sandbox.pid(), signal.SIGKILL)
        sandbox.started()
        assert client.get("/certificates").json()["certificates"] == [made]
    asked = sandbox.control("GET", "/requests").text
    assert "PRIVATE KEY" not in asked


def test_the_command_line_tool(sandbox: Sandbox, pair: Pair) -> None:
    def run(*arguments: object) -> str:
        done = sandbox.hcloud_cli("certificate", *map(str, arguments))
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("create", "--name", "c", "--cert-file", pair.certificate, "--key-file", pair.key)
    run("update", "c", "--name", "d")
    run("add-label", "d", "a=b")
    assert json.loads(run("describe", "d", "-o", "json"))["labels"] == {"a": "b"}
    run("delete", "d")
