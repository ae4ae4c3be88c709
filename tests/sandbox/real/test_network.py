"""Machines have a network of their own: they reach each other, and firewalls filter there."""

from __future__ import annotations

import os
import signal
import socket
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from hcloud.firewalls import Firewall, FirewallResource, FirewallRule

from sandbox.machines.network import HOST, KUBERNETES_API, NETWORK_FILE, Cable
from sandbox.process import ProcessId
from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.real.conftest import Machine, boot

SERVE = "systemd-run --quiet --collect python3 -m http.server --bind 0.0.0.0 --directory /etc/ssh {port}"
ASK = "python3 -c 'import urllib.request as r; print(r.urlopen(\"http://{target}/\", timeout=3).status)'"


@pytest.fixture
def pair(real: Sandbox, key_pair: Path) -> Iterator[tuple[Machine, Machine]]:
    first, second = (boot(real, key_pair, name).wait_for_ssh() for name in ("first", "second"))
    for port in (8080, KUBERNETES_API):
        first.output(SERVE.format(port=port))
    yield first, second


def own_address(machine: Machine) -> str:
    return Cable.of(machine.address).address


def reaches(machine: Machine, target: str) -> bool:
    return machine.ssh(ASK.format(target=target)).stdout.strip() == "200"


def answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


def rule(port: str, *sources: str) -> FirewallRule:
    return FirewallRule(direction="in", protocol="tcp", port=port, source_ips=list(sources))


def test_machines_reach_each_other_and_the_outside(real: Sandbox, pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    assert own_address(first) in first.output("ip -brief address show dev eth0")
    wait_for(lambda: reaches(second, f"{own_address(first)}:8080"), 20, 0.2)
    assert second.output("getent hosts deb.debian.org")
    assert reaches(second, f"{HOST}:{real.port}/_sandbox/health") is True


def test_a_port_of_the_host_is_nobodys_business(pair: tuple[Machine, Machine]) -> None:
    """Kubernetes' port is free on each machine, whoever listens there on the host, and the host reaches it."""
    _, second = pair
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", KUBERNETES_API))
        holder.listen()
        second.output(SERVE.format(port=KUBERNETES_API))
    for machine in pair:
        wait_for(partial(answers, f"http://{machine.address}:{KUBERNETES_API}/"), 20)


def test_a_firewall_lets_through_what_it_names(real: Sandbox, pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    target, sdk = f"{own_address(first)}:8080", real.sdk()
    wait_for(lambda: reaches(second, target), 20, 0.2)
    server = FirewallResource(type="server", server=first.server)
    made = sdk.firewalls.create(name="f", rules=[rule(str(real.ssh_port), "127.0.0.0/8")], resources=[server])
    assert not reaches(second, target)
    assert first.output("hostname") == "first", "SSH comes from the host"
    assert second.ssh(f"timeout 3 bash -c '</dev/tcp/{own_address(first)}/22'").returncode != 0
    firewall: Firewall = made.firewall
    firewall.set_rules([rule("8000-9000", f"{own_address(second)}/32")])
    assert reaches(second, target)
    assert first.ssh("true").returncode != 0
    firewall.remove_from_resources([server])
    assert first.output("hostname") == "first"
    firewall.delete()


def test_what_one_server_may_send_another_need_not_take(real: Sandbox, pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    target = f"{own_address(first)}:8080"
    wait_for(lambda: reaches(second, target), 20, 0.2)
    out = FirewallRule(direction="out", protocol="tcp", port="8080", destination_ips=["0.0.0.0/0"])
    ssh = rule(str(real.ssh_port), "127.0.0.0/8")
    on = [FirewallResource(type="server", server=machine.server) for machine in pair]
    made = [
        real.sdk().firewalls.create(name="sender", rules=[out, ssh], resources=[on[1]]).firewall,
        real.sdk().firewalls.create(name="receiver", rules=[ssh], resources=[on[0]]).firewall,
    ]
    assert not reaches(second, target)
    made[1].set_rules([ssh, rule("8080", "0.0.0.0/0")])
    assert reaches(second, target)
    for firewall, place in zip(made, reversed(on), strict=True):
        firewall.remove_from_resources([place])
        firewall.delete()


def test_the_way_out_is_mended_when_the_next_machine_starts(real: Sandbox, key_pair: Path) -> None:
    machine = boot(real, key_pair, "early").wait_for_ssh()
    file = real.home / NETWORK_FILE
    os.kill(ProcessId.model_validate_json(file.read_text()).pid, signal.SIGKILL)
    assert machine.output("hostname") == "early", "machines are reached without it"
    boot(real, key_pair, "late").wait_for_ssh()
    assert machine.output("getent hosts deb.debian.org")
