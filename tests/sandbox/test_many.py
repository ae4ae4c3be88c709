"""What months and thousands of servers must not slow down or fill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.resources.actions import models
from sandbox.resources.actions.models import Actions
from sandbox.settings import MachineKind, Settings, Speed
from sandbox.store import Store
from tests.sandbox.conftest import Sandbox
from tests.sandbox.test_errors import GOOD


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Actions:
    monkeypatch.setattr(models, "KEPT", 10)
    monkeypatch.setattr(models, "FORGOTTEN_AT_ONCE", 3)
    return Actions(Store(tmp_path / "state.db"), Speed.instant)


def test_the_oldest_actions_that_ended_are_forgotten(few: Actions) -> None:
    running = few.begin("create_server", ("server", 1))
    ended = [few.done("change_protection", ("server", 2)) for _ in range(30)]
    assert len(few.all) <= 10
    assert few.running_on("server", 1) == [running]
    assert few.of("server", 2) == [action for action in ended if few.all.get(action.id)]
    assert ended[-1] in few.of("server", 2) and ended[0] not in few.of("server", 2)
    again = Actions(few.store, Speed.instant)
    assert [action.id for action in again.of("server", 2)] == [action.id for action in few.of("server", 2)]


def test_a_server_that_is_forgotten_leaves_no_index(few: Actions) -> None:
    for number in range(100):
        few.done("create_server", ("server", number))
    assert len(few.by_resource) <= 10


def test_more_servers_than_a_loopback_range_has() -> None:
    settings = Settings(machines=MachineKind.none)
    addresses = {settings.machine_address(number) for number in range(1, 10_001)}
    assert len(addresses) == 10_000 and settings.address_limit >= 10_000
    assert settings.machine_address(254).startswith("127.") and settings.machine_address(255) == "198.18.0.255"
    assert Settings(machines=MachineKind.light).address_limit == 254


def test_300_servers(make_sandbox: Callable[..., Sandbox]) -> None:
    with make_sandbox().started().client() as client:
        for number in range(300):
            assert client.post("/servers", json=GOOD | {"name": f"s{number}"}).status_code == 201
        answer = client.get("/servers?per_page=50&page=6").json()
    assert len(answer["servers"]) == 50 and answer["meta"]["pagination"]["total_entries"] == 300
    addresses = {server["public_net"]["ipv4"]["ip"] for server in answer["servers"]}
    assert len(addresses) == 50 and {address.split(".")[0] for address in addresses} == {"127", "198"}
