"""Phases are read from the engine's event log."""

import json

from cli.timing import phase_seconds

STACK = "urn:pulumi:sandbox::node-images::"
IMAGE = "node-images:index:NodeImage"

TARBALL = f"{IMAGE}$pulumi-python:dynamic/node-images:Tarball::x/tarball"


def events(*operations: tuple[str, int, int], op: str = "create") -> list[str]:
    lines = []
    for urn, start, end in operations:
        metadata = {"op": op, "urn": STACK + urn}
        lines.append(json.dumps({"timestamp": start, "resourcePreEvent": {"metadata": metadata}}))
        lines.append(json.dumps({"timestamp": end, "resOutputsEvent": {"metadata": metadata}}))
    return lines


SERVER = f"{IMAGE}$node-images:index:BuildServer$pulumi-python:dynamic/node-images:EphemeralServer::x-builder-server"
STEP = f"{IMAGE}$node-images:index:Provisioning$command:remote:Command::x/containerd"
CLEAN = f"{IMAGE}$node-images:index:Provisioning$command:remote:Command::x/clean"
SNAPSHOT = f"{IMAGE}$hcloud:index/snapshot:Snapshot::x"
VERIFIER = (
    f"{IMAGE}$node-images:index:Verification$node-images:index:BuildServer"
    "$pulumi-python:dynamic/node-images:EphemeralServer::x-verifier-server"
)
JOIN = f"{IMAGE}$node-images:index:Verification$node-images:index:Join"
JOINER = f"{JOIN}$node-images:index:BuildServer$pulumi-python:dynamic/node-images:EphemeralServer::x-joiner-server"
MEET = f"{JOIN}$command:remote:Command::x/meet"
TESTS = f"{IMAGE}$node-images:index:Verification$command:remote:Command::x/acceptance-tests"


def test_each_resource_belongs_to_a_phase() -> None:
    log = events(
        (SERVER, 0, 4),
        (STEP, 4, 9),
        (CLEAN, 9, 11),
        (SNAPSHOT, 11, 14),
        (VERIFIER, 14, 18),
        (TESTS, 18, 20),
        (JOINER, 20, 23),
        (MEET, 23, 29),
        (TARBALL, 20, 50),
    )
    assert phase_seconds(log) == {
        "Build server": 4, "Provisioning": 7, "Snapshot": 3, "Boot from the snapshot": 4, "Acceptance tests": 2,
        "Join of a second server": 9, "Tarball": 30,
    }  # fmt: skip


def test_the_name_of_a_stack_tells_no_phase() -> None:
    log = [line.replace(":sandbox::", ":verifier::") for line in events((SERVER, 0, 4), (SNAPSHOT, 4, 6))]
    assert phase_seconds(log) == {"Build server": 4, "Snapshot": 2}


def test_components_themselves_take_no_time() -> None:
    assert phase_seconds(events((f"{IMAGE}::x", 0, 99), (f"{IMAGE}$node-images:index:Provisioning::x", 0, 99))) == {}


def test_what_did_not_change_is_left_out() -> None:
    assert phase_seconds(events((STEP, 0, 9), op="same")) == {}
