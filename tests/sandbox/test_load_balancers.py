"""Load balancers: they balance, they check, and they refuse what the real ones refuse."""

from __future__ import annotations

import os
import signal
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import hcloud
import pytest
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import (
    LoadBalancerAlgorithm,
    LoadBalancerHealthCheck,
    LoadBalancerHealthCheckHttp,
    LoadBalancerService,
    LoadBalancerTarget,
    LoadBalancerTargetLabelSelector,
)
from hcloud.locations import Location

from sandbox.balancer.checks import Check
from sandbox.balancer.service import Target
from sandbox.machines import Place
from tests.sandbox.backends import SECONDS, answering, asked
from tests.sandbox.conftest import Sandbox, free_port, wait_for
from tests.sandbox.openapi import ValidatingClient
from tests.sandbox.test_networks import act, network, server


def create(client: ValidatingClient, **more: Any) -> dict[str, Any]:
    body = {"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"} | more
    response = client.post("/load_balancers", json=body)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()["load_balancer"]
    return made


def service(listen: int, destination: int, **check: Any) -> dict[str, Any]:
    usual = {"protocol": "tcp", "port": destination, "interval": 3, "timeout": 2, "retries": 1}
    ports = {"listen_port": listen, "destination_port": destination}
    return {"protocol": "tcp", **ports, "proxyprotocol": False, "health_check": usual | check}


def by_id(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "server", "server": {"id": number}, **more}


def address(item: dict[str, Any]) -> str:
    return str(item["public_net"]["ipv4"]["ip"])


def health(client: ValidatingClient, path: str) -> list[str]:
    shown = client.get(path).json()["load_balancer"]["targets"]
    return [status["status"] for target in shown for status in target["health_status"]]


def test_connections_go_to_healthy_targets_in_turn(client: ValidatingClient) -> None:
    port, listen = free_port(), free_port()
    one, two = (server(client, name) for name in ("one", "two"))
    made = create(client, services=[service(listen, port)], targets=[by_id(item["id"]) for item in (one, two)])
    path = f"/load_balancers/{made['id']}"
    with answering(address(one), port, "one"):
        with answering(address(two), port, "two"):
            wait_for(lambda: health(client, path) == ["healthy", "healthy"], SECONDS)
            assert Counter(asked(address(made), listen) for _ in range(10)) == {"one": 5, "two": 5}
        wait_for(lambda: health(client, path) == ["healthy", "unhealthy"], SECONDS)
        assert Counter(asked(address(made), listen) for _ in range(4)) == {"one": 4}
        assert client.get(f"/servers/{one['id']}").json()["server"]["load_balancers"] == [made["id"]]
    wait_for(lambda: health(client, path) == ["unhealthy", "unhealthy"], SECONDS)
    assert asked(address(made), listen) == "", "nobody is left"
    with answering(address(two), port, "two again"):
        wait_for(lambda: health(client, path) == ["unhealthy", "healthy"], SECONDS)
        assert asked(address(made), listen) == "two again"


def test_least_connections(client: ValidatingClient) -> None:
    port, listen = free_port(), free_port()
    one, two = (server(client, name) for name in ("one", "two"))
    targets = [by_id(item["id"]) for item in (one, two)]
    algorithm = {"type": "least_connections"}
    made = create(client, services=[service(listen, port)], targets=targets, algorithm=algorithm)
    with ExitStack() as stack:
        for name, item in (("one", one), ("two", two)):
            stack.enter_context(answering(address(item), port, name))
        wait_for(lambda: health(client, f"/load_balancers/{made['id']}") == ["healthy", "healthy"], SECONDS)
        idle = stack.enter_context(socket.create_connection((address(made), listen)))
        idle.sendall(b"GET / HTTP/1.0\r\n")  # it stays open, so the other one has fewer
        wait_for(lambda: open_connections(client, made["id"]) == 1, SECONDS)
        first = asked(address(made), listen)
        assert {asked(address(made), listen) for _ in range(4)} == {first}


def open_connections(client: ValidatingClient, number: int) -> float:
    now = datetime.now(UTC)
    period = {"start": (now - timedelta(seconds=60)).isoformat(), "end": (now + timedelta(seconds=60)).isoformat()}
    query = {"type": "open_connections", "step": "10", **period}
    shown = client.get(f"/load_balancers/{number}/metrics", params=query).json()["metrics"]
    return float(shown["time_series"]["open_connections"]["values"][-1][1])


@pytest.mark.parametrize(
    ("check", "expected"),
    [
        ({}, "healthy"),
        ({"status_codes": ["204"]}, "unhealthy"),
        ({"response": "hello"}, "healthy"),
        ({"response": "goodbye"}, "unhealthy"),
        ({"domain": "example.com", "path": "/live", "status_codes": ["2*", "404"]}, "healthy"),
        ({"tls": True}, "unhealthy"),
    ],
)
def test_health_by_http(client: ValidatingClient, check: dict[str, Any], expected: str) -> None:
    port, listen = free_port(), free_port()
    item = server(client)
    wanted = service(listen, port, protocol="http", http={"domain": None, "path": "/", **check})
    path = f"/load_balancers/{create(client, services=[wanted], targets=[by_id(item['id'])])['id']}"
    with answering(address(item), port, "hello"):
        wait_for(lambda: health(client, path) == [expected], SECONDS)


def test_the_client_of_python(sdk: Any, client: ValidatingClient) -> None:
    """As CAPH does it: a network with a subnet, a load balancer in it, the service of the API servers, servers as targets."""
    port, listen = free_port(), free_port()
    net = network(client)
    plane = server(client, "plane", networks=[net["id"]], labels={"role": "plane"})
    made = sdk.load_balancers.create(
        name="api",
        load_balancer_type=LoadBalancerType(name="lb11"),
        location=Location(name="fsn1"),
        network=sdk.networks.get_by_id(net["id"]),
        algorithm=LoadBalancerAlgorithm(type="round_robin"),
        labels={"cluster": "c"},
        services=[LoadBalancerService(protocol="tcp", listen_port=listen, destination_port=port)],
    )
    made.action.wait_until_finished()
    balancer = sdk.load_balancers.get_by_name("api")
    assert (balancer.private_net[0].ip, balancer.private_net[0].network.id) == ("10.0.1.2", net["id"])
    check = balancer.services[0].health_check
    assert (check.protocol, check.port, check.interval, check.timeout, check.retries) == ("tcp", port, 15, 10, 3)
    target = LoadBalancerTarget(type="server", server=sdk.servers.get_by_id(plane["id"]), use_private_ip=True)
    balancer.add_target(target).wait_until_finished()
    with pytest.raises(hcloud.APIException, match="already defined"):
        balancer.add_target(target)
    with answering(address(plane), port, "plane"):
        wait_for(
            lambda: sdk.load_balancers.get_by_id(balancer.id).targets[0].health_status[0].status == "healthy", SECONDS
        )
        assert asked(balancer.public_net.ipv4.ip, listen) == "plane"
    assert client.get(f"/servers/{plane['id']}").json()["server"]["load_balancers"] == [balancer.id]
    balancer.remove_target(target).wait_until_finished()
    selector = LoadBalancerTarget(
        type="label_selector", label_selector=LoadBalancerTargetLabelSelector("role=plane"), use_private_ip=True
    )
    balancer.add_target(selector).wait_until_finished()
    shown = sdk.load_balancers.get_by_id(balancer.id).targets[0]
    assert [item.server.id for item in shown.targets] == [plane["id"]]
    changed = LoadBalancerService(
        listen_port=listen,
        health_check=LoadBalancerHealthCheck(
            protocol="http",
            port=port,
            interval=5,
            timeout=3,
            retries=2,
            http=LoadBalancerHealthCheckHttp(path="/livez"),
        ),
    )
    balancer.update_service(changed).wait_until_finished()
    assert sdk.load_balancers.get_by_id(balancer.id).services[0].health_check.http.path == "/livez"
    balancer.change_algorithm(LoadBalancerAlgorithm(type="least_connections")).wait_until_finished()
    balancer.change_type(LoadBalancerType(name="lb21")).wait_until_finished()
    balancer.change_dns_ptr(balancer.public_net.ipv4.ip, "api.example.com").wait_until_finished()
    balancer.disable_public_interface().wait_until_finished()
    balancer = sdk.load_balancers.get_by_id(balancer.id)
    assert (balancer.public_net.enabled, balancer.public_net.ipv4.dns_ptr) == (False, "api.example.com")
    assert (balancer.algorithm.type, balancer.load_balancer_type.name) == ("least_connections", "lb21")
    balancer.enable_public_interface().wait_until_finished()
    balancer.change_protection(delete=True).wait_until_finished()
    with pytest.raises(hcloud.APIException, match="protected"):
        balancer.delete()
    balancer.change_protection(delete=False).wait_until_finished()
    balancer.detach_from_network(sdk.networks.get_by_id(net["id"])).wait_until_finished()
    assert sdk.load_balancers.get_by_id(balancer.id).targets == [], "targets in the network are gone"
    balancer.delete_service(balancer.services[0]).wait_until_finished()
    now = datetime.now(UTC)
    metrics = balancer.get_metrics(["open_connections", "bandwidth"], now - timedelta(hours=1), now).metrics
    assert set(metrics.time_series) == {"open_connections", "bandwidth.in", "bandwidth.out"} and metrics.step == 18
    assert balancer.delete().action.command == "delete_load_balancer"


def test_what_a_service_cannot_be(client: ValidatingClient) -> None:
    listen = free_port()
    path = f"/load_balancers/{create(client, services=[service(listen, 80)])['id']}"
    assert act(client, path, "add_service", **service(listen, 81)) == "source_port_already_used"
    wrong = [
        service(0, 80) | {"listen_port": 70000},
        service(free_port(), 80, interval=0),
        service(free_port(), 80, retries=9),
        service(free_port(), 80, protocol="http", http={"domain": None, "path": "no slash"}),
        service(free_port(), 80, protocol="http", http={"domain": "a b", "path": "/"}),
        service(free_port(), 80, protocol="http", http={"domain": None, "path": "/", "status_codes": ["teapot"]}),
        service(free_port(), 80, protocol="icmp"),
        service(free_port(), 80) | {"protocol": "udp"},
        {"protocol": "tcp"},
    ]
    for body in wrong:
        assert act(client, path, "add_service", **body) == "invalid_input", body
    assert act(client, path, "update_service", listen_port=1) == "not_found"
    assert act(client, path, "delete_service", listen_port=1) == "not_found"
    for _ in range(4):
        assert act(client, path, "add_service", **service(free_port(), 80)) == ""
    assert act(client, path, "add_service", **service(free_port(), 80)) == "resource_limit_exceeded"


def test_a_port_that_another_program_has(client: ValidatingClient) -> None:
    made = create(client)
    with socket.socket() as holder:
        holder.bind((address(made), 0))
        holder.listen()
        body = service(holder.getsockname()[1], 80)
        refused = client.post(f"/load_balancers/{made['id']}/actions/add_service", json=body).json()["error"]
    assert refused["code"] == "service_error" and "ss -ltnp" in refused["message"]


def test_what_a_target_cannot_be(client: ValidatingClient) -> None:
    path = f"/load_balancers/{(made := create(client))['id']}"
    net, item = network(client), server(client)
    hidden = server(client, "hidden", public_net={"enable_ipv4": False, "enable_ipv6": True})
    by_selector = {"type": "label_selector", "label_selector": {"selector": "a=b"}}
    private = by_id(item["id"], use_private_ip=True)
    assert act(client, path, "add_target", **private) == "load_balancer_not_attached_to_network"
    assert act(client, path, "disable_public_interface") == "load_balancer_not_attached_to_network"
    assert act(client, path, "attach_to_network", network=net["id"]) == ""
    assert act(client, path, "attach_to_network", network=net["id"]) == "load_balancer_already_attached"
    assert act(client, path, "add_target", **private) == "server_not_attached_to_network"
    assert act(client, path, "add_target", **by_id(hidden["id"])) == "missing_ipv4"
    assert act(client, path, "add_target", **by_id(1)) == "not_found"
    assert act(client, path, "add_target", type="server") == "invalid_input"
    assert act(client, path, "add_target", type="label_selector", label_selector={"selector": "=;"}) == "invalid_input"
    for ip, code in {
        "no": "invalid_input",
        address(item): "cloud_resource_ip_not_allowed",
        "8.8.8.8": "ip_not_owned",
    }.items():
        assert act(client, path, "add_target", type="ip", ip={"ip": ip}) == code
    assert act(client, path, "add_target", **by_selector) == ""
    assert act(client, path, "add_target", **by_selector) == "target_already_defined"
    assert act(client, path, "disable_public_interface") == "targets_without_use_private_ip"
    assert act(client, path, "remove_target", **by_selector) == ""
    assert act(client, path, "remove_target", **by_selector) == "load_balancer_target_not_found"
    assert act(client, path, "disable_public_interface") == ""
    assert act(client, path, "add_target", **by_id(item["id"])) == "load_balancer_public_interface_disabled"
    assert act(client, path, "change_dns_ptr", ip="1.2.3.4", dns_ptr="a.example.com") == "not_found"
    assert act(client, path, "change_type", load_balancer_type="lb99") == "not_found"
    refused = client.post("/load_balancers", json={"name": "lb", "load_balancer_type": "lb11", "location": "fsn1"})
    assert refused.json()["error"]["code"] == "uniqueness_error"
    for wrong in (
        {},
        {"location": "fsn1", "network_zone": "eu-central"},
        {"location": "fsn1", "public_net": {"ipv4": 7}},
    ):
        refused = client.post("/load_balancers", json={"name": "other", "load_balancer_type": "lb11", **wrong})
        assert refused.json()["error"]["code"] == "invalid_input", wrong
    assert [found["id"] for found in client.get("/load_balancers").json()["load_balancers"]] == [made["id"]]


def test_a_smaller_type_takes_fewer_services(client: ValidatingClient) -> None:
    services = [service(free_port(), 80) for _ in range(6)]
    path = f"/load_balancers/{create(client, load_balancer_type='lb21', services=services)['id']}"
    assert act(client, path, "change_type", load_balancer_type="lb11") == "invalid_load_balancer_type"
    assert act(client, path, "change_type", load_balancer_type="lb31") == ""


def test_an_ip_as_target_and_the_proxy_protocol(client: ValidatingClient) -> None:
    listen = free_port()
    with socket.socket() as target:
        target.bind(("127.0.0.1", 0))
        target.listen()
        wanted = service(listen, target.getsockname()[1]) | {"proxyprotocol": True}
        made = create(client, services=[wanted], targets=[{"type": "ip", "ip": {"ip": "127.0.0.1"}}])
        wait_for(lambda: health(client, f"/load_balancers/{made['id']}") == ["healthy"], SECONDS)
        with socket.create_connection((address(made), listen)) as connection:
            source, port = connection.getsockname()
            header = f"PROXY TCP4 {source} {address(made)} {port} {listen}\r\n".encode()
            assert wait_for_text(target, header)


def wait_for_text(target: socket.socket, text: bytes) -> bool:
    """Health checks connect, too, and say nothing."""
    target.settimeout(SECONDS)
    while True:
        peer, _ = target.accept()
        with peer:
            if text in peer.recv(200):
                return True


def test_a_deleted_server_is_no_target(client: ValidatingClient) -> None:
    item = server(client)
    made = create(client, targets=[by_id(item["id"])])
    client.delete(f"/servers/{item['id']}")
    wait_for(lambda: not client.get(f"/load_balancers/{made['id']}").json()["load_balancer"]["targets"])


def test_the_project_is_emptied(sandbox: Sandbox, client: ValidatingClient) -> None:
    net, listen = network(client), free_port()
    made = create(client, network=net["id"], services=[service(listen, 80)])
    socket.create_connection((address(made), listen)).close()
    assert sandbox.control("DELETE", "/project").status_code == 204
    for kind in ("networks", "load_balancers"):
        assert client.get(f"/{kind}").json()[kind] == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address(made), listen))


def test_a_kill_loses_nothing_and_it_balances_again(make_sandbox: Callable[..., Sandbox]) -> None:
    own, port, listen = make_sandbox().started(), free_port(), free_port()
    with own.client() as client:
        net = network(client)
        item = server(client, networks=[net["id"]])
        made = create(client, network=net["id"], services=[service(listen, port)])
        path = f"/load_balancers/{made['id']}"
        assert act(client, path, "add_target", **by_id(item["id"], use_private_ip=True)) == ""
        before = client.get(path).json()["load_balancer"]
        for end in (partial(os.kill, own.pid(), signal.SIGKILL), partial(own.command, "stop")):
            end()
            own.started()
            with answering(address(item), port, "there"):
                wait_for(lambda: health(client, path) == ["healthy"], SECONDS)
                assert asked(address(made), listen) == "there"
            after = client.get(path).json()["load_balancer"]
            changing = {"targets", "ingoing_traffic", "outgoing_traffic"}
            assert {key: after[key] for key in set(after) - changing} == {
                key: before[key] for key in set(before) - changing
            }
        client.delete(path)
        wait_for(lambda: asked(address(made), listen) == "")


def test_health_changes_after_as_many_checks_as_retries() -> None:
    target = Target("a", Place("127.0.0.1"), Check(1, 15, 10, 3))
    seen = []
    for passed in (True, False, False, True, False, False, False, True, True, True):
        target.note(passed)
        seen.append(target.health)
    assert seen == ["healthy"] * 6 + ["unhealthy"] * 3 + ["healthy"]
