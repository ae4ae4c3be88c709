"""A state that was made when each step was a resource goes on: nothing is built anew, and exports stay what they were.

tests/data/state-of-steps.json.gz has the resources of such a state: one image of the small recipe, exported after an `up` of that
version, without keys and long texts. DIGEST, TESTS and others stand for what the recipe of today makes of them.
"""

import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import requests
from hcloud.images import Image
from hcloud.server_types import ServerType

from tests.e2e.workspace import TOKEN, Workspace

STATE = Path("tests/data/state-of-steps.json.gz")
VERSION = "1.36.4"


def declared(small: Workspace) -> dict[str, Any]:
    """The inputs of what an empty stack would make, by name; of an image, those of its snapshot."""
    result = small.pulumi("preview", "--json")
    assert result.returncode == 0, result.stderr
    steps = json.loads(result.stdout)["steps"]
    return {step["urn"].rpartition("::")[2]: step["newState"].get("inputs", {}) for step in steps}


def labelled_snapshot(small: Workspace, labels: dict[str, str]) -> int:
    """A snapshot as one that this stack once made."""
    small_one, system = ServerType(name="cx23"), Image(name="debian-13")
    made = small.client.servers.create("old", small_one, system, start_after_create=False)
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    snapshot = made.server.create_image(labels["caph-image-name"], "snapshot", labels)
    snapshot.action.wait_until_finished()
    made.server.delete().wait_until_finished()
    return int(snapshot.image.id)


def resources(small: Workspace, words: dict[str, str]) -> list[Any]:
    text = gzip.decompress(STATE.read_bytes()).decode()
    for name, value in words.items():
        text = text.replace(name, value)
    return json.loads(text)


@pytest.fixture(scope="module")
def older(small: Workspace) -> dict[str, Any]:
    """The exports of the older state, which is that of the stack now."""
    small.declare(VERSION)
    inputs = declared(small)
    (wanted,) = [item for item in inputs.values() if item.get("labels", {}).get("role") == "snapshot"]
    labels, image = wanted["labels"], wanted["description"]
    (tested,) = [item["digest"] for name, item in inputs.items() if name.endswith("-verifier-server")]
    snapshot = labelled_snapshot(small, {**labels, "caph-image-name": image})
    tests = tested.partition("-")[2]
    words = {"IMAGE": image, "DIGEST": labels["digest"], "SHORT": labels["digest"][:8], "TESTS": tests}
    words |= {"SNAPSHOT": str(snapshot), "ENDPOINT": small.endpoint, "TOKEN": TOKEN}
    document = json.loads(small.pulumi("stack", "export").stdout)
    document["deployment"]["resources"] = resources(small, words)
    imported = small.run("./pulumiw", "stack", "import", "--non-interactive", input=json.dumps(document))
    assert imported.returncode == 0, imported.stdout + imported.stderr
    return dict(small.output("images")[0])


def asked(small: Workspace) -> list[tuple[str, str]]:
    answer = requests.get(small.endpoint.removesuffix("/v1") + "/_sandbox/requests", timeout=5)
    return [(item["method"], item["route"]) for item in answer.json()["requests"]]


def test_nothing_is_built_anew_and_nothing_is_deleted(small: Workspace, older: dict[str, Any]) -> None:
    before = small.snapshots()
    requests.delete(small.endpoint.removesuffix("/v1") + "/_sandbox/requests", timeout=5)
    result: subprocess.CompletedProcess[str] = small.up()
    assert result.returncode == 0, result.stdout + result.stderr
    assert small.snapshots() == before == {older["name"]: older["snapshots"]["amd64"]}
    written = {(method, route) for method, route in asked(small) if method in ("POST", "DELETE")}
    assert written == set(), "no server, no snapshot, no key"
    small.unchanged()


def test_the_exports_stay(small: Workspace, older: dict[str, Any]) -> None:
    kept = ("name", "digest", "snapshots", "tests", "manifests", "sboms", "components", "kubernetes")
    now = small.output("images")[0]
    assert {key: now[key] for key in kept} == {key: older[key] for key in kept}
    assert older["tests"]["amd64"]["passed"] > 0


def test_the_state_is_small_and_has_no_text_of_steps(small: Workspace, older: dict[str, Any]) -> None:
    state = small.pulumi("stack", "export").stdout
    types = {item["type"] for item in json.loads(state)["deployment"]["resources"]}
    assert "command:remote:Command" not in types
    assert len(state) < 60_000


def test_other_tests_would_be_run_on_a_server_of_the_same_snapshot(small: Workspace, older: dict[str, Any]) -> None:
    small.configure(reverify="again")
    result = small.pulumi("preview", "--json")
    assert result.returncode == 0, result.stderr
    steps = [(step["op"], step["urn"].rpartition("$")[2]) for step in json.loads(result.stdout)["steps"]]
    changed = {urn.partition("::")[0]: op for op, urn in steps if op != "same"}
    assert changed["pulumi-python:dynamic/node-images:EphemeralServer"] == "create"
    assert changed["pulumi-python:dynamic/node-images:Published"] == "update"
    assert "hcloud:index/snapshot:Snapshot" not in changed
