"""What the README tells people to send to the control plane is understood."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.api.control import CONTROL_ROUTES
from sandbox.resources.access.routes import ROUTES as ACCESS
from sandbox.resources.faults.kinds import KINDS, name_of
from sandbox.resources.isos.routes import ROUTES as ISOS
from sandbox.resources.networks.routes import ROUTES as NETWORKS
from sandbox.resources.servers.routes import ROUTES as SERVERS
from tests.sandbox.conftest import ROOT, Sandbox, free_port

README = (Path(__file__).parents[2] / "sandbox" / "README.md").read_text()
HCLOUD = re.findall(r"^\$ hcloud ((?:network|load-balancer) .*)$", README, re.MULTILINE)
FIRST = re.findall(r"^\$ (.*?)(?: +#.*)?$", README.partition("```console\n")[2].partition("```")[0], re.MULTILINE)
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


def test_what_a_stranger_types_first_works(make_sandbox: Callable[..., Sandbox]) -> None:
    sandbox = make_sandbox(ssh_port=free_port())
    ports = f"start --port {sandbox.port} --ssh-port {sandbox.ssh_port}"
    script = "\n".join(FIRST).replace("python -m", f"{sys.executable} -m").replace("sandbox start", f"sandbox {ports}")
    command = ["bash", "-euo", "pipefail", "-c", script]
    environment = {**os.environ, "SANDBOX_HOME": str(sandbox.home), "HOME": str(sandbox.home.parent)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"first +running", done.stdout) and not sandbox.home.exists()


def test_every_action_of_servers_is_in_the_table() -> None:
    table = README.partition("## What it does of the API")[2].partition("\n## ")[0]
    here = [
        path.rpartition("/")[2]
        for _method, path, _handler in [*ACCESS, *ISOS, *NETWORKS, *SERVERS]
        if path.startswith("/servers/") and "/actions/" in path
    ]
    assert [command for command in here if f"`{command}`" not in table and not command.startswith("{command")] == []


def test_there_are_such_lines_and_every_kind_of_fault_is_named() -> None:
    assert len(CURL) >= 5
    assert [name_of(kind) for kind in KINDS if f"`{name_of(kind)}`" not in README] == []


def test_every_path_of_the_control_plane_is_named() -> None:
    inner = ("/base_images/{name}", "/preparations/{id:int}")  # what `start --prepare` uses
    paths = [path for _method, path, _handler in CONTROL_ROUTES if path not in inner]
    assert [path for path in paths if path.replace(":int", "") not in README] == []
