"""Which servers the targets of a load balancer mean, and where it reaches them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING

from sandbox.balancer.checks import Check, HttpQuestion
from sandbox.balancer.service import Plan
from sandbox.errors import CloudError, invalid_input
from sandbox.machines import Place
from sandbox.resources.labels import matches, parse_selector
from sandbox.resources.load_balancers.models import LoadBalancer, Target
from sandbox.resources.load_balancers.services import HealthCheck, Service
from sandbox.resources.load_balancers.types import load_balancer_type
from sandbox.resources.networks.models import Network
from sandbox.resources.servers.models import Server

if TYPE_CHECKING:
    from sandbox.cloud import Cloud

LOOPBACK = ipaddress.ip_network("127.0.0.0/8")


def network_of(cloud: Cloud, balancer: LoadBalancer) -> Network | None:
    """The one it is attached to."""
    return next((network for network, _member in cloud.networks.of("load_balancer", balancer.id)), None)


def check_target(cloud: Cloud, balancer: LoadBalancer, network: Network | None, target: Target) -> None:
    """``network`` is what it is, or will be, attached to. Raises CloudError."""
    if target.type == "ip":
        check_ip(cloud, str(target.ip))
        return
    server = cloud.servers.get(target.server or 0) if target.type == "server" else None
    if target.selector is not None:
        check_selector(target.selector)
    if target.use_private_ip:
        if network is None:
            raise CloudError("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
        if server and not network.member("server", server.id):
            raise CloudError("server_not_attached_to_network", "server is not attached to the load balancer's network")
        return
    if not balancer.public:
        raise CloudError("load_balancer_public_interface_disabled", "the public interface is disabled")
    if server and not has_ipv4(cloud, server):
        raise CloudError("missing_ipv4", "server has no public IPv4 address")


def check_ip(cloud: Cloud, text: str) -> None:
    """Raises invalid_input, cloud_resource_ip_not_allowed, ip_not_owned."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise invalid_input(("ip", f"'{text}' is not an IP address")) from error
    ours = {item.address for item in (*cloud.servers.all, *cloud.load_balancers.all)}
    ours |= {address.ip for address in (*cloud.primary_ips.all, *cloud.floating_ips.all)}
    if text in ours:
        raise CloudError("cloud_resource_ip_not_allowed", f"IP {text} belongs to a resource of the cloud")
    if address not in LOOPBACK:
        raise CloudError("ip_not_owned", f"IP {text} is not yours: for the sandbox that is {LOOPBACK}")


def check_selector(selector: str) -> None:
    """Raises invalid_input."""
    try:
        matches(selector, {})
    except ValueError as error:
        raise invalid_input(("label_selector", str(error))) from error


def servers_of(cloud: Cloud, target: Target, network: Network | None) -> list[Server]:
    """Those that it means now and that can be reached so."""
    if target.type == "ip":
        return []
    tests = parse_selector(target.selector) if target.selector else []
    named = cloud.servers.records.get(target.server) if target.server else None
    chosen = [named] if named else cloud.servers.all if target.selector else []
    return [
        server
        for server in chosen
        if all(test(server.labels) for test in tests) and reachable(cloud, target, network, server)
    ]


def reachable(cloud: Cloud, target: Target, network: Network | None, server: Server) -> bool:
    """As the target says: by the network, or publicly."""
    if target.use_private_ip:
        return bool(network and network.member("server", server.id))
    return has_ipv4(cloud, server)


def has_ipv4(cloud: Cloud, server: Server) -> bool:
    """Whether it has a public address of that type."""
    return cloud.primary_ips.of(server.id, "ipv4") is not None


def means(cloud: Cloud, target: Target, network: Network | None, server: Server) -> bool:
    """Whether the server is one of those that it means."""
    by_label = target.selector is not None and matches(target.selector, server.labels)
    return (by_label or target.server == server.id) and reachable(cloud, target, network, server)


def key_of_server(server_id: int) -> str:
    """By which the balancer knows a target."""
    return f"server {server_id}"


def key_of_ip(ip: str | None) -> str:
    """By which the balancer knows a target."""
    return f"ip {ip}"


def places(cloud: Cloud, balancer: LoadBalancer, network: Network | None) -> Iterator[tuple[str, Place]]:
    """Where its targets are reached."""
    for target in balancer.targets:
        if target.ip:
            yield key_of_ip(target.ip), Place(target.ip)
        for server in servers_of(cloud, target, network):
            yield (
                key_of_server(server.id),
                cloud.connections.place_of(server, network if target.use_private_ip else None),
            )


def about_server(cloud: Cloud, server: Server) -> list[int]:
    """Load balancers that have it as a target."""
    return [
        balancer.id
        for balancer in cloud.load_balancers.all
        if any(means(cloud, target, network_of(cloud, balancer), server) for target in balancer.targets)
    ]


def plans(cloud: Cloud) -> dict[tuple[int, int], Plan]:
    """What every service does."""
    found = {}
    for balancer in cloud.load_balancers.all:
        network = network_of(cloud, balancer)
        targets = tuple(dict(places(cloud, balancer, network)).items())
        for service in balancer.services:
            found[balancer.id, service.listen_port] = plan_of(cloud, balancer, network, service, targets)
    return found


def plan_of(
    cloud: Cloud,
    balancer: LoadBalancer,
    network: Network | None,
    service: Service,
    targets: tuple[tuple[str, Place], ...],
) -> Plan:
    """Of one service."""
    return Plan(
        listen=cloud.connections.listening_places(balancer, network),
        port=service.listen_port,
        destination_port=service.destination_port,
        check=check_of(service.health_check),
        targets=targets,
        least_connections=balancer.algorithm == "least_connections",
        proxy_protocol=service.proxyprotocol,
        max_connections=load_balancer_type(balancer.type).max_connections,
    )


def check_of(check: HealthCheck) -> Check:
    """In the balancer's form."""
    http = check.http
    question = (
        HttpQuestion(http.path, http.domain, http.response or "", tuple(http.status_codes), http.tls) if http else None
    )
    return Check(check.port, check.interval, check.timeout, check.retries, question)
