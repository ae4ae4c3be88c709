"""The control plane: faults on order, as the clients see them."""

from __future__ import annotations

from typing import Any

import hcloud
import pytest
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

from tests.sandbox.conftest import Sandbox


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
