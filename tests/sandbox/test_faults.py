"""The control plane: faults on order, as the clients see them."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from typing import Any

import hcloud
import httpx
import pytest
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

from sandbox.resources.faults.kinds import KINDS, described, fault_of
from tests.sandbox.conftest import TOKEN, Sandbox

KINDS_BY_NAME = {kind["kind"]: kind for kind in map(described, KINDS)}
CALL_VARIANTS = [variant for kind in KINDS_BY_NAME.values() if kind["hits"] == "call" for variant in kind["variants"]]


def create(sdk: Any, name: str = "s", location: str = "fsn1", kind: str = "cx23") -> Any:
    image = Image(name="debian-13")
    return sdk.servers.create(
        name=name, server_type=ServerType(name=kind), image=image, location=Location(name=location)
    )


def order(sandbox: Sandbox, **fault: object) -> None:
    done = sandbox.control("POST", "/faults", json=fault)
    assert done.status_code == 201, done.text


def test_a_location_without_capacity(sandbox: Sandbox, sdk: Any) -> None:
    where = {"server_type": "cx23", "location": "fsn1"}
    order(sandbox, method="POST", path="/servers", body=where, code="resource_unavailable", times=None)
    for _ in range(2):
        with pytest.raises(hcloud.APIException) as refused:
            create(sdk)
        assert refused.value.code == "resource_unavailable"
    assert create(sdk, location="nbg1").server.id
    assert create(sdk, name="t", kind="cx33").server.id
    sandbox.control("DELETE", "/faults")
    assert create(sdk, name="u").server.id


def test_the_next_calls_fail_then_work(sandbox: Sandbox, sdk: Any) -> None:
    order(sandbox, path="/images*", code="server_error", times=2)
    assert len(sandbox.control("GET", "/faults").json()["faults"]) == 1
    for _ in range(2):
        with pytest.raises(hcloud.APIException, match="injected"):
            sdk.images.get_all()
    assert sdk.images.get_all()
    assert sandbox.control("GET", "/faults").json()["faults"] == []


def test_the_sdk_retries_what_it_should(sandbox: Sandbox, sdk: Any) -> None:
    order(sandbox, path="/locations", code="rate_limit_exceeded", times=1)
    assert sdk.locations.get_all()


def test_a_failing_snapshot_leaves_no_image(sandbox: Sandbox, sdk: Any) -> None:
    made = create(sdk)
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    order(sandbox, action="create_image", code="unavailable", message="no luck")
    with pytest.raises(hcloud.actions.domain.ActionFailedException) as failed:
        made.server.create_image(description="x").action.wait_until_finished()
    assert dict(failed.value.action.error or {}) == {"code": "unavailable", "message": "no luck"}
    assert sdk.images.get_all(type=["snapshot"]) == []
    made.server.create_image(description="x").action.wait_until_finished()


def test_a_server_that_could_not_be_made_does_not_stay(sandbox: Sandbox, sdk: Any) -> None:
    order(sandbox, action="create_server", code="resource_unavailable")
    made = create(sdk)
    for action in (made.action, *made.next_actions):
        with pytest.raises(hcloud.actions.domain.ActionFailedException):
            action.wait_until_finished()
    assert sdk.servers.get_all() == []


def test_a_server_that_could_not_be_deleted_is_still_there(sandbox: Sandbox, sdk: Any) -> None:
    made = create(sdk)
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    order(sandbox, action="delete_server")
    with pytest.raises(hcloud.actions.domain.ActionFailedException):
        made.server.delete().wait_until_finished()
    assert [server.status for server in sdk.servers.get_all()] == ["running"]


@pytest.mark.parametrize(
    "fault", [{}, {"path": "/servers", "action": "create_server"}, {"path": "/servers", "times": "many"}]
)
def test_a_fault_that_makes_no_sense_is_refused(sandbox: Sandbox, fault: dict[str, object]) -> None:
    done = sandbox.control("POST", "/faults", json=fault)
    assert (done.status_code, done.json()["error"]["code"]) == (422, "invalid_input")


def test_unknown_speed_is_refused(sandbox: Sandbox) -> None:
    done = sandbox.control("PUT", "/speed", json={"speed": "ludicrous"})
    assert done.status_code == 422 and "instant" in done.text


# Every kind by name


def plain(sandbox: Sandbox) -> httpx.Client:
    """A client that checks nothing: what faults answer is not as documented."""
    return httpx.Client(
        base_url=sandbox.url, headers={"Authorization": f"Bearer {TOKEN}"}, trust_env=False, verify=False, timeout=5
    )


def requests(sandbox: Sandbox, **wanted: object) -> list[dict[str, Any]]:
    entries = sandbox.control("GET", "/requests").json()["requests"]
    return [entry for entry in entries if all(entry[name] == value for name, value in wanted.items())]


def test_every_kind_is_listed_with_its_parameters_and_variants(sandbox: Sandbox) -> None:
    listed = {kind["kind"]: kind for kind in sandbox.control("GET", "/faults/kinds").json()["kinds"]}
    assert listed == KINDS_BY_NAME
    assert {"error", "status", "rate_limit", "reset", "slow", "malformed"} < set(listed)
    assert listed["status"]["parameters"]["status"]["enum"] == [500, 502, 503, 504]
    assert len(listed["status"]["variants"]) == 4 * 2 * 2
    for kind in listed.values():
        assert kind["description"] and kind["variants"]
        for variant in kind["variants"]:
            assert fault_of(variant).model_dump()["kind"] == kind["kind"]


@pytest.mark.parametrize("variant", CALL_VARIANTS, ids=lambda variant: "-".join(map(str, variant.values())))
def test_a_faulty_call_and_its_effect(sandbox: Sandbox, variant: dict[str, Any]) -> None:
    """Every kind in every variant, on a call that makes something: what the client sees, what happened, what is on record."""
    quick = {"seconds": 0.2} if variant["kind"] in ("slow", "rate_limit") else {}
    order(sandbox, method="POST", path="/firewalls", **variant, **quick)
    sandbox.control("DELETE", "/requests")
    with plain(sandbox) as client:
        began = time.monotonic()
        try:
            answer = client.post("/firewalls", json={"name": "wall"})
        except httpx.TransportError as error:
            assert variant["kind"] == "reset" and isinstance(error, (httpx.ReadError, httpx.RemoteProtocolError))
            answer = None
        took = time.monotonic() - began
        made = len(client.get("/firewalls").json()["firewalls"])
    happens = variant["kind"] in ("slow", "malformed") or variant.get("when") == "after"
    assert made == happens
    entry = requests(sandbox, method="POST")[0]
    assert (entry["fault"], entry["effect"], entry["body"]) == (variant["kind"], happens, {"name": "wall"})
    assert entry["status"] == (answer.status_code if answer else None)
    seen = {
        "error": lambda: answer.json()["error"]["code"] == "server_error",
        "status": lambda: answer.status_code == variant["status"] and is_json(answer) == (variant["form"] == "json"),
        "rate_limit": lambda: answer.status_code == 429 and answer.headers["RateLimit-Remaining"] == "0",
        "reset": lambda: answer is None,
        "slow": lambda: answer.status_code == 201 and took >= 0.2,
        "malformed": lambda: answer.status_code == 201 and not is_json(answer),
    }
    assert seen[variant["kind"]]()


def is_json(answer: httpx.Response) -> bool:
    try:
        answer.json()
    except ValueError:
        return False
    return True


def statuses(sandbox: Sandbox, count: int) -> list[int]:
    with plain(sandbox) as client:
        return [client.get("/locations").status_code for _ in range(count)]


def test_the_nth_call_and_how_often(sandbox: Sandbox) -> None:
    order(sandbox, kind="status", status=503, path="/locations", nth=3, times=2)
    assert statuses(sandbox, 6) == [200, 200, 503, 503, 200, 200]
    spent = sandbox.control("GET", "/faults").json()["spent"]
    assert [hit["event"] for hit in spent[0]["hits"]] == ["GET /locations"] * 2


def test_a_share_of_calls_is_the_same_for_the_same_seed(sandbox: Sandbox) -> None:
    def run(seed: int) -> list[int]:
        sandbox.control("DELETE", "/faults")
        order(sandbox, kind="status", status=500, path="/locations", times=None, share=0.4, seed=seed)
        return statuses(sandbox, 40)

    first = run(7)
    assert first == run(7) != run(8)
    assert 8 <= first.count(500) <= 24


def test_faults_choose_by_route_and_client(sandbox: Sandbox) -> None:
    order(sandbox, kind="status", path="/locations/{id}", client="picky/*", times=None)
    with plain(sandbox) as client:
        assert client.get("/locations/1").status_code == 200
        client.headers["User-Agent"] = "picky/1.0"
        assert client.get("/locations").status_code == 200
        assert client.get("/locations/1").status_code == 502


def test_an_action_ends_in_error_although_its_work_is_done(sandbox: Sandbox, sdk: Any) -> None:
    """As packer-plugin-hcloud met it: the snapshot exists, but its action says no."""
    server = ready(create(sdk))
    order(sandbox, kind="action_error", action="create_image", when="after", code="unavailable")
    made = server.create_image(description="x")
    with pytest.raises(hcloud.actions.domain.ActionFailedException):
        made.action.wait_until_finished()
    assert [image.status for image in sdk.images.get_all(type=["snapshot"])] == ["available"]


def ready(made: Any) -> Any:
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    return made.server


def test_an_action_on_one_server_is_slow(sandbox: Sandbox, sdk: Any) -> None:
    order(sandbox, kind="action_slow", action="start_server", server="slow-*", seconds=0.4)
    began = time.monotonic()
    ready(create(sdk, "quick"))
    middle = time.monotonic()
    ready(create(sdk, "slow-one"))
    assert middle - began < 0.35 < time.monotonic() - middle


def test_an_action_that_needs_no_time_can_fail_too(sandbox: Sandbox, sdk: Any) -> None:
    server = ready(create(sdk))
    order(sandbox, kind="action_error", action="shutdown_server")
    with pytest.raises(hcloud.actions.domain.ActionFailedException):
        server.shutdown().wait_until_finished()


def test_a_snapshot_stuck_in_creating_and_then_failed(sandbox: Sandbox, sdk: Any) -> None:
    server = ready(create(sdk))
    order(sandbox, kind="snapshot_stuck", seconds=0.4)
    made = server.create_image(description="x")
    assert [image.status for image in sdk.images.get_all(type=["snapshot"])] == ["creating"]
    with pytest.raises(hcloud.actions.domain.ActionFailedException):
        made.action.wait_until_finished()
    assert sdk.images.get_all(type=["snapshot"]) == []


def available(sdk: Any, kind: str, location: str) -> bool:
    places = sdk.servers._client.request(method="GET", url=f"/server_types?name={kind}")["server_types"][0]["locations"]
    return next(bool(place["available"]) for place in places if place["name"] == location)


@pytest.mark.parametrize("code", ["resource_unavailable", "placement_error"])
@pytest.mark.parametrize("where", ["call", "action"])
def test_capacity_gone_in_a_location(sandbox: Sandbox, sdk: Any, where: str, code: str) -> None:
    order(sandbox, kind="capacity", location="fsn1", server_type="cx*", where=where, code=code)
    assert not available(sdk, "cx23", "fsn1") and available(sdk, "cx23", "nbg1") and available(sdk, "cax11", "fsn1")
    if where == "call":
        with pytest.raises(hcloud.APIException) as refused:
            create(sdk)
        assert refused.value.code == code
    else:
        with pytest.raises(hcloud.actions.domain.ActionFailedException, match=code):
            ready(create(sdk))
    assert sdk.servers.get_all() == []
    assert ready(create(sdk, location="nbg1"))
    sandbox.control("DELETE", "/faults")
    assert available(sdk, "cx23", "fsn1")


@pytest.mark.parametrize("resource", ["servers", "primary_ips", "snapshots"])
def test_a_quota_counts_as_reached(sandbox: Sandbox, sdk: Any, resource: str) -> None:
    server = ready(create(sdk))
    order(sandbox, kind="quota", resource=resource)
    make: dict[str, Callable[[], Any]] = {"snapshots": lambda: server.create_image(description="x")}
    with pytest.raises(hcloud.APIException) as refused:
        make.get(resource, lambda: create(sdk, "second"))()
    assert refused.value.code == "resource_limit_exceeded"


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "flood"},
        {"kind": "reset", "wehn": "after"},
        {"kind": "status", "status": 418},
        {"kind": "slow", "share": 2},
    ],
)
def test_what_is_no_such_fault_is_refused(sandbox: Sandbox, fault: dict[str, object]) -> None:
    done = sandbox.control("POST", "/faults", json=fault)
    assert done.status_code == 422 and done.json()["error"]["code"] == "invalid_input"


def test_faults_and_requests_outlive_a_kill(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox().started()
    order(sandbox, kind="status", status=503, path="/locations", nth=2, times=2)
    assert statuses(sandbox, 2) == [200, 503]
    os.kill(sandbox.pid(), signal.SIGKILL)
    sandbox.started()
    assert statuses(sandbox, 2) == [503, 200]
    assert [entry["status"] for entry in requests(sandbox, route="/locations")] == [200, 503, 503, 200]
