"""A sandbox with real machines, and an SSH client for them."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hcloud.images import Image
from hcloud.server_types import ServerType

from tests.sandbox.conftest import Sandbox, free_port, wait_for

BOOT_SECONDS = 60.0  # about 3 on a quiet machine


@pytest.fixture(scope="session")
def real_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """Shared by the tests of this folder; the base image is made on first use and then cached."""
    sandbox = Sandbox(tmp_path_factory.mktemp("real") / "home", ssh_port=free_port(), machines="real")
    sandbox.started("--prepare", "debian-13")
    yield sandbox
    sandbox.command("reset")


class Machine:
    """One server and its SSH."""

    def __init__(self, sandbox: Sandbox, server: Any, key_pair: Path, *options: str) -> None:
        self.sandbox = sandbox
        self.server = server
        self.address = str(server.public_net.ipv4.ip)
        self.key_pair = key_pair
        self.options = options or ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null")

    def ssh(self, command: str, *, user: str = "root") -> subprocess.CompletedProcess[str]:
        login = ["-i", str(self.key_pair), "-p", str(self.sandbox.ssh_port), f"{user}@{self.address}"]
        quiet = ["-o", "BatchMode=yes", "-o", "LogLevel=ERROR", "-o", "ConnectTimeout=5", "-o", "IdentitiesOnly=yes"]
        argv = ["ssh", "-F", "none", *quiet, *self.options, *login, command]
        return subprocess.run(argv, capture_output=True, text=True, timeout=120)

    def output(self, command: str) -> str:
        done = self.ssh(command)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def wait_for_ssh(self) -> Machine:
        wait_for(lambda: self.ssh("true").returncode == 0, BOOT_SECONDS, 0.1)
        return self

    def status(self) -> str:
        return str(self.sandbox.sdk().servers.get_by_id(self.server.id).status)

    def wait_until_off(self) -> None:
        wait_for(lambda: self.status() == "off", 30, 0.05)


def boot(sandbox: Sandbox, key_pair: Path, name: str, image: Any = None, **options: Any) -> Machine:
    """A server that runs; whether SSH answers yet is for the test to wait for."""
    sdk = sandbox.sdk()
    key = sdk.ssh_keys.get_by_name("tester")
    key = key or sdk.ssh_keys.create(name="tester", public_key=key_pair.with_suffix(".pub").read_text())
    chosen = image or Image(name="debian-13")
    made = sdk.servers.create(name=name, server_type=ServerType(name="cx23"), image=chosen, ssh_keys=[key], **options)
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    return Machine(sandbox, made.server, key_pair)


def delete_all(sandbox: Sandbox) -> None:
    sdk: Any = sandbox.sdk()
    wait_for(lambda: not sandbox.control("GET", "/facts").json()["actions"], 30)
    for server in sdk.servers.get_all(label_selector="!shared"):
        server.delete().wait_until_finished()
    for image in sdk.images.get_all(type=["snapshot"]):
        image.delete()
    for item in (*sdk.load_balancers.get_all(), *sdk.networks.get_all()):
        item.delete()


@pytest.fixture
def real(real_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield real_sandbox
    delete_all(real_sandbox)
