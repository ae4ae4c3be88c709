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


RECORD = f"{IMAGE}$pulumi-python:dynamic/node-images"
COMMAND = f"{IMAGE}$command:remote:Command"
SERVER = f"{RECORD}:EphemeralServer::x-builder-server"
BUNDLE = f"{IMAGE}$command:remote:CopyToRemote::x-builder-bundle"
STEP = f"{COMMAND}::x/runtime"
CLEAN = f"{COMMAND}::x/finish"
SNAPSHOT = f"{IMAGE}$hcloud:index/snapshot:Snapshot::x"
VERIFIER = f"{RECORD}:EphemeralServer::x-verifier-server"
JOINER = f"{RECORD}:EphemeralServer::x-joiner-server"
MEET = f"{COMMAND}::x/meet"
TESTS = f"{COMMAND}::x/acceptance-tests"


def test_each_resource_belongs_to_a_phase() -> None:
    log = events(
        (SERVER, 0, 3),
        (BUNDLE, 3, 4),
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
    assert phase_seconds(events((f"{IMAGE}::x", 0, 99))) == {}


def test_what_did_not_change_is_left_out() -> None:
    assert phase_seconds(events((STEP, 0, 9), op="same")) == {}
