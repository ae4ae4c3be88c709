"""Sandboxes for tests: each on free ports, in a directory of its own, gone at the end."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hcloud
import httpx
import pytest

from sandbox import daemon
from sandbox.settings import Home
from tests.sandbox.openapi import ValidatingClient

ROOT = Path(__file__).resolve().parents[2]
TOKEN = "t" * 64


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def wait_for(condition: Callable[[], object], seconds: float = 10, step: float = 0.02) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, f"not within {seconds} s: {condition}"
        time.sleep(step)


@dataclass
class Sandbox:
    """One sandbox, driven by its command line as a user would."""

    home: Path
    port: int = field(default_factory=free_port)
    ssh_port: int = 2222
    machines: str = "none"
    options: tuple[str, ...] = ()

    def command(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "sandbox", "--home", str(self.home), *arguments]
        return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=300, **options)  # type: ignore[call-overload,no-any-return]

    def start(self, *more: str) -> subprocess.CompletedProcess[str]:
        ports = ("--port", str(self.port), "--ssh-port", str(self.ssh_port))
        return self.command("start", *ports, "--machines", self.machines, *self.options, *more)

    def started(self, *more: str) -> Sandbox:
        done = self.start(*more)
        assert done.returncode == 0, done.stdout + done.stderr
        return self

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def client(self) -> ValidatingClient:
        return ValidatingClient(self.url, TOKEN)

    def sdk(self) -> Any:
        return hcloud.Client(token=TOKEN, api_endpoint=self.url, poll_interval=0.05, poll_max_retries=600)

    def control(self, method: str, path: str, **options: object) -> httpx.Response:
        url = f"http://127.0.0.1:{self.port}/_sandbox{path}"
        with httpx.Client(trust_env=False, verify=False) as client:  # plain HTTP: loading certificates takes long
            return client.request(method, url, **options)  # type: ignore[arg-type]

    def pid(self) -> int:
        return int(self.control("GET", "/health").json()["pid"])

    def remove(self) -> None:
        """What the command ``reset`` does, without the time a command takes to load."""
        daemon.reset(Home(self.home), print)

    def hcloud_cli(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "HCLOUD_ENDPOINT": self.url, "HCLOUD_TOKEN": TOKEN, "HOME": str(self.home)}
        return subprocess.run(["hcloud", *arguments], env=env, capture_output=True, text=True, timeout=120)


@pytest.fixture
def make_sandbox(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    """Sandboxes of one test, reset at its end."""
    made: list[Sandbox] = []

    def make(**options: object) -> Sandbox:
        sandbox = Sandbox(tmp_path / f"home-{len(made)}", **options)  # type: ignore[arg-type]
        made.append(sandbox)
        return sandbox

    yield make
    for sandbox in made:
        sandbox.remove()


@pytest.fixture(scope="session")
def api_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """One without machines, for all fast tests."""
    sandbox = Sandbox(tmp_path_factory.mktemp("api") / "home").started()
    yield sandbox
    sandbox.remove()


@pytest.fixture
def sandbox(api_sandbox: Sandbox) -> Iterator[Sandbox]:
    """The shared one; a test finds it empty."""
    yield api_sandbox
    empty(api_sandbox)


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[ValidatingClient]:
    with sandbox.client() as made:
        yield made


@pytest.fixture
def sdk(sandbox: Sandbox) -> Any:
    return sandbox.sdk()


def empty(sandbox: Sandbox) -> None:
    """Delete everything by the API."""
    sandbox.control("DELETE", "/faults")
    sandbox.control("DELETE", "/conditions")
    sandbox.control("PUT", "/speed", json={"speed": "instant"})
    sdk = sandbox.sdk()
    wait_for(lambda: not sandbox.control("GET", "/facts").json()["actions"])
    for server in sdk.servers.get_all():
        server.change_protection(delete=False, rebuild=False).wait_until_finished()
        server.delete().wait_until_finished()
    empty_belongings(sdk)
    for image in sdk.images.get_all(type=["snapshot"]):
        image.change_protection(delete=False).wait_until_finished()
        image.delete()
    for key in sdk.ssh_keys.get_all():
        key.delete()
    for group in sdk.placement_groups.get_all():
        group.delete()
    for firewall in sdk.firewalls.get_all():
        with suppress(hcloud.APIException):
            sdk.firewalls.remove_from_resources(firewall, firewall.applied_to)
        firewall.delete()
    for balancer in sdk.load_balancers.get_all():
        balancer.change_protection(delete=False)
        balancer.delete()
    for network in sdk.networks.get_all():
        network.change_protection(delete=False)
        network.delete()


def empty_belongings(sdk: Any) -> None:
    """What servers leave behind."""
    for kind in (sdk.primary_ips, sdk.floating_ips, sdk.volumes):
        for item in kind.get_all():
            item.change_protection(delete=False).wait_until_finished()
            item.delete()
    for certificate in sdk.certificates.get_all():
        certificate.delete()


@pytest.fixture(scope="session")
def key_pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SSH key; the public one beside it as .pub."""
    path = tmp_path_factory.mktemp("key") / "id"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "tester", "-f", str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def public_key(key_pair: Path) -> str:
    return key_pair.with_suffix(".pub").read_text().strip()
