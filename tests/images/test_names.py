"""The names are those in the states of stacks: to change one would replace what runs. Here they stand as the states have them."""

import pytest

from images import names
from images.names import Part, Record, Role, read_urn

KEY = "debian-13-kube-1.36.4-0a1b2c3d-amd64"


def test_types_stay_what_states_have() -> None:
    assert names.NODE_IMAGE == "node-images:index:NodeImage"
    assert [item.type for item in Record] == [
        f"pulumi-python:dynamic/node-images:{name}"
        for name in (
            *("EphemeralServer", "PoweredOff", "Restarted", "Connected", "Published"),
            *("SbomFile", "Tarball", "TarballFile"),
        )
    ]
    assert (names.STACK, names.SNAPSHOT) == ("pulumi:pulumi:Stack", "hcloud:index/snapshot:Snapshot")


def test_parts_stay_what_states_have() -> None:
    assert [part.of("KEY") for part in Part] == [
        *("KEY-server", "KEY-restarted", "KEY-connected", "KEY-powered-off", "KEY-published", "KEY-sbom"),
        *(
            "KEY/tarball",
            "KEY-tarball-file",
            "KEY-bundle",
            "KEY/prepare",
            "KEY/runtime",
            "KEY/kubernetes",
            "KEY/finish",
        ),
        *("KEY/acceptance-tests", "KEY/inventory", "KEY/tests-after-restart"),
        *("KEY/invite", "KEY/introduce", "KEY/join", "KEY/meet"),
    ]
    assert [names.worker_name("KEY", role) for role in Role] == [
        *("KEY-builder", "KEY-verifier", "KEY-joiner", "KEY-archiver")
    ]


@pytest.mark.parametrize("part", Part)
def test_a_part_finds_its_owner_again(part: Part) -> None:
    assert part.owner(part.of(KEY)) == KEY
    assert part.owner(KEY) is None


@pytest.mark.parametrize("role", Role)
def test_a_server_finds_its_build_again(role: Role) -> None:
    name = Part.SERVER.of(names.worker_name(KEY, role))
    found = {other: names.build_of_worker(Part.SERVER.owner(name), other) for other in Role}
    assert found == {**dict.fromkeys(Role), role: KEY}
    assert names.build_of_worker(Part.SERVER.owner(KEY), role) is None


def test_a_name_is_taken_apart_as_it_was_put_together() -> None:
    image = names.image_name("debian-13", "1.36.4", "0a1b2c3d" * 4)
    assert image == "debian-13-kube-1.36.4-0a1b2c3d"
    assert names.image_key(image) == names.version_key("debian-13", "1.36.4") == "debian-13/1.36.4"
    assert names.os_and_kubernetes("debian-13/1.36.4") == ("debian-13", "1.36.4")
    assert names.build_key(image, "amd64") == KEY
    assert names.image_and_architecture(KEY) == (image, "amd64")
    assert names.key_and_step(Part.FINISH.of(KEY)) == (KEY, "finish")


def test_a_urn_is_read_with_its_parents() -> None:
    urn = read_urn(f"urn:pulumi:prod::node-images::{names.NODE_IMAGE}${names.SNAPSHOT}::{KEY}")
    assert (urn.stack, urn.types, urn.type, urn.name) == (
        "prod",
        (names.NODE_IMAGE, names.SNAPSHOT),
        names.SNAPSHOT,
        KEY,
    )
