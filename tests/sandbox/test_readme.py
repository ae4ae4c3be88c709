"""What the README tells people to send to the control plane is understood."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from sandbox.api.control import CONTROL_ROUTES
from sandbox.resources.faults.kinds import KINDS, name_of
from tests.sandbox.conftest import Sandbox

README = (Path(__file__).parents[2] / "sandbox" / "README.md").read_text()
HCLOUD = re.findall(r"^\$ hcloud ((?:network|load-balancer) .*)$", README, re.MULTILINE)
CURL = re.findall(r"^\$ (curl .*?_sandbox.*)$", README, re.MULTILINE)


@pytest.mark.parametrize("command", CURL)
def test_every_curl_line_succeeds(sandbox: Sandbox, command: str) -> None:
    here = command.replace("127.0.0.1:8787", f"127.0.0.1:{sandbox.port}")
    done = subprocess.run(["bash", "-c", f"{here} --silent --fail-with-body"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)
    sandbox.control("DELETE", "/answers")


def test_the_lines_about_networks_and_load_balancers_succeed(sandbox: Sandbox) -> None:
    sandbox.hcloud_cli("server", "create", "--name", "first", "--type", "cx23", "--image", "debian-13")
    assert len(HCLOUD) >= 6
    for line in HCLOUD:
        done = sandbox.hcloud_cli(*line.split())
        assert done.returncode == 0, line + done.stdout + done.stderr


def test_there_are_such_lines_and_every_kind_of_fault_is_named() -> None:
    assert len(CURL) >= 5
    assert [name_of(kind) for kind in KINDS if f"`{name_of(kind)}`" not in README] == []


def test_every_path_of_the_control_plane_is_named() -> None:
    inner = ("/base_images/{name}", "/preparations/{id:int}")  # what `start --prepare` uses
    assert [path for _method, path, _handler in CONTROL_ROUTES if path not in README and path not in inner] == []
