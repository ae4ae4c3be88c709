"""The example for bash and curl: what goes wrong is told, and nothing is left behind, whatever ends it."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.test_render import NODE, run
from tests.e2e.workspace import FORMS
from tests.sandbox.conftest import TOKEN, Sandbox, api_sandbox, key_pair, public_key, sandbox, wait_for

__all__ = ["api_sandbox", "key_pair", "public_key", "sandbox"]

EXAMPLE = Path("examples/curl/node-image.sh").absolute()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("forms")
    for form, name in FORMS.items():
        assert run("render", form, *NODE, "--output", str(made / name)).returncode == 0
    return made


def start(sandbox: Sandbox, *arguments: object, **variables: str) -> subprocess.Popen[str]:
    """In a session of its own, as from a terminal."""
    environment = {**os.environ, "HCLOUD_ENDPOINT": sandbox.url, "HCLOUD_TOKEN": TOKEN, **variables}
    return subprocess.Popen(
        [EXAMPLE, *map(str, arguments)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Exit status, and what it said; it must not have printed a name."""
    output, said = process.communicate(timeout=60)
    assert output == ""
    return process.returncode, said


def nothing_is_left(sandbox: Sandbox) -> None:
    sdk = sandbox.sdk()
    assert [*sdk.servers.get_all(), *sdk.ssh_keys.get_all(), *sdk.images.get_all(type=["snapshot"])] == []


def shim(folder: Path, program: str, text: str) -> dict[str, str]:
    """A program of that name that runs before the real one is found."""
    file = folder / program
    file.write_text(f"#!/bin/bash\n{text}\n")
    file.chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("arguments", "variables", "status", "said"),
    [
        ([], {}, 2, "usage: node-image.sh build FOLDER"),
        (["build"], {}, 2, "node-image.sh verify FOLDER SNAPSHOT"),
        (["verify", "FOLDER"], {}, 2, "usage:"),
        (["burn", "FOLDER"], {}, 2, "usage:"),
        (
            ["build", "/nowhere"],
            {},
            1,
            "./node-images render image --os ... --kubernetes ... --output /nowhere/image.json",
        ),
        (["build", "FOLDER"], {"HCLOUD_TOKEN": ""}, 1, "HCLOUD_TOKEN is not set"),
        (["build", "FOLDER"], {"HCLOUD_TOKEN": "short"}, 1, "(unauthorized)"),
        (["build", "FOLDER"], {"HCLOUD_ENDPOINT": "http://127.0.0.1:9/v1"}, 1, "Failed to connect to 127.0.0.1 port 9"),
        (["verify", "FOLDER", "debian"], {}, 1, "debian is not the id of a snapshot"),
        (["verify", "FOLDER", "12345"], {}, 1, "(not_found)"),
        (["verify", "FOLDER", "310557660"], {}, 1, "is not a snapshot of x86"),
    ],
)
def test_mistakes_are_told(
    sandbox: Sandbox, folder: Path, arguments: list[str], variables: dict[str, str], status: int, said: str
) -> None:
    process = start(sandbox, *(str(folder) if item == "FOLDER" else item for item in arguments), **variables)
    code, text = ended(process)
    assert code == status
    assert said in text


@pytest.mark.parametrize(
    ("send", "how", "status"),
    [(os.killpg, signal.SIGINT, 130), (os.killpg, signal.SIGHUP, 129), (os.kill, signal.SIGTERM, 143)],
    ids=["Ctrl-C", "terminal closed", "kill"],
)
def test_a_signal_leaves_nothing(
    sandbox: Sandbox, folder: Path, send: Callable[[int, int], None], how: int, status: int
) -> None:
    """The servers of this sandbox have no sshd, so the example waits for one. Only a terminal tells all of its programs."""
    process = start(sandbox, "build", folder)
    wait_for(lambda: sandbox.sdk().servers.get_all(status=["running"]))
    send(process.pid, how)
    code, text = ended(process)
    assert code == status, text
    nothing_is_left(sandbox)


def test_a_signal_in_the_middle_of_a_call_leaves_nothing(sandbox: Sandbox, folder: Path, tmp_path: Path) -> None:
    """The server is made, and its answer is still on the way when the signal comes."""
    slow = f'/usr/bin/curl "$@"\nstatus=$?\n[[ "${{@: -1}}" != */servers ]] || {{ : >{tmp_path}/sent; sleep 1; }}\nexit $status'
    process = start(sandbox, "build", folder, **shim(tmp_path, "curl", slow))
    wait_for((tmp_path / "sent").exists)
    os.killpg(process.pid, signal.SIGINT)
    code, text = ended(process)
    assert code == 130, text
    nothing_is_left(sandbox)


def test_no_command_line_shows_a_secret(sandbox: Sandbox, folder: Path, tmp_path: Path) -> None:
    """They are for everybody on the machine to read. Programs have no need of the token in their environment either."""
    record = 'printf "%s\\n" "$@" "token: $HCLOUD_TOKEN" >>{}\nexec /usr/bin/{} "$@"'
    for program in ("curl", "jq", "ssh", "ssh-keygen"):
        path = shim(tmp_path, program, record.format(tmp_path / "said", program))
    process = start(sandbox, "build", folder, **path)
    wait_for(
        lambda: "StrictHostKeyChecking=yes" in (tmp_path / "said").read_text()
        if sandbox.sdk().servers.get_all()
        else ""
    )
    os.killpg(process.pid, signal.SIGTERM)
    ended(process)
    said = (tmp_path / "said").read_text()
    assert "create_image" not in said
    assert f"{sandbox.url}/servers" in said
    assert TOKEN not in said
    assert "PRIVATE KEY" not in said


def test_a_server_is_looked_for_in_every_place(sandbox: Sandbox, folder: Path) -> None:
    """And a call that had no effect is made again."""
    faults = [
        {"kind": "capacity", "location": "nbg1"},
        {"kind": "rate_limit", "method": "POST", "path": "/ssh_keys"},
        {"kind": "status", "status": 503, "method": "GET", "path": "/actions/*"},
    ]
    for fault in faults:
        assert sandbox.control("POST", "/faults", json=fault).is_success
    process = start(sandbox, "build", folder)
    wait_for(lambda: sandbox.sdk().servers.get_all(status=["running"]), seconds=20)
    (server,) = sandbox.sdk().servers.get_all()
    assert (server.server_type.name, server.location.name) == ("cx23", "fsn1")
    os.killpg(process.pid, signal.SIGTERM)
    _, text = ended(process)
    assert "cx23 in nbg1: not to be had" in text
    nothing_is_left(sandbox)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ({"kind": "capacity"}, "no server is to be had: add to serverTypes or locations"),
        ({"kind": "quota", "resource": "servers"}, "(resource_limit_exceeded)"),
        ({"kind": "action_error", "action": "create_server", "code": "action_failed"}, "(action_failed)"),
        ({"kind": "action_error", "action": "start_server", "code": "action_failed"}, "(action_failed)"),
        ({"kind": "reset", "method": "POST", "path": "/ssh_keys", "when": "after"}, "/ssh_keys: status 000"),
        ({"kind": "reset", "method": "POST", "path": "/servers", "when": "after"}, "/servers: status 000"),
        ({"kind": "status", "status": 502, "method": "POST", "path": "/servers", "when": "after"}, "/servers: "),
    ],
    ids=lambda fault: "-".join(map(str, fault.values())) if isinstance(fault, dict) else "",
)
def test_a_server_that_is_not_to_be_had_leaves_nothing(
    sandbox: Sandbox, folder: Path, fault: dict[str, object], said: str
) -> None:
    """Where the answer to a call is lost, what it made is found by its label."""
    assert sandbox.control("POST", "/faults", json=fault).is_success
    code, text = ended(start(sandbox, "build", folder))
    assert code == 1
    assert said in text
    nothing_is_left(sandbox)


def test_what_a_killed_run_left_is_named_and_left_alone(sandbox: Sandbox, folder: Path, public_key: str) -> None:
    name = json.loads((folder / "image.json").read_text())["name"].replace(".", "-") + "-builder"
    sandbox.sdk().ssh_keys.create(name, public_key)
    code, text = ended(start(sandbox, "build", folder))
    assert code == 1
    assert f"{name} belongs to a run that goes on, or was left by one that was killed" in text
    assert [key.name for key in sandbox.sdk().ssh_keys.get_all()] == [name]


def test_a_name_that_is_taken_is_not_given_again(sandbox: Sandbox, folder: Path) -> None:
    """CAPH takes two images of one name for a mistake, and makes no server."""
    order, sdk = json.loads((folder / "image.json").read_text()), sandbox.sdk()
    server = sdk.servers.create(
        "other", sdk.server_types.get_by_name("cx23"), sdk.images.get_by_name_and_architecture("debian-13", "x86")
    )
    made = []
    for labels in ({"caph-image-name": order["name"]}, {}):
        answer = sdk.servers.create_image(server.server, labels=labels)
        answer.action.wait_until_finished()
        made.append(answer.image.id)
    process = start(sandbox, "build", folder)
    assert process.communicate(timeout=60)[0] == f"{order['name']}\n"
    assert process.returncode == 0
    code, text = ended(start(sandbox, "verify", folder, made[1]))
    assert code == 1
    assert f"snapshot {made[0]} has caph-image-name={order['name']} already" in text
