"""The record of requests, and the conditions: quotas, capacity, rate limit, prices."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import hcloud
import pytest

from sandbox import journal
from sandbox.api.limits import Bucket
from sandbox.journal import Entry, Journal, summary
from sandbox.resources.conditions import Rate
from sandbox.store import Store
from tests.sandbox.conftest import Sandbox
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.test_faults import create, ready, requests

Make = Callable[..., Sandbox]


def test_a_request_is_on_record_with_all_that_matters(sandbox: Sandbox, client: ValidatingClient) -> None:
    sandbox.control("DELETE", "/requests")
    client.headers["User-Agent"] = "tester/1.0"
    body = {"name": "s", "server_type": "cx23", "image": "debian-13", "user_data": "secret" * 99}
    server = client.post("/servers", json=body).json()["server"]["id"]
    client.get(f"/servers/{server}?x=1")
    client.delete("/servers/1")
    made, read, missed = requests(sandbox)
    assert (made["client"], made["method"], made["path"], made["route"]) == (
        "tester/1.0",
        "POST",
        "/servers",
        "/servers",
    )
    assert (made["status"], made["effect"], made["made"]["server"]) == (201, True, server)
    assert made["body"] == {**body, "user_data": "<594 characters>"} and made["at"] and made["seconds"] < 5
    assert (read["route"], read["query"], read["effect"]) == ("/servers/{id}", "x=1", False)
    assert (missed["status"], missed["code"], missed["effect"]) == (404, "not_found", False)
    assert "secret" not in sandbox.control("GET", "/requests").text
    assert [entry["path"] for entry in sandbox.control("GET", f"/requests?since={made['id']}").json()["requests"]] == [
        f"/servers/{server}",
        "/servers/1",
    ]


def test_refused_requests_are_on_record_and_clearing_forgets(sandbox: Sandbox) -> None:
    sandbox.control("DELETE", "/requests")
    with ValidatingClient(sandbox.url, "short") as client:
        client.get("/servers")
        client.headers["Authorization"] = "Bearer " + "t" * 64
        client.post("/servers", content="{")
        super(ValidatingClient, client).request("PATCH", "/nonsense")
    assert [(entry["status"], entry["code"]) for entry in requests(sandbox)] == [
        (401, "unauthorized"),
        (400, "json_error"),
        (404, "not_found"),
    ]
    assert sandbox.control("DELETE", "/requests").status_code == 204 and requests(sandbox) == []
    assert sandbox.control("GET", "/requests?since=yesterday").status_code == 422


def test_the_record_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "KEPT", 600)
    kept = Journal(Store(tmp_path / "db"))
    for number in range(2000):
        kept.begin(Entry.model_validate({"at": 0, "client": "", "method": "GET", "path": f"/{number}", "route": ""}))
    assert 600 <= len(kept.entries()) < 600 + journal.PRUNE_EVERY and kept.entries()[-1].path == "/1999"


def test_a_summary_has_no_secret_at_any_depth() -> None:
    body = {"a": [{"private_key": "k"}], "b": {"password": "p", "c": "x" * 101}, "d": 1, "e": ["f"]}
    assert summary(body) == {
        "a": [{"private_key": "<1 characters>"}],
        "b": {"password": "<1 characters>", "c": "<101 characters>"},
        "d": 1,
        "e": ["f"],
    }
    assert summary([1]) == {}


# Conditions


def set_conditions(sandbox: Sandbox, **parts: object) -> None:
    done = sandbox.control("PUT", "/conditions", json=parts)
    assert done.status_code == 200, done.text


def refusal(act: Callable[[], object]) -> str:
    with pytest.raises(hcloud.APIException) as refused:
        act()
    return str(refused.value.code)


def test_quotas_are_kept_to(sandbox: Sandbox, sdk: Any) -> None:
    set_conditions(sandbox, quotas={"servers": 2, "snapshots": 1, "primary_ips": 1})
    server = ready(create(sdk, "one"))
    assert refusal(lambda: create(sdk, "two")) == "resource_limit_exceeded"  # its address is one too many
    without = hcloud.servers.domain.ServerCreatePublicNetwork(enable_ipv4=False, enable_ipv6=True)
    kind, image = hcloud.server_types.ServerType(name="cx23"), hcloud.images.Image(name="debian-13")
    ready(sdk.servers.create(name="two", server_type=kind, image=image, public_net=without))
    assert refusal(lambda: create(sdk, "three")) == "resource_limit_exceeded"
    server.create_image(description="x").action.wait_until_finished()
    assert refusal(lambda: server.create_image(description="y")) == "resource_limit_exceeded"
    server.delete().wait_until_finished()
    assert ready(create(sdk, "four"))


def test_what_is_sold_out_is_shown_and_refused(sandbox: Sandbox, sdk: Any) -> None:
    set_conditions(sandbox, sold_out=[{"location": "fsn1", "server_type": "cx*"}])
    shown = sdk.servers._client.request(method="GET", url="/server_types?name=cx23")["server_types"][0]["locations"]
    assert {place["name"]: place["available"] for place in shown} == {"fsn1": False, "nbg1": True, "hel1": True}
    assert refusal(lambda: create(sdk)) == "resource_unavailable"
    assert ready(create(sdk, location="hel1"))


def test_prices_can_be_set(sandbox: Sandbox, client: ValidatingClient) -> None:
    set_conditions(sandbox, prices={"cx23": 10.0, "image_gb": 0.5, "primary_ipv4": 2.0})
    pricing = client.get("/pricing").json()["pricing"]
    monthly = {item["name"]: float(item["prices"][0]["price_monthly"]["net"]) for item in pricing["server_types"]}
    assert monthly["cx23"] == 10 and monthly["cx33"] == 8.49
    assert float(pricing["image"]["price_per_gb_month"]["net"]) == 0.5
    addresses = {item["type"]: float(item["prices"][0]["price_monthly"]["net"]) for item in pricing["primary_ips"]}
    assert addresses == {"ipv4": 2.0, "ipv6": 0.0}
    shown = client.get("/server_types?name=cx23").json()["server_types"][0]
    assert float(shown["prices"][0]["price_monthly"]["net"]) == 10


def test_the_rate_limit_can_be_set_and_enforced(make_sandbox: Make) -> None:
    given = '{"rate": {"limit": 3, "per_second": 0.001, "enforced": true}, "quotas": {"servers": 5}}'
    sandbox = make_sandbox(options=("--conditions", given)).started()
    with sandbox.client() as client:
        answers = [client.get("/locations") for _ in range(5)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429, 429]
        assert [answer.headers["RateLimit-Remaining"] for answer in answers] == ["2", "1", "0", "0", "0"]
        assert answers[0].headers["RateLimit-Limit"] == "3"
        set_conditions(sandbox, rate={"enforced": False})
        assert client.get("/locations").status_code == 200
    again = Sandbox(sandbox.home, sandbox.port, sandbox.ssh_port).start()
    assert again.returncode == 0 and "already running" in again.stdout
    assert sandbox.control("GET", "/conditions").json()["conditions"]["quotas"]["servers"] == 5
    sandbox.control("DELETE", "/conditions")
    assert sandbox.control("GET", "/conditions").json()["conditions"]["rate"]["limit"] == 3


def test_the_bucket_fills_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("sandbox.api.limits.time.monotonic", lambda: now[0])
    bucket, rate = Bucket(), Rate(limit=2, per_second=1)
    assert [bucket.take(rate) for _ in range(3)] == [True, True, False]
    now[0] += 1.1
    assert [bucket.take(rate) for _ in range(2)] == [True, False]


@pytest.mark.parametrize("parts", [{"quota": {}}, {"quotas": {"servers": -1}}, {"sold_out": [{"place": "x"}]}, []])
def test_conditions_that_make_no_sense_are_refused(sandbox: Sandbox, parts: object) -> None:
    assert sandbox.control("PUT", "/conditions", json=parts).status_code == 422


def test_conditions_on_the_command_line_that_make_no_sense(make_sandbox: Make) -> None:
    done = make_sandbox().start("--conditions", '{"quotas": {"cars": 1}}')
    assert done.returncode == 1 and "--conditions" in done.stderr and "cars" in done.stderr
    assert "Traceback" not in done.stderr
