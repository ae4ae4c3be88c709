"""The way to the API: time-outs, the limit of requests, and settings; with an endpoint that is silent, and the sandbox."""

import socket
import time
from collections.abc import Iterator

import pytest
import requests
from hcloud import APIException

from adapters.hetzner.client import HETZNER_ENDPOINT, Api
from adapters.hetzner.cloud import Cloud
from adapters.hetzner.errors import CloudError
from adapters.hetzner.servers import ServerRequest
from adapters.hetzner.waiting import pause, times_to_ask
from images.stackfile import Timeouts
from tests.adapters.hetzner.test_cloud import LABELS, names, order_fault, request_

__all__ = ["request_"]


@pytest.fixture
def silent() -> Iterator[str]:
    """Takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/v1"


@pytest.fixture
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HCLOUD_TOKEN", "HCLOUD_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_endpoint_that_never_answers_is_waited_for_once_and_named(silent: str, method: str) -> None:
    api = Api("t" * 64, silent, answer_seconds=0.2)
    began = time.monotonic()
    with pytest.raises(CloudError) as caught, api.in_words():
        api.client.request(method, "/servers")
    assert time.monotonic() - began < 2, "the SDK would ask again five times"
    assert str(caught.value).startswith(
        f"{silent} does not answer (a connection, but no answer within 0.2 s; then we gave up)."
    )
    assert "Start the sandbox (make sandbox-start), or correct hcloud:endpoint" in str(caught.value)


def test_every_request_has_a_time_out_and_actions_are_polled_less_and_less() -> None:
    base = Api("t" * 64, timeouts=Timeouts(action=60)).client._client
    assert base._timeout == (10, 30)
    assert base._poll_interval_func is pause
    assert base._poll_max_retries == times_to_ask(60)


def test_over_the_limit_it_waits_until_the_reset_says_so_and_goes_on(cloud: Cloud) -> None:
    said: list[str] = []
    api = Api("t" * 64, cloud.endpoint, say=said.append)
    order_fault(cloud, kind="rate_limit", seconds=2, method="GET", path="/servers")
    began = time.monotonic()
    assert api.client.servers.get_all() == []
    assert 1 <= time.monotonic() - began < 4
    (line,) = said
    assert line.startswith("warning: the Hetzner project's limit of API requests is used up (3600 an hour): waits ")


def test_a_server_goes_also_over_the_limit(cloud: Cloud, request_: ServerRequest) -> None:
    cloud.create_server(request_)
    order_fault(cloud, kind="rate_limit", seconds=1, method="DELETE", path="/*", times=4)
    cloud.remove_server(request_.name, LABELS)
    assert names(cloud) == ([], [], [])


def test_the_limit_is_waited_for_no_longer_than_an_action(cloud: Cloud) -> None:
    api = Api("t" * 64, cloud.endpoint, Timeouts(action=1))
    order_fault(cloud, kind="rate_limit", seconds=60, times=None, method="GET", path="/servers")
    with (
        pytest.raises(CloudError, match=r"used up for 1 s \(rate_limit_exceeded\).*node-images:timeouts.action"),
        api.in_words(),
    ):
        api.client.servers.get_all()


def test_where_no_connection_is_to_be_had_in_time_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def late(*_arguments: object, **_options: object) -> None:
        raise requests.ConnectTimeout("a page of causes")

    monkeypatch.setattr("requests.adapters.HTTPAdapter.send", late)
    with pytest.raises(CloudError) as caught:
        Cloud("t" * 64).holdings("test")
    assert str(caught.value) == (
        f"{HETZNER_ENDPOINT} does not answer (no connection within 10 s; then we gave up).\n"
        "    Check hcloud:endpoint and the network; status.hetzner.com tells of outages."
    )


@pytest.mark.parametrize("code", ["unauthorized", "token_readonly"])
def test_a_token_that_does_not_do_names_the_command_that_sets_another(code: str) -> None:
    api = Api("t" * 64)
    with pytest.raises(CloudError, match=rf"\({code}\)[\s\S]*config set --secret hcloud:token"), api.in_words():
        raise APIException(code, "no", {})


def test_another_program_at_that_address_is_told(cloud: Cloud) -> None:
    elsewhere = cloud.endpoint.removesuffix("/v1") + "/v2"
    with pytest.raises(CloudError, match=r"is not the Hetzner Cloud API.*\(404\)[\s\S]*ends with /v1"):
        Cloud("t" * 64, elsewhere).holdings("test")


@pytest.mark.usefixtures("no_environment")
def test_a_missing_token_names_the_command_that_sets_it() -> None:
    for settings in ({}, {"hcloud:endpoint": "http://127.0.0.1:1/v1"}):
        with pytest.raises(CloudError, match="pulumiw config set --secret hcloud:token"):
            Api.from_stack_file(settings)
    with pytest.raises(CloudError, match="pulumiw config set --secret hcloud:token"):
        Api.from_settings(lambda _key: None)


@pytest.mark.usefixtures("no_environment")
@pytest.mark.parametrize("token", ["t" * 64 + "\n", "Bearer " + "t" * 64, "\u2026" * 64])
def test_what_no_header_can_carry_is_no_token(token: str) -> None:
    with pytest.raises(CloudError, match="not part of it"):
        Api.from_settings({"hcloud:token": token}.get)


@pytest.mark.usefixtures("no_environment")
def test_an_encrypted_token_is_given_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    config = {"hcloud:token": {"secure": "x"}, "node-images:timeouts": {"action": "5m"}}
    with pytest.raises(CloudError, match="encrypted, so give it in HCLOUD_TOKEN"):
        Api.from_stack_file(config)
    monkeypatch.setenv("HCLOUD_TOKEN", "t" * 64)
    api = Api.from_stack_file(config)
    assert (api.endpoint, api.timeouts.action) == (HETZNER_ENDPOINT, 300)


def test_time_outs_that_are_none_are_told_in_words() -> None:
    with pytest.raises(CloudError, match="node-images:timeouts in the stack file is not as"):
        Api.from_stack_file({"hcloud:token": "t" * 64, "node-images:timeouts": {"action": "soon"}})
