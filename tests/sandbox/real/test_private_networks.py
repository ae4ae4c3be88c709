"""Machines really have their private addresses, and reach load balancers and each other as the API names them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hcloud.firewalls import FirewallResource
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import LoadBalancerHealthCheck, LoadBalancerService, LoadBalancerTarget
from hcloud.locations import Location
from hcloud.networks import NetworkRoute, NetworkSubnet

from sandbox.machines.network import NAMESPACES, Cable, ip
from sandbox.settings import Home
from tests.sandbox.backends import SECONDS, asked
from tests.sandbox.conftest import Sandbox, free_port, wait_for
from tests.sandbox.real.conftest import Machine, boot

SERVE = (
    "mkdir -p /srv/www && hostname > /srv/www/index.html"
    " && systemd-run --quiet --collect python3 -m http.server --directory /srv/www 8080"
)
ASK = "curl --silent --max-time 5 http://{target}/ || true"


@pytest.fixture
def network(real: Sandbox) -> Iterator[Any]:
    sdk = real.sdk()
    subnet = NetworkSubnet(type="cloud", ip_range="10.0.1.0/24", network_zone="eu-central")
    made = sdk.networks.create(name="inner", ip_range="10.0.0.0/16", subnets=[subnet])
    yield made
    made.delete()


@pytest.fixture
def pair(real: Sandbox, network: Any, key_pair: Any) -> tuple[Machine, Machine]:
    """One is attached as it is made, the other while it runs."""
    location = Location(name="fsn1")
    first = boot(real, key_pair, "first", networks=[network], location=location).wait_for_ssh()
    second = boot(real, key_pair, "second", location=location).wait_for_ssh()
    second.server.attach_to_network(network, ip="10.0.1.7", alias_ips=["10.0.1.8"]).wait_until_finished()
    for machine in (first, second):
        machine.output(SERVE)
    return first, second


def says(machine: Machine, target: str) -> str:
    return machine.output(ASK.format(target=target))


def test_private_addresses(real: Sandbox, network: Any, pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    card = real.sdk().servers.get_by_id(second.server.id).private_net[0]
    shown = second.output("ip address show enp7s0")
    assert "10.0.1.7/32" in shown and card.mac_address in shown
    wait_for(lambda: says(first, "10.0.1.7:8080") == "second", SECONDS)
    assert says(second, "10.0.1.1:8080") == "first"
    assert says(first, "10.0.1.8:8080") == "second"
    network.add_route(NetworkRoute(destination="10.9.0.0/24", gateway="10.0.1.7")).wait_until_finished()
    key = Home(real.home).key  # a container may not do this itself
    ip("-n", f"sandbox-{key}-{Cable.of(second.address).device}", "address", "add", "10.9.0.1/32", "dev", "lo")
    way = ("10.9.0.0/24", "via", "10.0.0.1", "dev", "enp7s0")
    ip("-n", f"sandbox-{key}-{Cable.of(first.address).device}", "route", "add", *way)
    assert says(first, "10.9.0.1:8080") == "second"
    second.server.detach_from_network(network).wait_until_finished()
    assert second.ssh("ip link show enp7s0").returncode != 0
    assert says(first, "10.0.1.7:8080") == ""


def test_no_firewall_filters_in_a_private_network(real: Sandbox, pair: tuple[Machine, Machine]) -> None:
    first, second = pair
    wait_for(lambda: says(first, "10.0.1.7:8080") == "second", SECONDS)
    on = [FirewallResource(type="server", server=second.server)]
    wall = real.sdk().firewalls.create(name="wall", rules=[], resources=on).firewall
    assert says(first, f"{second.address}:8080") == ""
    assert says(first, "10.0.1.7:8080") == "second"
    wall.remove_from_resources(on)
    wall.delete()


def test_networks_of_the_same_range_know_nothing_of_each_other(
    real: Sandbox, network: Any, pair: tuple[Machine, Machine], key_pair: Any
) -> None:
    first, _second = pair
    other = real.sdk().networks.create(name="other", ip_range="10.0.0.0/16", subnets=network.subnets)
    third = boot(real, key_pair, "third", networks=[other], location=Location(name="fsn1")).wait_for_ssh()
    assert "10.0.1.1/32" in third.output("ip -brief address show enp7s0")
    assert says(third, "10.0.1.7:8080") == "" and says(first, "10.0.1.7:8080") == "second"
    other.delete()
    assert third.ssh("ip link show enp7s0").returncode != 0
    assert not (NAMESPACES / f"sandbox-{Home(real.home).key}-n{other.id}").exists()


def test_machines_reach_each_other_and_load_balancers_as_the_api_names_them(
    real: Sandbox, network: Any, pair: tuple[Machine, Machine]
) -> None:
    first, second = pair
    wait_for(lambda: says(first, f"{second.address}:8080") == "second", SECONDS)
    assert says(first, f"{first.address}:8080") == "first"
    listen = free_port()
    check = LoadBalancerHealthCheck(protocol="tcp", port=8080, interval=3, timeout=2, retries=1)
    service = LoadBalancerService(
        protocol="tcp", listen_port=listen, destination_port=8080, proxyprotocol=False, health_check=check
    )
    made = real.sdk().load_balancers.create(
        name="api",
        load_balancer_type=LoadBalancerType(name="lb11"),
        location=Location(name="fsn1"),
        network=network,
        services=[service],
        targets=[LoadBalancerTarget(type="server", server=item.server, use_private_ip=True) for item in pair],
    )
    balancer = made.load_balancer
    public, private = balancer.public_net.ipv4.ip, balancer.private_net[0].ip
    wait_for(partial(all_healthy, real, balancer), SECONDS)
    assert Counter(asked(public, listen).strip() for _ in range(6)) == {"first": 3, "second": 3}
    for target in (public, private):
        assert Counter(says(first, f"{target}:{listen}") for _ in range(4)) == {"first": 2, "second": 2}, target
    balancer.disable_public_interface().wait_until_finished()
    wait_for(lambda: says(first, f"{public}:{listen}") == "", SECONDS)
    assert says(first, f"{private}:{listen}") in ("first", "second")
    balancer.delete()


def all_healthy(real: Sandbox, balancer: Any) -> bool:
    found = real.sdk().load_balancers.get_by_id(balancer.id)
    return {status.status for target in found.targets for status in target.health_status} == {"healthy"}
