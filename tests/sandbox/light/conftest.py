"""A sandbox with light machines; a test finds it empty."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import Sandbox, free_port
from tests.sandbox.real.conftest import delete_all
from tests.sandbox.real.traces import traces

Make = Callable[..., Sandbox]


@pytest.fixture(scope="session")
def light_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A blank in its path, as users have them."""
    home = tmp_path_factory.mktemp("light machines") / "home"
    sandbox = Sandbox(home, ssh_port=free_port(), machines="light")
    sandbox.started("--prepare", "debian-13")
    yield sandbox
    sandbox.remove()
    assert not traces(home)


@pytest.fixture
def light(light_sandbox: Sandbox) -> Iterator[Sandbox]:
    yield light_sandbox
    light_sandbox.control("DELETE", "/faults")
    delete_all(light_sandbox)


@pytest.fixture
def own(make_sandbox: Make) -> Iterator[Sandbox]:
    """A sandbox that a test may maltreat; whatever it did, a reset leaves no trace."""
    sandbox = make_sandbox(ssh_port=free_port(), machines="light").started()
    yield sandbox
    sandbox.remove()
    assert not traces(sandbox.home)


@pytest.fixture(scope="session")
def host_keys(tmp_path_factory: pytest.TempPathFactory) -> str:
    """User data with a host key, as the engine gives it to its servers."""
    path = tmp_path_factory.mktemp("host") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    keys = {"ed25519_private": path.read_text(), "ed25519_public": Path(f"{path}.pub").read_text().strip()}
    return "#cloud-config\n" + json.dumps({"ssh_deletekeys": True, "ssh_keys": keys})
