"""Rescue system, console, root password, backups, ISOs, metrics, another type: as the OpenAPI document has them."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import hcloud
import httpx
import pytest
from hcloud.images import Image
from hcloud.isos import Iso
from hcloud.server_types import ServerType

from sandbox.resources.metrics.models import SERIES, step_of, time_series
from sandbox.resources.servers.models import Rescue, Server
from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient, document
from tests.sandbox.test_errors import error, fields
from tests.sandbox.test_placement_groups import new_server

START = datetime(2026, 11, 30, 12, tzinfo=UTC)


def create(sdk: Any, name: str = "s", **options: Any) -> Any:
    kind, image = ServerType(name="cx23"), Image(name="debian-13")
    made = sdk.servers.create(name=name, server_type=kind, image=image, **options)
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    return made.server


def test_the_rescue_system_is_for_the_next_boot(sdk: Any, public_key: str) -> None:
    server, key = create(sdk), sdk.ssh_keys.create(name="k", public_key=public_key)
    answer = server.enable_rescue(type="linux64", ssh_keys=[key.id])
    answer.action.wait_until_finished()
    assert len(answer.root_password) >= 20 and sdk.servers.get_by_id(server.id).rescue_enabled
    server.disable_rescue().wait_until_finished()
    assert not sdk.servers.get_by_id(server.id).rescue_enabled
    for boots in (server.reset, server.reboot):
        server.enable_rescue().action.wait_until_finished()
        boots().wait_until_finished()
        found = sdk.servers.get_by_id(server.id)
        assert (found.status, found.rescue_enabled) == ("running", False)


def test_a_rescue_system_that_nobody_boots_is_disabled_again(client: ValidatingClient) -> None:
    server = new_server(client, "s")
    shown = client.get(f"/servers/{server}").json()["server"]
    image = {**shown["image"], "created": START, "protected": False}
    record: dict[str, Any] = {"id": 1, "name": "s", "server_type": "cx23", "location": "fsn1", "image": image}
    kept = Server.model_validate(record | {"disk": 40, "number": 1, "address": "127.0.0.9", "created": START})
    kept.rescue = Rescue(until=datetime.now(UTC) + timedelta(minutes=1), public_keys=[], root_password="p")
    assert kept.rescue_enabled
    kept.rescue.until = datetime.now(UTC) - timedelta(seconds=1)
    assert not kept.rescue_enabled


def test_what_a_rescue_system_is_refused_for(client: ValidatingClient) -> None:
    enable = f"/servers/{new_server(client, 's')}/actions/enable_rescue"
    assert fields(client.post(enable, json={"type": "freebsd64"})) == ["type"]
    assert fields(client.post(enable, json={"ssh_keys": ["k"]})) == ["ssh_keys"]
    error(client.post(enable, json={"ssh_keys": [1]}), 404, "not_found")
    error(client.post("/servers/1/actions/enable_rescue", json={}), 404, "not_found")


def test_console_and_password(sdk: Any, client: ValidatingClient) -> None:
    server = create(sdk)
    console = server.request_console()
    console.action.wait_until_finished()
    assert console.wss_url.startswith("wss://") and console.password
    answer = server.reset_password()
    answer.action.wait_until_finished()
    assert len(answer.root_password) >= 20
    server.power_off().wait_until_finished()
    error(client.post(f"/servers/{server.id}/actions/reset_password"), 422, "service_error")


def test_backups_have_seven_slots_and_go_with_their_server(sdk: Any, client: ValidatingClient) -> None:
    server = create(sdk)
    create_image = f"/servers/{server.id}/actions/create_image"
    assert fields(client.post(create_image, json={"type": "backup"})) == ["type"]
    server.enable_backup().wait_until_finished()
    assert sdk.servers.get_by_id(server.id).backup_window == "22-02"
    made = []
    for number in range(8):
        answer = server.create_image(description=f"b{number}", type="backup")
        answer.action.wait_until_finished()
        made.append(answer.image.id)
    kept = sdk.images.get_all(type=["backup"], bound_to=[str(server.id)])
    assert [image.id for image in kept] == made[1:] and kept[0].bound_to.id == server.id
    snapshot = kept[0].update(type="snapshot")
    assert (snapshot.type, snapshot.bound_to) == ("snapshot", None)
    server.disable_backup().wait_until_finished()
    assert sdk.servers.get_by_id(server.id).backup_window is None and sdk.images.get_all(type=["backup"]) == []
    server.enable_backup().wait_until_finished()
    server.create_image(type="backup").action.wait_until_finished()
    server.delete().wait_until_finished()
    assert [image.id for image in sdk.images.get_all(type=["backup", "snapshot"])] == [snapshot.id]


def test_backups_do_not_count_as_snapshots(sandbox: Sandbox, sdk: Any) -> None:
    sandbox.control("PUT", "/conditions", json={"quotas": {"snapshots": 1}})
    server = create(sdk)
    server.enable_backup().wait_until_finished()
    for _ in range(2):
        server.create_image(type="backup").action.wait_until_finished()
    server.create_image(description="x").action.wait_until_finished()
    with pytest.raises(hcloud.APIException) as refused:
        server.create_image(description="y")
    assert refused.value.code == "resource_limit_exceeded"


def test_isos_are_listed_and_attached(sdk: Any, client: ValidatingClient) -> None:
    server = create(sdk, start_after_create=False)
    windows = sdk.isos.get_by_id(8637)
    assert windows.description == "Windows Server 2022 English" and sdk.isos.get_by_name(windows.name).id == 8637
    for chosen in (windows, Iso(id=8638), Iso(name="netboot.xyz.iso")):
        server.attach_iso(chosen).wait_until_finished()
    assert sdk.servers.get_by_id(server.id).iso.name == "netboot.xyz.iso"
    for _ in range(2):
        server.detach_iso().wait_until_finished()
    assert sdk.servers.get_by_id(server.id).iso is None
    attach = f"/servers/{server.id}/actions/attach_iso"
    error(client.post(attach, json={"iso": "nothing.iso"}), 404, "not_found")
    assert fields(client.post(attach, json={"iso": "debian-13.1.0-arm64-netinst.iso"})) == ["iso"]
    assert fields(client.post(attach, json={})) == ["iso"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("architecture=arm", ["debian-13.1.0-arm64-netinst.iso"]),
        ("architecture=arm&include_architecture_wildcard=true", ["debian-13.1.0-arm64-netinst.iso", "netboot.xyz.iso"]),
        ("name=netboot.xyz.iso", ["netboot.xyz.iso"]),
    ],
)
def test_isos_by_architecture(client: ValidatingClient, query: str, expected: list[str]) -> None:
    assert [item["name"] for item in client.get(f"/isos?{query}").json()["isos"]] == expected


def test_metrics_have_the_series_of_the_document(sdk: Any, client: ValidatingClient) -> None:
    server = create(sdk, start_after_create=False)
    found = server.get_metrics(type=["cpu", "disk", "network"], start=START, end=START + timedelta(hours=1), step=60)
    series = found.metrics.time_series
    assert set(series) == {name for names in SERIES.values() for name in names}
    assert [len(item["values"]) for item in series.values()] == [61] * 9
    path = f"/servers/{server.id}/metrics"
    assert fields(client.get(path)) == ["type", "start", "end"]
    hour = "start=2026-11-30T12:00:00Z&end=2026-11-30T11:00:00Z"
    assert fields(client.get(f"{path}?type=gpu&step=0&{hour}")) == ["type", "step", "end"]
    assert fields(client.get(f"{path}?type=cpu&start=now&end=2026-11-30T12:00:00Z")) == ["start"]
    error(client.get("/servers/1/metrics?type=cpu"), 404, "not_found")


@pytest.mark.parametrize(("wanted", "step", "samples"), [(None, 432, 201), (1, 173, 500), (3600, 3600, 25)])
def test_a_day_of_metrics_has_so_many_samples(wanted: float | None, step: int, samples: int) -> None:
    end = START + timedelta(days=1)
    assert step_of(START, end, wanted) == step
    assert len(time_series(["cpu"], START, end, step)["cpu"]["values"]) == samples


def test_a_server_starts_again_with_another_type(sdk: Any, client: ValidatingClient) -> None:
    server = create(sdk, start_after_create=False)
    server.change_type(ServerType(name="cpx22"), upgrade_disk=False).wait_until_finished()
    found = sdk.servers.get_by_id(server.id)
    assert (found.status, found.server_type.name, found.primary_disk_size) == ("running", "cpx22", 40)
    server.power_off().wait_until_finished()
    change = f"/servers/{server.id}/actions/change_type"
    for retired in ("cpx11", "cx22"):
        refused = client.post(change, json={"server_type": retired, "upgrade_disk": False})
        error(refused, 422, "invalid_server_type")


def test_a_protected_server_is_not_rebuilt(sdk: Any, client: ValidatingClient) -> None:
    server = create(sdk)
    server.change_protection(delete=True, rebuild=True).wait_until_finished()
    error(client.post(f"/servers/{server.id}/actions/rebuild", json={"image": "debian-13"}), 423, "protected")


def test_every_action_of_the_document_has_an_answer_of_the_api(client: ValidatingClient) -> None:
    documented = [path.rpartition("/")[2] for path in document()["paths"] if path.startswith("/servers/{id}/actions/")]
    server = new_server(client, "s")
    for command in documented:
        if command != "{action_id}":
            assert client.post(f"/servers/{server}/actions/{command}", json={}).status_code not in (404, 405), command
            wait_for(lambda: client.get(f"/servers/{server}").json()["server"]["locked"] is False)
    with httpx.Client(trust_env=False, verify=False, headers=client.headers, base_url=client.base_url) as plain:
        error(plain.post(f"/servers/{server}/actions/fly"), 404, "not_found")


def test_hcloud_takes_these_actions(sandbox: Sandbox, sdk: Any) -> None:
    create(sdk)

    def hcloud_cli(*arguments: str) -> str:
        done = sandbox.hcloud_cli(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "password" in hcloud_cli("server", "enable-rescue", "s").lower()
    hcloud_cli("server", "disable-rescue", "s")
    hcloud_cli("server", "request-console", "s")
    hcloud_cli("server", "reset-password", "s")
    hcloud_cli("server", "enable-backup", "s")
    hcloud_cli("server", "create-image", "s", "--type", "backup", "--description", "b")
    hcloud_cli("server", "disable-backup", "s")
    assert "netboot.xyz.iso" in hcloud_cli("iso", "list")
    hcloud_cli("server", "attach-iso", "s", "netboot.xyz.iso")
    hcloud_cli("server", "detach-iso", "s")
    hcloud_cli("server", "poweroff", "s")
    hcloud_cli("server", "change-type", "s", "cx33")
    shown = json.loads(hcloud_cli("server", "describe", "s", "-o", "json"))
    assert (shown["server_type"]["name"], shown["backup_window"], shown["iso"]) == ("cx33", None, None)


def test_they_outlive_a_kill(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox().started()
    with sandbox.client() as client:
        server = new_server(client, "s")
        for command, body in (("enable_rescue", {}), ("enable_backup", None), ("attach_iso", {"iso": "8637"})):
            client.post(f"/servers/{server}/actions/{command}", json=body)
        made = client.post(f"/servers/{server}/actions/create_image", json={"type": "backup"}).json()
        wait_for(lambda: client.get(f"/images/{made['image']['id']}").json()["image"]["status"] == "available")
    pid = sandbox.pid()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}"))  # noqa: PTH110
    sandbox.started()
    with sandbox.client() as client:
        kept = client.get(f"/servers/{server}").json()["server"]
        assert (kept["rescue_enabled"], kept["backup_window"], kept["iso"]["id"]) == (True, "22-02", 8637)
        assert client.get(f"/images/{made['image']['id']}").json()["image"]["bound_to"] == server
