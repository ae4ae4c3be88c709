"""The promotion gate as a record, against the sandbox's API."""

from dataclasses import replace
from typing import Any

import pytest
from hcloud.server_types import ServerType

from adapters.hetzner.cloud import Cloud
from adapters.hetzner.errors import CloudError
from adapters.hetzner.servers import ServerRequest
from components import records
from components.records import _EphemeralServerProvider, _PublishedProvider, _RestartedProvider
from images.labels import build_labels
from tests.adapters.hetzner.test_cloud import name_of, request_, snapshot_of

__all__ = ["request_"]


@pytest.fixture
def gate(cloud: Cloud) -> _PublishedProvider:
    made = _PublishedProvider()
    made.cloud = cloud
    return made


@pytest.fixture
def props(cloud: Cloud, request_: ServerRequest) -> dict[str, Any]:
    image = snapshot_of(cloud.create_server(request_))
    return {
        "snapshot_id": image.id,
        "name": "the-name",
        "architecture": "amd64",
        "hcloud_architecture": "x86",
        "protect": False,
    }


@pytest.mark.parametrize(
    ("status", "is_let_in", "goes_on"),
    [("running", True, True), ("running", False, False), ("off", False, True), ("gone", True, False)],
)
def test_a_server_that_lets_us_in_no_more_is_made_anew(
    cloud: Cloud, request_: ServerRequest, monkeypatch: pytest.MonkeyPatch, status: str, is_let_in: bool, goes_on: bool
) -> None:
    """As after a kill in the middle of the step `clean`. One that is off has nothing left to do but to be copied."""
    server = cloud.create_server(request_)
    if status == "off":
        cloud.power_off(server.id)
    if status == "gone":
        cloud.remove_server(request_.name, request_.labels)
    provider = _EphemeralServerProvider()
    provider.cloud = cloud
    monkeypatch.setattr(records, "lets_in", lambda *_: is_let_in)
    props = {
        "digest": "d", "image": "debian-13", "login_public_key": "a", "host_public_key": "b", "variables": "", "ssh_port": 22,
        "done": False, "labels": {"role": "builder"},
    }  # fmt: skip
    difference = provider.diff(str(server.id), {**props, "host": "127.0.0.1"}, {**props, "host": None})
    assert bool(difference.replaces) is not goes_on


def asked_for(request: ServerRequest, **more: Any) -> dict[str, Any]:
    """What a record of that server is told."""
    return {
        **{"name": request.name, "digest": "d", "image": request.image, "hcloud_architecture": request.architecture},
        **{"server_types": request.server_types, "locations": request.locations, "labels": request.labels},
        **{"ssh_port": 22.0, "ssh_from": [], "done": False, "variables": "", "let_go": [], **more},
    }


def test_a_server_is_made_with_keys_of_its_own_while_another_one_goes(
    cloud: Cloud, request_: ServerRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    builder = cloud.create_server(replace(request_, name="builder"))
    going = {"server_id": float(builder.id or 0), "name": "builder", "labels": request_.labels}
    monkeypatch.setattr(records, "wait_for_ssh", lambda *_: None)
    monkeypatch.setattr(records, "greets", lambda *_args, **_more: False)
    provider = _EphemeralServerProvider()
    provider.cloud = cloud
    made = provider.create(asked_for(request_, let_go=[going])).outs
    (server,) = cloud.client.servers.get_all()
    assert (server.id, server.name) == (made["server_id"], request_.name)
    (key,) = cloud.client.ssh_keys.get_all()
    assert key.public_key == made["login_public_key"]
    assert "PRIVATE KEY" in made["login_private_key"]
    assert made["host_public_key"].startswith("ssh-ed25519 ")


def test_a_server_that_does_not_go_fails_the_one_after_it(
    cloud: Cloud, request_: ServerRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise CloudError("it stays")

    provider = _EphemeralServerProvider()
    provider.cloud = cloud
    monkeypatch.setattr(provider, "remove", refuse)
    monkeypatch.setattr(records, "wait_for_ssh", lambda *_: None)
    with pytest.raises(CloudError, match="it stays"):
        provider.create(asked_for(request_))


def test_the_servers_of_the_tests_go_before_an_image_gets_its_name(
    gate: _PublishedProvider, props: dict[str, Any], cloud: Cloud, request_: ServerRequest
) -> None:
    (server,) = cloud.client.servers.get_all()
    going = {"server_id": float(server.id), "name": request_.name, "labels": request_.labels}
    gate.create({**props, "let_go": [going], "tests": "t", "report": "{}", "manifest": "{}"})
    assert cloud.client.servers.get_all() == []


@pytest.mark.parametrize("other", [{"tests": "u"}, {"report": "[]"}, {"let_go": [{"server_id": 8.0}]}])
def test_other_tests_are_another_publication_of_the_same_snapshot(
    gate: _PublishedProvider, props: dict[str, Any], other: dict[str, Any]
) -> None:
    proof = {"tests": "t", "report": "{}", "manifest": "{}", "let_go": [{"server_id": 7.0}]}
    seen = {"found": {"name": "the-name", "protected": False}}
    old = {**props, **proof}
    assert not gate.diff("1", old, {**old, **seen}).changes
    assert not gate.diff("1", old, {**props, **seen}).changes, "an earlier image, of which nobody asks for its tests"
    difference = gate.diff("1", old, {**old, **other, **seen})
    assert difference.changes
    assert not difference.replaces


class Greeting(_EphemeralServerProvider):
    """A provider for servers that greet by themselves."""

    def __init__(self, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, refusals: list[list[str]]) -> None:
        self.cloud, self.asked = cloud, refusals
        monkeypatch.setattr(records, "greets", lambda *_, **__: True)
        monkeypatch.setattr(records, "wait_for_ssh", lambda *_: None)
        monkeypatch.setattr(records, "refusing", lambda *_: self.asked.pop(0))


@pytest.mark.parametrize(
    ("refusals", "location"), [([[]], "nbg1"), ([["https://a/b"], []], "fsn1"), ([["u"]] * 2, "fsn1")]
)
def test_a_server_that_a_host_refuses_gives_way_to_another_once(
    cloud: Cloud,
    request_: ServerRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    refusals: list[list[str]],
    location: str,
) -> None:
    provider = Greeting(cloud, monkeypatch, [*refusals])
    made = provider.create(
        {
            "let_go": [], "name": request_.name, "image": "debian-13", "hcloud_architecture": "x86", "server_types": ["cx23"],
            "locations": ["nbg1", "fsn1"], "labels": dict(request_.labels), "ssh_port": 22, "ssh_from": [], "sources": ["x"],
        }
    )  # fmt: skip
    (server,) = cloud.client.servers.get_all()
    assert (made.id, server.location.name) == (str(server.id), location)
    assert provider.asked == []
    said = capfd.readouterr().err
    assert said.count("answered 403 to the build server at 127.") == sum(map(bool, refusals))
    assert ("Another server is made" in said) == bool(refusals[0])
    assert ("The step that needs it will tell" in said) == (refusals == [["u"]] * 2)


@pytest.mark.parametrize("wanted", [True, False])
def test_a_server_is_started_anew_where_that_is_wanted(
    cloud: Cloud, request_: ServerRequest, monkeypatch: pytest.MonkeyPatch, wanted: bool
) -> None:
    server = cloud.create_server(request_)
    reached: list[tuple[str, int]] = []
    monkeypatch.setattr(records, "wait_for_ssh", lambda host, port, *_: reached.append((host, port)))
    provider = _RestartedProvider()
    provider.cloud = cloud
    props = {"server_id": float(server.id), "host": "127.1.2.3", "ssh_port": 22.0, "wanted": wanted}
    made = provider.create(props)
    actions = [action.command for action in cloud.client.servers.get_actions_list(server).actions]
    assert (actions.count("shutdown_server"), actions.count("start_server")) == ((1, 2) if wanted else (0, 1))
    assert reached == ([("127.1.2.3", 22)] if wanted else [])
    assert not provider.diff(made.id, made.outs, props).changes
    assert provider.diff(made.id, made.outs, {**props, "server_id": 0.0}).replaces == ["server_id"]


def changes(gate: _PublishedProvider, made: Any, wanted: dict[str, Any], cloud: Cloud) -> bool | None:
    """With what the start of the next run sees of the snapshot."""
    (found,) = cloud.holdings("test").snapshots
    return gate.diff("id", made, {**wanted, "found": {"name": found.image, "protected": found.protected}}).changes


def is_protected(cloud: Cloud) -> bool:
    (found,) = cloud.holdings("test").snapshots
    return found.protected


def test_what_is_as_declared_is_no_change(gate: _PublishedProvider, props: dict[str, Any], cloud: Cloud) -> None:
    made = gate.create(props).outs
    assert not changes(gate, made, props, cloud)


def test_a_snapshot_that_is_gone_is_a_change(gate: _PublishedProvider, props: dict[str, Any]) -> None:
    assert gate.diff("id", {**props, "created": "2026"}, props).changes


def test_a_name_taken_away_by_hand_is_a_change(gate: _PublishedProvider, props: dict[str, Any], cloud: Cloud) -> None:
    made = gate.create(props).outs
    cloud.withdraw(props["snapshot_id"])
    assert changes(gate, made, props, cloud)
    gate.update("id", made, props)
    assert name_of(cloud, props["snapshot_id"]) == "the-name"


def test_protection_comes_and_goes_with_the_stack_file(
    gate: _PublishedProvider, props: dict[str, Any], cloud: Cloud
) -> None:
    made = gate.create(props).outs
    wanted = {**props, "protect": True}
    assert changes(gate, made, wanted, cloud)
    made = gate.update("id", made, wanted).outs
    assert is_protected(cloud)
    assert not changes(gate, made, wanted, cloud)
    assert changes(gate, made, props, cloud)
    gate.update("id", made, props)
    assert not is_protected(cloud)


def test_protection_set_by_hand_is_left_alone(gate: _PublishedProvider, props: dict[str, Any], cloud: Cloud) -> None:
    made = gate.create(props).outs
    cloud.protect(props["snapshot_id"], delete=True)
    assert not changes(gate, made, props, cloud)
    cloud.protect(props["snapshot_id"], delete=False)


def test_a_protected_image_is_not_even_withdrawn(gate: _PublishedProvider, props: dict[str, Any], cloud: Cloud) -> None:
    made = gate.create({**props, "protect": True}).outs
    with pytest.raises(CloudError, match="is protected and stays"):
        gate.delete("id", made)
    assert name_of(cloud, props["snapshot_id"]) == "the-name"
    cloud.protect(props["snapshot_id"], delete=False)
    gate.delete("id", made)
    assert name_of(cloud, props["snapshot_id"]) == ""


def test_servers_that_run_from_a_deleted_image_are_named(
    gate: _PublishedProvider, props: dict[str, Any], cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    made = gate.create(props).outs
    image = cloud.client.images.get_by_id(props["snapshot_id"])
    for name, labels in (("node-1", {}), ("a-verifier", build_labels("test", "d" * 32))):
        cloud.client.servers.create(name, ServerType(name="cx23"), image, labels=labels)
    gate.delete("id", made)
    said = capfd.readouterr().err
    assert said.startswith(
        f"warning: snapshot {image.id} (the-name) is deleted, but servers were created from it: node-1."
    )
    gate.delete("id", made)
    assert "node-1" in capfd.readouterr().err, "also when it was withdrawn by a run that was killed"


def test_nothing_is_said_of_a_deleted_image_that_no_server_runs_from(
    gate: _PublishedProvider, props: dict[str, Any], cloud: Cloud, capfd: pytest.CaptureFixture[str]
) -> None:
    gate.delete("id", gate.create(props).outs)
    assert capfd.readouterr().err == ""
    assert name_of(cloud, props["snapshot_id"]) == ""
