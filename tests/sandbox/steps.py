"""Steps that tests of single resources share."""

from __future__ import annotations

from functools import partial
from typing import Any

import httpx

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient

SERVER = {"name": "s", "server_type": "cx23", "image": "debian-13", "location": "fsn1", "start_after_create": False}
ACTION_SECONDS = 60.0
SLOW_SECONDS = 6.0
"""How long `slowed` holds an action: the calls that are to meet it are made meanwhile."""


def slowed(sandbox: Sandbox, action: str) -> None:
    """The next action of this command takes its time."""
    order = {"kind": "action_slow", "action": action, "seconds": SLOW_SECONDS}
    assert sandbox.control("POST", "/faults", json=order).status_code == 201


def refused(response: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The error, which must be this one."""
    found: dict[str, Any] = response.json()["error"]
    assert (response.status_code, found["code"]) == (status, code), response.text
    return found


def bad_fields(response: httpx.Response) -> list[str]:
    """Fields at fault of an invalid_input."""
    return sorted(field["name"] for field in refused(response, 422, "invalid_input")["details"]["fields"])


def settled(client: ValidatingClient, response: httpx.Response) -> dict[str, Any]:
    """The answer of a call that succeeds, after all its actions have."""
    assert response.is_success, response.text
    answer: dict[str, Any] = response.json() if response.content else {}
    first = [answer["action"]] if answer.get("action") else []
    for action in first + answer.get("actions", []) + answer.get("next_actions", []):
        wait_for(partial(ended, client, action["id"]), ACTION_SECONDS)
        last = client.get(f"/actions/{action['id']}").json()["action"]
        assert last["status"] == "success", last
    return answer


def ended(client: ValidatingClient, action: int) -> bool:
    return bool(client.get(f"/actions/{action}").json()["action"]["status"] != "running")


def new_server(client: ValidatingClient, name: str = "s", **more: Any) -> int:
    """A server that is off, unless it is to be started."""
    return int(settled(client, client.post("/servers", json=SERVER | {"name": name, **more}))["server"]["id"])


def server(client: ValidatingClient, number: int) -> dict[str, Any]:
    """As it is now."""
    shown: dict[str, Any] = client.get(f"/servers/{number}").json()["server"]
    return shown
