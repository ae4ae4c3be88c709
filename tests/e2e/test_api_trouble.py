"""An API that refuses, keeps silent or has had enough of us: commands end in time and say why, and builds go on."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from subprocess import CompletedProcess
from typing import Any

import pytest
import requests
import yaml

from tests.e2e.workspace import Workspace

PREVIEW = ("./pulumiw", "preview", "--non-interactive")
COMMANDS = (PREVIEW, ("./node-images", "sweep"), ("./node-images", "report"))


@pytest.fixture(autouse=True)
def restored(small: Workspace) -> Iterator[None]:
    text = small.stack_file.read_text()
    yield
    small.stack_file.write_text(text)


def control(workspace: Workspace, method: str, path: str, **content: Any) -> Any:
    url = workspace.endpoint.removesuffix("/v1") + f"/_sandbox{path}"
    answer = requests.request(method, url, json=content or None, timeout=5)
    answer.raise_for_status()
    return answer.json() if answer.content else None


def asked(workspace: Workspace) -> list[dict[str, Any]]:
    """The requests to the API since they were forgotten."""
    found: list[dict[str, Any]] = control(workspace, "GET", "/requests")["requests"]
    return found


def refused(results: list[CompletedProcess[str]]) -> list[str]:
    texts = [result.stdout + result.stderr for result in results]
    assert all(result.returncode for result in results), texts
    assert not any("Traceback" in text for text in texts), texts
    return [" ".join(text.split()) for text in texts]


def test_an_endpoint_that_takes_connections_and_never_answers_is_named_in_time(small: Workspace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor() as pool:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}/v1"
        small.configure(hcloud__endpoint=endpoint)
        began = time.monotonic()
        texts = refused(list(pool.map(lambda command: small.run(*command), COMMANDS)))
    assert time.monotonic() - began < 300
    for text in texts:
        assert f"{endpoint} does not answer (a connection, but no answer within 30 s" in text
        assert "make sandbox-start" in text


def test_a_refused_token_has_one_remedy(small: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    document = yaml.safe_load(small.stack_file.read_text())
    del document["config"]["hcloud:token"]
    small.stack_file.write_text(yaml.safe_dump(document))
    plain = Workspace.environment
    monkeypatch.setattr(Workspace, "environment", lambda self: {**plain(self), "HCLOUD_TOKEN": "wrong"})
    for text in refused([small.run(*command) for command in COMMANDS]):
        assert f"{small.endpoint} refuses the API token (unauthorized)" in text
        assert "./pulumiw config set --secret hcloud:token --stack STACK" in text


@pytest.fixture
def limited(small: Workspace) -> Iterator[Workspace]:
    """Fewer requests than a run begins with, of which one comes back a second."""
    control(small, "DELETE", "/requests")
    control(small, "PUT", "/conditions", rate={"limit": 4, "per_second": 1, "enforced": True})
    yield small
    control(small, "DELETE", "/conditions")


def settle_accounts(workspace: Workspace) -> None:
    """The limit was met, and the test may ask as much as it likes."""
    control(workspace, "PUT", "/conditions", rate={"enforced": False})
    assert [item for item in asked(workspace) if item["code"] == "rate_limit_exceeded"]


def test_a_build_over_the_limit_that_fails_leaves_no_server(limited: Workspace) -> None:
    step = limited.root / "recipe" / "steps" / "50-marker.sh"
    text = step.read_text()
    step.write_text(f"{text}die 'not today'\n")
    result = limited.up()
    step.write_text(text)
    settle_accounts(limited)
    assert result.returncode
    assert "not today" in result.stdout
    limited.nothing_left_over()


def test_a_build_over_the_limit_waits_and_goes_on(limited: Workspace) -> None:
    limited.declare("1.36.4", "1.35.8")
    result = limited.up()
    settle_accounts(limited)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "the Hetzner project's limit of API requests is used up (4 an hour): waits " in result.stdout + result.stderr
    limited.nothing_left_over()
    assert len(limited.snapshots()) == 2


def test_a_preview_of_finished_images_asks_for_lists_alone(small: Workspace) -> None:
    small.declare("1.36.4", "1.35.8")
    small.settle()  # where a snapshot was tried again, the engine remembers the first failure until the next `up`
    control(small, "DELETE", "/requests")
    small.unchanged()
    assert [item["path"] for item in asked(small)] == ["/images", "/servers", "/ssh_keys", "/firewalls"]
