"""The official Python SDK, and the calls Terraform's provider makes, go through as against the real API."""

from __future__ import annotations

from typing import Any

import hcloud
import pytest
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import ServerType

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.openapi import ValidatingClient


def test_server_to_snapshot_to_server(sdk: Any, public_key: str) -> None:
    key = sdk.ssh_keys.create(name="k", public_key=public_key)
    made = sdk.servers.create(
        name="builder",
        server_type=ServerType(name="cx23"),
        image=Image(name="debian-13"),
        location=Location(name="hel1"),
        ssh_keys=[key],
        user_data="#cloud-config\n{}\n",
        labels={"role": "builder"},
    )
    assert made.root_password is None and made.server.status == "initializing"
    assert (made.action.command, [action.command for action in made.next_actions]) == (
        "create_server",
        ["start_server"],
    )
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    server = sdk.servers.get_by_name("builder")
    assert server is not None and server.status == "running" and server.location.name == "hel1"
    server.shutdown().wait_until_finished()
    wait_for(lambda: sdk.servers.get_by_id(server.id).status == "off")
    snapshot = server.create_image(description="mine", labels={"a": "b"})
    snapshot.action.wait_until_finished()
    image = sdk.images.get_by_id(snapshot.image.id)
    assert (image.status, image.name, image.os_version, image.architecture) == ("available", None, "13", "x86")
    assert image.created_from.id == server.id and image.image_size > 0
    server.delete().wait_until_finished()
    with pytest.raises(hcloud.APIException, match="not found"):
        sdk.servers.get_by_id(server.id)
    again = sdk.servers.create(name="builder", server_type=ServerType(name="cx23"), image=image)
    assert again.root_password
    assert sdk.servers.get_by_id(again.server.id).image.id == image.id


def test_a_server_keeps_showing_an_image_that_was_deleted(sdk: Any) -> None:
    first = sdk.servers.create(
        name="a", server_type=ServerType(name="cx23"), image=Image(name="debian-13"), start_after_create=False
    )
    first.action.wait_until_finished()
    snapshot = first.server.create_image(description="gone")
    snapshot.action.wait_until_finished()
    second = sdk.servers.create(name="b", server_type=ServerType(name="cx23"), image=snapshot.image)
    second.action.wait_until_finished()
    sdk.images.get_by_id(snapshot.image.id).delete()
    assert sdk.servers.get_by_id(second.server.id).image.description == "gone"


def test_image_filters(sdk: Any) -> None:
    debian, others = {"debian-12", "debian-13"}, {"rocky-9", "rocky-10", "ubuntu-22.04", "ubuntu-24.04", "ubuntu-26.04"}
    assert {image.name for image in sdk.images.get_all(type=["system"])} == debian | others, "no machine has to boot"
    assert sdk.images.get_by_name_and_architecture("debian-13", "arm").architecture == "arm"
    assert sdk.images.get_all(type=["snapshot"]) == []
    assert sdk.images.get_all(bound_to=["1"]) == []


def test_server_types_are_those_of_late_2026(sdk: Any) -> None:
    kinds = {kind.name: kind for kind in sdk.server_types.get_all()}
    assert kinds["cx23"].architecture == "x86" and kinds["cax11"].architecture == "arm"
    assert {name: kinds[name].id for name in ("cpx11", "ccx63", "cpx12", "cpx62", "cx53")} == {
        "cpx11": 22,
        "ccx63": 101,
        "cpx12": 108,
        "cpx62": 113,
        "cx53": 117,
    }
    assert (kinds["cpx22"].description, kinds["cpx12"].cores) == ("CPX 22", 1)
    assert {kind.category for kind in kinds.values()} == {"cost_optimized", "regular_purpose", "general_purpose"}
    assert all(float(price["price_hourly"]["net"]) > 0 for kind in kinds.values() for price in kind.prices)


def test_a_server_type_is_deprecated_in_some_locations(sdk: Any) -> None:
    kinds = {kind.name: kind for kind in sdk.server_types.get_all()}
    gone = {place.location.name for place in kinds["cpx11"].locations if place.deprecation}
    assert gone == {"fsn1", "nbg1", "hel1", "sin"} and kinds["cpx11"].deprecated is False
    assert all(place.deprecation for place in kinds["cx22"].locations) and kinds["cx22"].deprecated
    assert not any(place.deprecation for place in kinds["cx23"].locations)
    kind, image = ServerType(name="cpx11"), Image(name="debian-13")
    with pytest.raises(hcloud.APIException, match="deprecated"):
        sdk.servers.create(name="s", server_type=kind, image=image, location=Location(name="fsn1"))
    made = sdk.servers.create(name="s", server_type=kind, image=image, start_after_create=False)
    made.action.wait_until_finished()
    assert made.server.location.name == "ash"


def test_prices_are_those_since_june_2026_by_location(client: ValidatingClient) -> None:
    shown = client.get("/pricing").json()["pricing"]
    monthly = {
        (item["name"], price["location"]): float(price["price_monthly"]["net"])
        for item in shown["server_types"]
        for price in item["prices"]
    }
    assert [monthly[kind, "nbg1"] for kind in ("cx23", "cax41", "cpx12", "cpx22", "ccx13", "ccx53")] == [
        *(5.49, 40.99, 11.49, 19.49, 42.99, 533.49)
    ]
    assert (monthly["cpx12", "sin"], monthly["ccx13", "ash"]) == (15.49, 43.49)
    assert float(shown["image"]["price_per_gb_month"]["net"]) == 0.0143
    first = client.get("/server_types?name=cx23").json()["server_types"][0]["prices"][0]
    assert float(first["price_hourly"]["net"]) == 0.0088


def test_terraforms_way(client: ValidatingClient, public_key: str) -> None:
    """The provider looks everything up by name, sends ids as it got them, and polls actions in bulk."""
    image = client.get("/images?name=debian-13&architecture=x86&include_deprecated=true").json()["images"][0]
    key = client.post("/ssh_keys", json={"name": "k", "public_key": public_key}).json()["ssh_key"]
    kind = client.get("/server_types?name=cx23").json()["server_types"][0]
    body = {"name": "tf", "server_type": kind["id"], "image": image["id"], "ssh_keys": [key["id"]], "user_data": ""}
    net = {"enable_ipv4": True, "enable_ipv6": False}
    made = client.post("/servers", json=body | {"start_after_create": True, "public_net": net}).json()
    ids = [made["action"]["id"], *(action["id"] for action in made["next_actions"])]
    query = "&".join(f"id={number}" for number in ids)

    def statuses() -> set[str]:
        return {action["status"] for action in client.get(f"/actions?{query}&sort=status&sort=id").json()["actions"]}

    wait_for(lambda: statuses() == {"success"})
    server = client.get(f"/servers/{made['server']['id']}").json()["server"]
    assert server["status"] == "running" and server["public_net"]["ipv6"] is None
    assert client.get("/primary_ips?name=x").json()["primary_ips"] == []
    assert client.delete(f"/servers/{server['id']}").json()["action"]["command"] == "delete_server"


def test_realistic_speed_shows_progress(sandbox: Sandbox, client: ValidatingClient) -> None:
    sandbox.control("PUT", "/speed", json={"speed": "realistic"})
    made = client.post("/servers", json={"name": "slow", "server_type": "cx23", "image": "debian-13"}).json()
    seen = set()

    def progress_twice() -> bool:
        seen.add(client.get(f"/actions/{made['action']['id']}").json()["action"]["progress"])
        return len(seen) >= 3

    wait_for(progress_twice)
    assert all(0 <= progress < 100 for progress in seen)
