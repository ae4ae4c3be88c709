"""What is listed as left over, with its cost, and what is deleted of it."""

import re

import pytest

from adapters.hetzner.cloud import Cloud
from adapters.hetzner.servers import ServerRequest
from cli.sweep import sweep
from images.labels import CAPH_IMAGE_NAME, build_labels
from images.recorded import Recorded
from tests.adapters.hetzner.test_cloud import request_, snapshot_of

__all__ = ["request_"]
NOTHING_KNOWN = Recorded(frozenset(), frozenset())


@pytest.fixture
def said() -> list[str]:
    return []


def swept(cloud: Cloud, known: Recorded | None, said: list[str], *, delete: bool = False) -> list[str]:
    sweep(cloud.client, "test", known, delete=delete, say=said.append)
    return said


def test_a_dry_run_lists_everything_with_its_cost_and_deletes_nothing(
    cloud: Cloud, request_: ServerRequest, said: list[str]
) -> None:
    server = cloud.create_server(request_)
    lost, published = snapshot_of(server), snapshot_of(server, **{CAPH_IMAGE_NAME: "the-name"})
    swept(cloud, NOTHING_KNOWN, said)
    assert re.fullmatch(rf"server {request_.name} \({server.id}\), 0\.00\d\d EUR an hour", said[0])
    assert re.fullmatch(rf"unpublished snapshot x \({lost.id}\), 0\.00\d\d EUR an hour", said[1])
    assert [line.split(" ")[0] for line in said[2:]] == ["SSH", "firewall", "All", "Nothing"]
    assert float(said[4].split(" ")[3]) >= float(said[0].split(" ")[-4]) > 0
    assert said[5].endswith("./node-images sweep --stack test --yes")
    assert cloud.has_server(server.id)
    assert {item.id for item in cloud.holdings("test").snapshots} == {lost.id, published.id}


def test_it_deletes_when_told_to_and_never_a_published_image(
    cloud: Cloud, request_: ServerRequest, said: list[str]
) -> None:
    server = cloud.create_server(request_)
    snapshot_of(server)
    published = snapshot_of(server, **{CAPH_IMAGE_NAME: "the-name"})
    assert swept(cloud, NOTHING_KNOWN, said, delete=True)[-1] == "Deleted."
    assert [item.id for item in cloud.holdings("test").snapshots] == [published.id]
    assert [cloud.client.servers.get_all(), cloud.client.ssh_keys.get_all(), cloud.client.firewalls.get_all()] == [
        []
    ] * 3
    assert swept(cloud, NOTHING_KNOWN, [], delete=True) == ["Nothing is left over."]


def test_what_the_state_knows_is_left_alone_unless_all_is_asked_for(
    cloud: Cloud, request_: ServerRequest, said: list[str]
) -> None:
    server = cloud.create_server(request_)
    known = Recorded(frozenset(), frozenset([server.id]))
    nothing, alone = swept(cloud, known, said, delete=True)
    assert nothing == "Nothing is left over."
    assert alone.startswith(
        f"1 server belongs to the state of stack test and is left alone: {server.name} ({server.id})."
    )
    assert "next `up` uses or deletes it" in alone
    assert cloud.has_server(server.id)
    assert swept(cloud, None, [])[4:] == [
        "Nothing was deleted. To delete it: ./node-images sweep --stack test --all --yes"
    ]
    snapshot_of(server)
    assert [line.split(" ")[0] for line in swept(cloud, known, [])] == ["unpublished", "All", "Nothing", "1"]


def test_others_are_left_alone(cloud: Cloud, request_: ServerRequest, said: list[str]) -> None:
    snapshot_of(cloud.create_server(request_), **{**build_labels("another", "d" * 32)})
    cloud.remove_servers_of("test")
    assert swept(cloud, NOTHING_KNOWN, said, delete=True) == ["Nothing is left over."]
    assert len(cloud.holdings("another").snapshots) == 1
