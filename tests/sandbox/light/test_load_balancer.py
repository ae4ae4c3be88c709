"""A load balancer before light machines: it really balances, and takes a dead one out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hcloud.load_balancer_types import LoadBalancerType
from hcloud.load_balancers import LoadBalancerHealthCheck, LoadBalancerService, LoadBalancerTarget
from hcloud.locations import Location
from hcloud.networks import NetworkSubnet

from tests.sandbox.backends import SECONDS, asked
from tests.sandbox.conftest import Sandbox, free_port, wait_for
from tests.sandbox.real.conftest import Machine, boot

SERVE = (
    "mkdir -p /srv/www && hostname > /srv/www/index.html"
    " && nohup python3 -m http.server --directory /srv/www --bind {address} {port}"
)


@pytest.fixture
def balancer(light: Sandbox) -> Iterator[Any]:
    sdk = light.sdk()
    subnet = NetworkSubnet(type="cloud", ip_range="10.0.0.0/24", network_zone="eu-central")
    network = sdk.networks.create(name="cluster", ip_range="10.0.0.0/16", subnets=[subnet])
    made = sdk.load_balancers.create(
        name="api", load_balancer_type=LoadBalancerType(name="lb11"), location=Location(name="fsn1"), network=network
    )
    made.action.wait_until_finished()
    yield made.load_balancer
    made.load_balancer.delete()
    network.delete()


def statuses(light: Sandbox, balancer: Any) -> list[str]:
    found = light.sdk().load_balancers.get_by_id(balancer.id)
    return [status.status for target in found.targets for status in target.health_status]


def serve(machine: Machine, port: int) -> None:
    command = SERVE.format(address=machine.address, port=port)
    machine.output(f"({command}) > /dev/null 2>&1 < /dev/null &")


def test_it_balances_and_takes_a_dead_one_out(light: Sandbox, balancer: Any, key_pair: Any) -> None:
    port, listen, sdk = free_port(), free_port(), light.sdk()
    network = sdk.networks.get_by_name("cluster")
    machines = [boot(light, key_pair, name, networks=[network]).wait_for_ssh() for name in ("one", "two")]
    check = LoadBalancerHealthCheck(protocol="tcp", port=port, interval=3, timeout=2, retries=1)
    service = LoadBalancerService(
        protocol="tcp", listen_port=listen, destination_port=port, proxyprotocol=False, health_check=check
    )
    balancer.add_service(service).wait_until_finished()
    for machine in machines:
        target = LoadBalancerTarget(type="server", server=machine.server, use_private_ip=True)
        balancer.add_target(target).wait_until_finished()
        serve(machine, port)
    wait_for(lambda: statuses(light, balancer) == ["healthy", "healthy"], SECONDS)
    address = balancer.public_net.ipv4.ip
    assert Counter(asked(address, listen).strip() for _ in range(8)) == {"one": 4, "two": 4}
    machines[0].server.power_off().wait_until_finished()
    wait_for(lambda: statuses(light, balancer) == ["unhealthy", "healthy"], SECONDS)
    assert Counter(asked(address, listen).strip() for _ in range(4)) == {"two": 4}
    machines[0].server.power_on().wait_until_finished()
    machines[0].wait_for_ssh()
    serve(machines[0], port)
    wait_for(lambda: statuses(light, balancer) == ["healthy", "healthy"], SECONDS)
    machines[1].server.delete().wait_until_finished()
    assert statuses(light, balancer) == ["healthy"]
    assert asked(address, listen).strip() == "one"
