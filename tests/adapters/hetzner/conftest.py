"""A sandbox without machines: the API's answers in milliseconds."""

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest
import requests

from adapters.hetzner.cloud import Cloud


@pytest.fixture(scope="session")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    sandbox = [sys.executable, "-m", "sandbox", "--home", str(tmp_path_factory.mktemp("sandbox"))]
    subprocess.run([*sandbox, "start", "--machines", "none", "--port", str(port)], check=True)
    yield f"http://127.0.0.1:{port}/v1"
    subprocess.run([*sandbox, "reset"], check=True)


@pytest.fixture
def cloud(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr("adapters.hetzner.waiting.FIRST_SECONDS", 0.02)  # nothing takes longer there
    made = Cloud("t" * 64, endpoint)
    yield made
    requests.delete(endpoint.removesuffix("/v1") + "/_sandbox/faults", timeout=5).raise_for_status()
    for resource in (made.client.servers, made.client.firewalls, made.client.ssh_keys, made.client.images):
        for item in resource.get_all(**({"type": ["snapshot"]} if resource is made.client.images else {})):
            item.delete()
