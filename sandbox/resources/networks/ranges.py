"""Which ranges and addresses a network may have. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import AddressValueError, IPv4Address, IPv4Network, NetmaskValueError

from sandbox.errors import CloudError, invalid_input

PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
EVERYWHERE = IPv4Network("0.0.0.0/0")
PUBLIC_GATEWAY = IPv4Address("172.31.1.1")
"""The gateway of every server's public interface."""
SMALLEST_NETWORK, SMALLEST_SUBNET, USUAL_SUBNET = 24, 30, 24


def range_of(text: str, field: str) -> IPv4Network:
    """Raises invalid_input."""
    try:
        return IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        raise invalid_input((field, f"{text!r} is not an IPv4 range in CIDR notation: {error}")) from error


def address_of(text: str, field: str) -> IPv4Address:
    """Raises invalid_input."""
    try:
        return IPv4Address(text)
    except AddressValueError as error:
        raise invalid_input((field, f"{text!r} is not an IPv4 address")) from error


def is_private(item: IPv4Network) -> bool:
    """In one of the ranges of RFC 1918."""
    return any(item.subnet_of(private) for private in PRIVATE)


def network_range(text: str) -> IPv4Network:
    """Of a new network. Raises invalid_input."""
    chosen = range_of(text, "ip_range")
    if not is_private(chosen):
        raise invalid_input(("ip_range", "must be one of the private IPv4 ranges of RFC1918"))
    if chosen.prefixlen > SMALLEST_NETWORK:
        raise invalid_input(("ip_range", f"must be at least a /{SMALLEST_NETWORK}"))
    return chosen


def extended_range(text: str, now: IPv4Network) -> IPv4Network:
    """Of a network that grows. Raises invalid_input."""
    chosen = network_range(text)
    if chosen.network_address != now.network_address or chosen.prefixlen > now.prefixlen:
        raise invalid_input(("ip_range", "can only be extended: same first address, a smaller netmask"))
    return chosen


def subnet_range(text: str | None, network: IPv4Network, taken: list[IPv4Network], field: str) -> IPv4Network:
    """Of a new subnet: as asked, else the first free /24. ``taken``: other subnets and routes. Raises CloudError."""
    if text is None:
        return free_range(network, taken, field)
    chosen = range_of(text, field)
    if not chosen.subnet_of(network):
        raise invalid_input((field, f"must be a subnet of the network's ip_range {network}"))
    if chosen.prefixlen > SMALLEST_SUBNET:
        raise invalid_input((field, f"must be at least a /{SMALLEST_SUBNET}"))
    if others := [item for item in taken if item.overlaps(chosen)]:
        raise invalid_input((field, f"overlaps with {others[0]}"))
    return chosen


def free_range(network: IPv4Network, taken: list[IPv4Network], field: str) -> IPv4Network:
    """The first /24 that nothing overlaps."""
    for item in network.subnets(new_prefix=USUAL_SUBNET):
        if not any(item.overlaps(other) for other in taken):
            return item
    raise invalid_input((field, f"the network has no /{USUAL_SUBNET} left"))


def check_route(
    destination: str, gateway: str, network: IPv4Network, subnets: list[IPv4Network], others: list[IPv4Network]
) -> tuple[str, str]:
    """``others``: destinations of other routes. Raises invalid_input."""
    target, through = range_of(destination, "destination"), address_of(gateway, "gateway")
    rules = {
        "must be one of the private IPv4 ranges of RFC1918 or 0.0.0.0/0": target != EVERYWHERE
        and not is_private(target),
        f"must not overlap with {PUBLIC_GATEWAY}": target != EVERYWHERE and PUBLIC_GATEWAY in target,
        "must not overlap with a subnet": target != EVERYWHERE and any(target.overlaps(item) for item in subnets),
        "must not overlap with the destination of another route": any(overlap(target, item) for item in others),
    }
    problems = [("destination", rule) for rule, broken in rules.items() if broken]
    if through in (gateway_of(network), PUBLIC_GATEWAY) or through not in network:
        problems.append(("gateway", f"must be in {network}, neither its first IP nor {PUBLIC_GATEWAY}"))
    if problems:
        raise invalid_input(*problems)
    return str(target), str(through)


def overlap(one: IPv4Network, other: IPv4Network) -> bool:
    """Of destinations: the way to everywhere may stand beside others."""
    return one == other if EVERYWHERE in (one, other) else one.overlaps(other)


def gateway_of(network: IPv4Network) -> IPv4Address:
    """The network's first IP, which nobody else may have."""
    return network.network_address + 1


def usable(subnet: IPv4Network, network: IPv4Network) -> Iterator[IPv4Address]:
    """What members may have, in order."""
    return (item for item in subnet.hosts() if item not in (gateway_of(network), PUBLIC_GATEWAY))


def first_free(subnets: Iterable[IPv4Network], network: IPv4Network, taken: set[str]) -> str:
    """Raises no_subnet_available."""
    for subnet in subnets:
        for item in usable(subnet, network):
            if str(item) not in taken:
                return str(item)
    raise CloudError("no_subnet_available", "no subnet or IP is available within the network")


def require_available(
    address: IPv4Address, subnets: list[IPv4Network], network: IPv4Network, taken: set[str], field: str
) -> str:
    """Raises invalid_input, no_subnet_available, ip_not_available."""
    if address not in network:
        raise invalid_input((field, f"{address} is not in the network's ip_range {network}"))
    inside = [subnet for subnet in subnets if address in subnet]
    if not inside:
        raise CloudError("no_subnet_available", f"no subnet of the network is available for {address}")
    reserved = {gateway_of(network), PUBLIC_GATEWAY, inside[0].network_address, inside[0].broadcast_address}
    if address in reserved or str(address) in taken:
        raise CloudError("ip_not_available", f"IP {address} is not available")
    return str(address)
