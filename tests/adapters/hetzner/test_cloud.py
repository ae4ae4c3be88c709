"""What a build asks of Hetzner Cloud, against the sandbox's API."""

from dataclasses import replace
from typing import Any

import pytest
import requests
from hcloud.images import BoundImage
from hcloud.servers import BoundServer

from adapters.hetzner.cloud import Cloud
from adapters.hetzner.errors import MOVED, CloudError
from adapters.hetzner.servers import CLUSTER_PORTS, ClusterNode, ServerRequest
from components.identity import new_identity, user_data
from images.failure import answer
from images.labels import build_labels
from images.names import Record
from images.recorded import Recorded
from images.stackfile import Timeouts

LABELS = {**build_labels("test", "d" * 32), "role": "builder"}
IDENTITY = new_identity()


@pytest.fixture
def request_() -> ServerRequest:
    return ServerRequest(
        name="node-image-test-builder",
        image="debian-13",
        architecture="x86",
        server_types=["cx23"],
        locations=["nbg1"],
        labels=LABELS,
        login_key=IDENTITY["login_public_key"],
        user_data=user_data(IDENTITY["host_private_key"], IDENTITY["host_public_key"]),
    )


def snapshot_of(server: BoundServer, **labels: str) -> BoundImage:
    own = {**build_labels("test", "d" * 32), "role": "snapshot", "architecture": "amd64", **labels}
    response = server.create_image("x", "snapshot", {key: value for key, value in own.items() if value})
    response.action.wait_until_finished()
    return response.image


def names(cloud: Cloud) -> tuple[list[str], list[str], list[str]]:
    found = cloud.client
    kinds = [found.servers.get_all(), found.ssh_keys.get_all(), found.firewalls.get_all()]
    servers, keys, firewalls = [[str(item.name) for item in items] for items in kinds]  # type: ignore[attr-defined]
    return servers, keys, firewalls


def order_fault(cloud: Cloud, **fault: object) -> None:
    faults = cloud.endpoint.removesuffix("/v1") + "/_sandbox/faults"
    requests.post(faults, json=fault, timeout=5).raise_for_status()


def name_of(cloud: Cloud, image_id: int) -> str:
    found = cloud.snapshot(image_id)
    assert found
    return found.image


def test_a_server_comes_with_its_key_and_goes_with_it(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    server.reload()
    assert (server.status, server.labels) == ("running", LABELS)
    assert names(cloud) == ([request_.name],) * 3
    cloud.remove_server(request_.name, LABELS)
    assert names(cloud) == ([], [], [])
    cloud.remove_server(request_.name, LABELS)


def test_a_server_that_comes_and_goes_costs_few_requests(cloud: Cloud, request_: ServerRequest) -> None:
    """One that answers to SSH is not asked for any more; polls apart, nothing is looked up that we know."""
    control = cloud.endpoint.removesuffix("/v1") + "/_sandbox/requests"
    requests.delete(control, timeout=5).raise_for_status()
    server = cloud.create_server(request_, lambda _address: True)
    cloud.power_off(server.id)
    cloud.remove_server(request_.name, LABELS)
    asked = [f"{item['method']} {item['route']}" for item in requests.get(control, timeout=5).json()["requests"]]
    polls = {"GET /actions/{id}", "GET /servers/{id}"}
    assert [item for item in asked if item not in polls] == [
        "GET /servers", "POST /ssh_keys", "POST /firewalls", "GET /images", "GET /server_types", "POST /servers",
        "POST /servers/{id}/actions/shutdown",
        "GET /servers", "GET /firewalls", "GET /ssh_keys",
        "DELETE /servers/{id}", "DELETE /firewalls/{id}", "DELETE /ssh_keys/{id}",
    ]  # fmt: skip


def test_a_server_that_is_still_locked_is_shut_down_once_it_is_free(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    order_fault(cloud, method="POST", path=f"/servers/{server.id}/actions/shutdown", code="locked", times=2)
    cloud.power_off(server.id)
    assert cloud.server_status(server.id) == "off"


def test_a_locked_server_is_deleted_once_it_is_free(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    order_fault(cloud, method="DELETE", path=f"/servers/{server.id}", code="locked", times=2)
    cloud.remove_servers_of("test")
    assert names(cloud) == ([], [], [])


def test_a_server_that_stays_locked_is_told_in_words(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    order_fault(cloud, method="DELETE", path=f"/servers/{server.id}", code="locked", times=None)
    hasty = Cloud("t" * 64, cloud.endpoint, Timeouts(action=1))
    hasty.timeouts = Timeouts.model_construct(action=0.1)
    with pytest.raises(CloudError, match=rf"server {request_.name} \({server.id}\) could not be deleted within 0 s"):
        hasty.remove_server(request_.name, LABELS)


def test_only_ssh_comes_in_and_only_from_where_it_may(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(replace(request_, ssh_port=2222, ssh_from=["203.0.113.7/32"]))
    (firewall,) = cloud.client.firewalls.get_all()
    (rule,) = firewall.rules
    assert (rule.direction, rule.protocol, rule.port, rule.source_ips) == ("in", "tcp", "2222", ["203.0.113.7/32"])
    assert (firewall.labels, [item.firewall.id for item in server.public_net.firewalls]) == (LABELS, [firewall.id])


SENT = {
    "/servers": {
        "name", "server_type", "location", "image", "start_after_create", "ssh_keys", "firewalls", "user_data", "labels",
    },
    "/ssh_keys": {"name", "public_key", "labels"},
    "/firewalls": {"name", "rules", "labels"},
}  # fmt: skip
"""What is sent to make something: images/accepted.py has the rule of each that a person has a hand in."""


@pytest.mark.usefixtures("unseen")
def test_nothing_is_sent_that_no_preview_checks(cloud: Cloud, request_: ServerRequest) -> None:
    cloud.create_server(request_)
    assert {path: {*posted(cloud, path)[0]} for path in SENT} == SENT


def test_the_system_images_are_known_by_name_and_architecture(cloud: Cloud) -> None:
    assert {("debian-13", "x86"), ("debian-13", "arm")} < cloud.system_images()


def test_two_nodes_of_a_test_reach_each_other_and_nobody_else_comes_in(cloud: Cloud, request_: ServerRequest) -> None:
    second = replace(request_, name=f"{request_.name}-2", login_key=new_identity()["login_public_key"])
    for request in (request_, second):
        cloud.create_server(request)
    nodes = [
        ClusterNode(request_.name, LABELS, "198.51.100.7"),
        ClusterNode(second.name, LABELS, "198.51.100.8"),
    ]
    for _ in range(2):  # once more, as after an answer that was lost
        cloud.connect(nodes)
    for node, other in zip(nodes, reversed(nodes), strict=True):
        ssh, *rules = cloud.client.firewalls.get_by_name(node.name).rules
        assert ssh.port == "22"
        found = {(rule.protocol, rule.port, *rule.source_ips) for rule in rules}
        assert found == {(kind, port, f"{other.address}/32") for kind, port in CLUSTER_PORTS}
        assert len(rules) == len(CLUSTER_PORTS)


def test_nodes_whose_firewall_is_gone_or_anothers_are_told(cloud: Cloud, request_: ServerRequest) -> None:
    with pytest.raises(CloudError, match=f"the firewall of server {request_.name} is gone"):
        cloud.connect([ClusterNode(request_.name, LABELS, "198.51.100.7")])


def test_a_quota_is_named(cloud: Cloud, request_: ServerRequest) -> None:
    order_fault(cloud, method="POST", path="/servers", code="resource_limit_exceeded", message="server limit exceeded")
    with pytest.raises(CloudError, match=r"server limit exceeded \(resource_limit_exceeded\)[\s\S]*primary IPs"):
        cloud.create_server(request_)
    assert names(cloud) == ([], [], [])


def test_what_is_in_stock_is_known_by_place(cloud: Cloud) -> None:
    offers = {(item.server_type, item.location): item for item in cloud.offers()}
    assert offers["cx23", "nbg1"].available
    assert not offers["cx22", "nbg1"].available
    assert offers["cx22", "nbg1"].ends == "2025-12-31"
    assert (offers["cx33", "nbg1"].disk, offers["cax11", "nbg1"].architecture) == (80, "arm")


def test_orphans_are_what_the_state_does_not_know(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    lost = snapshot_of(server)
    key = f"x-{lost.labels['architecture']}"
    assert cloud.holdings("test").orphans(Recorded(frozenset([key]), frozenset([server.id]))) == []
    (line,) = cloud.holdings("test").orphans(Recorded(frozenset(), frozenset()))
    assert f"left over: {request_.name}, unpublished snapshot {lost.id}" in line
    assert cloud.holdings("another").orphans(Recorded(frozenset(), frozenset())) == []


def test_a_server_that_an_interrupted_run_left_is_taken_up(cloud: Cloud, request_: ServerRequest) -> None:
    assert cloud.create_server(request_).id == cloud.create_server(request_).id


@pytest.mark.parametrize("path", ["/servers", "/ssh_keys", "/firewalls"])
def test_what_was_made_though_the_answer_was_lost_is_taken_up(cloud: Cloud, request_: ServerRequest, path: str) -> None:
    order_fault(cloud, kind="reset", method="POST", path=path, when="after")
    server = cloud.create_server(request_)
    assert cloud.has_server(server.id)
    assert names(cloud) == ([request_.name],) * 3


@pytest.mark.parametrize("path", ["/servers", "/ssh_keys", "/firewalls"])
def test_where_nothing_was_made_nothing_stays(cloud: Cloud, request_: ServerRequest, path: str) -> None:
    order_fault(cloud, kind="reset", method="POST", path=path, when="before")
    with pytest.raises(CloudError):
        cloud.create_server(request_)
    assert names(cloud) == ([], [], [])


@pytest.mark.parametrize("path", ["/servers/*", "/ssh_keys/*", "/firewalls/*"])
def test_a_deletion_whose_answer_was_lost_is_made_again(cloud: Cloud, request_: ServerRequest, path: str) -> None:
    cloud.create_server(request_)
    order_fault(cloud, kind="reset", method="DELETE", path=path, when="after")
    cloud.remove_server(request_.name, LABELS)
    assert names(cloud) == ([], [], [])


@pytest.mark.parametrize("code", ["resource_unavailable", "placement_error"])
def test_where_there_is_no_room_the_next_place_is_tried(cloud: Cloud, request_: ServerRequest, code: str) -> None:
    order_fault(cloud, method="POST", path="/servers", code=code)
    server = cloud.create_server(replace(request_, locations=["nbg1", "fsn1"]))
    assert server.location.name == "fsn1"


def posted(cloud: Cloud, path: str = "/servers") -> list[dict[str, Any]]:
    """The bodies of the calls that made something, or tried to."""
    seen = requests.get(cloud.endpoint.removesuffix("/v1") + "/_sandbox/requests", timeout=5).json()["requests"]
    return [item["body"] for item in seen if (item["method"], item["route"]) == ("POST", path)]


@pytest.fixture
def unseen(cloud: Cloud) -> None:
    """Nothing has been asked yet."""
    requests.delete(cloud.endpoint.removesuffix("/v1") + "/_sandbox/requests", timeout=5).raise_for_status()


@pytest.mark.usefixtures("unseen")
def test_a_quota_of_one_type_leaves_the_next_type(cloud: Cloud, request_: ServerRequest) -> None:
    """As of dedicated cores: a quota is the project's, so the same type is not asked for in another location."""
    body = {"server_type": "ccx13"}
    order_fault(cloud, method="POST", path="/servers", body=body, code="resource_limit_exceeded", times=None)
    server = cloud.create_server(replace(request_, server_types=["ccx13", "cx23"], locations=["nbg1", "fsn1"]))
    assert server.server_type.name == "cx23"
    assert [(body["server_type"], body["location"]) for body in posted(cloud)] == [("ccx13", "nbg1"), ("cx23", "nbg1")]


def test_a_quota_and_an_empty_stock_are_both_told_and_room_may_come(cloud: Cloud, request_: ServerRequest) -> None:
    order_fault(cloud, method="POST", path="/servers", code="resource_limit_exceeded", message="no cores")
    order_fault(cloud, method="POST", path="/servers", code="resource_unavailable", times=None)
    with pytest.raises(CloudError) as caught:
        cloud.create_server(replace(request_, server_types=["ccx13", "cx23"]))
    assert "ccx13 in nbg1: no cores (resource_limit_exceeded)" in str(caught.value)
    assert "cx23 in nbg1: " in str(caught.value)
    assert "sweep shows leftovers" in str(caught.value)
    assert answer(Record.SERVER.type, [str(caught.value)]) == "wait"
    assert names(cloud) == ([], [], [])


@pytest.mark.parametrize("code", ["resource_unavailable", "placement_error"])
def test_a_server_that_could_not_be_made_after_all_is_tried_elsewhere(
    cloud: Cloud, request_: ServerRequest, code: str
) -> None:
    order_fault(cloud, kind="action_error", action="create_server", code=code, message="error during placement")
    server = cloud.create_server(replace(request_, locations=["nbg1", "fsn1"]))
    assert server.location.name == "fsn1"
    assert names(cloud) == ([request_.name],) * 3


def test_a_server_that_could_be_made_nowhere_leaves_nothing(cloud: Cloud, request_: ServerRequest) -> None:
    order_fault(cloud, kind="action_error", action="create_server", code="action_failed", message="no", times=None)
    with pytest.raises(CloudError, match=r"cx23 in nbg1: no \(action_failed\)\n    cx23 in fsn1: no \(action_failed\)"):
        cloud.create_server(replace(request_, locations=["nbg1", "fsn1"]))
    assert names(cloud) == ([], [], [])


@pytest.mark.usefixtures("unseen")
def test_what_is_wrong_everywhere_is_asked_once(cloud: Cloud, request_: ServerRequest) -> None:
    with pytest.raises(CloudError, match="invalid_input"):
        cloud.create_server(replace(request_, name="no_host_name", locations=["nbg1", "fsn1", "hel1"]))
    assert len(posted(cloud)) == 1
    assert names(cloud) == ([], [], [])


@pytest.mark.parametrize("code", ["unavailable", "maintenance", "server_error", "conflict", "locked"])
@pytest.mark.parametrize("path", ["/servers", "/ssh_keys", "/firewalls"])
def test_what_passes_is_waited_for(cloud: Cloud, request_: ServerRequest, path: str, code: str) -> None:
    order_fault(cloud, method="POST", path=path, code=code, times=3)
    assert cloud.create_server(request_).location.name == "nbg1"


def test_what_passes_is_waited_for_in_every_call(cloud: Cloud, request_: ServerRequest) -> None:
    image = snapshot_of(cloud.create_server(request_))
    for method in ("GET", "PUT", "POST", "DELETE"):
        order_fault(cloud, method=method, code="unavailable", times=2)
    cloud.publish(image.id, "the-name", "x86")
    cloud.protect(image.id, delete=True)
    cloud.protect(image.id, delete=False)
    cloud.remove_server(request_.name, LABELS)
    assert name_of(cloud, image.id) == "the-name"


def test_what_does_not_pass_in_time_is_told_with_its_limit(cloud: Cloud) -> None:
    order_fault(cloud, method="GET", path="/images", code="maintenance", message="until noon", times=None)
    hasty = Cloud("t" * 64, cloud.endpoint, Timeouts(action=1))
    with pytest.raises(CloudError, match=r"until noon[\s\S]*waited 1 s.*timeouts.action[\s\S]*status.hetzner.com"):
        hasty.holdings("test")


def test_what_is_known_to_be_out_of_stock_is_tried_last(cloud: Cloud, request_: ServerRequest) -> None:
    order_fault(cloud, kind="capacity", location="nbg1", server_type="*")
    server = cloud.create_server(replace(request_, locations=["nbg1", "fsn1"]))
    assert server.location.name == "fsn1"
    faults = requests.get(cloud.endpoint.removesuffix("/v1") + "/_sandbox/faults", timeout=5).json()
    assert [fault["hits"] for fault in faults["faults"]] == [[]], "nbg1 was not even asked"


def test_one_that_is_off_is_started(cloud: Cloud, request_: ServerRequest) -> None:
    first = cloud.create_server(request_)
    cloud.power_off(first.id)
    again = cloud.create_server(request_)
    again.reload()
    assert (again.id, again.status) == (first.id, "running")


def test_a_left_over_of_another_build_is_replaced(cloud: Cloud, request_: ServerRequest) -> None:
    first = cloud.create_server(replace(request_, labels={**LABELS, "digest": "e" * 32}))
    second = cloud.create_server(request_)
    assert second.id != first.id
    assert len(cloud.client.servers.get_all()) == 1


def test_a_left_over_whose_key_is_lost_is_replaced(cloud: Cloud, request_: ServerRequest) -> None:
    first = cloud.create_server(request_)
    second = cloud.create_server(replace(request_, login_key=new_identity()["login_public_key"]))
    assert second.id != first.id


def test_a_foreign_server_is_left_alone(cloud: Cloud, request_: ServerRequest) -> None:
    foreign = cloud.create_server(replace(request_, labels={"managed-by": "somebody", "stack": "else"}))
    with pytest.raises(CloudError, match="this stack did not make"):
        cloud.create_server(request_)
    cloud.remove_server(request_.name, LABELS)
    assert [server.id for server in cloud.client.servers.get_all()] == [foreign.id]


def test_the_next_server_type_or_location_is_tried(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(replace(request_, server_types=["cx22", "cx23"], locations=["mars", "fsn1"]))
    assert (server.server_type.name, server.location.name) == ("cx23", "fsn1")


def test_when_nothing_is_to_be_had_every_refusal_is_told_and_nothing_stays(
    cloud: Cloud, request_: ServerRequest
) -> None:
    with pytest.raises(CloudError) as caught:
        cloud.create_server(replace(request_, server_types=["cx22", "cx1"], locations=["nbg1", "fsn1"]))
    for part in ("cx22 in nbg1", "cx22 in fsn1", "cx1 in nbg1", "cx1 in fsn1", "node-images:serverTypes"):
        assert part in str(caught.value)
    assert names(cloud) == ([], [], [])


def test_an_unknown_system_image_is_named(cloud: Cloud, request_: ServerRequest) -> None:
    with pytest.raises(CloudError, match="no system image plan-9 for x86"):
        cloud.create_server(replace(request_, image="plan-9"))
    assert names(cloud) == ([], [], [])


def test_power_off(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    cloud.power_off(server.id)
    server.reload()
    assert server.status == "off"
    cloud.power_off(server.id)


def test_publishing_sets_the_name_and_withdrawing_takes_it_away(cloud: Cloud, request_: ServerRequest) -> None:
    image = snapshot_of(cloud.create_server(request_))
    assert name_of(cloud, image.id) == ""
    published = cloud.publish(image.id, "the-name", "x86")
    assert published.labels["caph-image-name"] == "the-name"
    assert published.labels["digest"] == "d" * 32
    assert name_of(cloud, image.id) == "the-name"
    assert cloud.publish(image.id, "the-name", "x86").id == image.id
    cloud.withdraw(image.id)
    assert name_of(cloud, image.id) == ""
    image.delete()
    cloud.withdraw(image.id)
    assert cloud.snapshot(image.id) is None


def test_a_name_that_would_be_ambiguous_is_refused(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    rival = snapshot_of(server, stack="another", **{"caph-image-name": "the-name"})
    mine = snapshot_of(server)
    with pytest.raises(CloudError, match=f"snapshot {rival.id} carries caph-image-name=the-name"):
        cloud.publish(mine.id, "the-name", "x86")
    assert name_of(cloud, mine.id) == ""


def test_unpublished_twins_go_when_one_is_published(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    twin, other = snapshot_of(server), snapshot_of(server, digest="e" * 32)
    foreign, mine = snapshot_of(server, stack="another"), snapshot_of(server)
    cloud.publish(mine.id, "the-name", "x86")
    left = {image.id for image in cloud.client.images.get_all(type=["snapshot"])}
    assert left == {other.id, foreign.id, mine.id}
    assert twin.id not in left


def test_the_snapshots_of_a_stack(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    mine, _foreign = snapshot_of(server), snapshot_of(server, stack="another")
    assert [(item.id, item.in_use, item.available) for item in cloud.holdings("test").snapshots] == [
        (mine.id, False, True)
    ]
    cloud.create_server(
        replace(request_, name="node-1", image=mine.id, labels={}, login_key=new_identity()["login_public_key"])
    )
    assert [(item.in_use, item.servers) for item in cloud.holdings("test").snapshots] == [(True, ("node-1",))]


def test_all_named_images_of_the_project_are_seen(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    theirs = snapshot_of(server, **{"managed-by": "", "stack": "", "digest": "", "caph-image-name": "the-name"})
    snapshot_of(server)
    (named,) = cloud.holdings("test").named_images
    assert (named.id, named.image, named.hcloud_architecture, named.maker) == (
        theirs.id,
        "the-name",
        "x86",
        "nobody of this project",
    )


def test_all_snapshots_of_the_project_are_counted(cloud: Cloud, request_: ServerRequest) -> None:
    assert len(cloud.holdings("test").all_snapshots) == 0
    server = cloud.create_server(request_)
    snapshot_of(server)
    snapshot_of(server, stack="another")
    assert len(cloud.holdings("test").all_snapshots) == 2


def test_a_protected_snapshot_says_so(cloud: Cloud, request_: ServerRequest) -> None:
    image = snapshot_of(cloud.create_server(request_))
    for wanted in (True, True, False):
        cloud.protect(image.id, delete=wanted)
        assert [item.protected for item in cloud.holdings("test").snapshots] == [wanted]


def test_a_failed_verification_takes_the_name_away(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    mine, other = snapshot_of(server), snapshot_of(server, architecture="arm64")
    for image in (mine, other):
        cloud.publish(image.id, f"name-{image.id}", "x86")
    assert cloud.withdraw_all({**build_labels("test", "d" * 32), "architecture": "amd64"}) == [mine.id]
    assert (name_of(cloud, mine.id), name_of(cloud, other.id)) == ("", f"name-{other.id}")


def test_a_refused_token_and_a_silent_endpoint_are_told_in_words(endpoint: str) -> None:
    with pytest.raises(CloudError, match="unauthorized"):
        Cloud("short", endpoint).holdings("test")
    with pytest.raises(CloudError, match=r"does not answer[\s\S]*make sandbox-start"):
        Cloud("t" * 64, "http://127.0.0.1:1/v1").holdings("test")


def test_an_answer_without_its_content_is_one_that_was_lost(cloud: Cloud) -> None:
    order_fault(cloud, kind="malformed", form="empty", method="GET", path="/images")
    with pytest.raises(CloudError, match=r"does not answer \(InvalidJSONError\)"):
        cloud.holdings("test")
    assert cloud.holdings("test").snapshots == []


def test_somebodys_key_or_firewall_of_the_same_name_is_left_alone(cloud: Cloud, request_: ServerRequest) -> None:
    key = cloud.client.ssh_keys.create(request_.name, new_identity()["login_public_key"])
    with pytest.raises(CloudError, match=r"SSH key .* exists that this stack did not make"):
        cloud.create_server(request_)
    key.delete()
    cloud.client.firewalls.create(request_.name)
    with pytest.raises(CloudError, match=r"firewall .* exists that this stack did not make"):
        cloud.create_server(request_)
    assert names(cloud) == ([], [], [request_.name])


def test_a_server_that_was_renamed_goes_as_well(cloud: Cloud, request_: ServerRequest) -> None:
    server = cloud.create_server(request_)
    server.update(name="renamed")
    cloud.remove_server(request_.name, request_.labels, server.id)
    assert names(cloud) == ([], [], [])


def test_an_api_that_does_not_answer_is_told_in_one_message() -> None:
    with pytest.raises(
        CloudError, match=r"(?s)127.0.0.1:1/v1 does not answer .*make sandbox-start.*run `up` first"
    ) as caught:
        Cloud("t" * 64, "http://127.0.0.1:1/v1", advice=MOVED).withdraw(7)
    assert caught.value.__suppress_context__, "no chain of causes, which destroy would print whole"
