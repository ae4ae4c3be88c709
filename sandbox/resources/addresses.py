"""What primary and floating IPs have in common: addresses, and the names that reverse DNS gives them. Pure.

Gap: nobody can ask for these names, and IPv6 addresses are of the documentation range.
"""

from __future__ import annotations

import ipaddress
import re
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from sandbox.errors import invalid_input
from sandbox.resources.owned import Belonging

IpType = Literal["ipv4", "ipv6"]
DOMAIN_NAME = re.compile(
    r"(?=.{1,253}$)[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+", re.I
)


class Address(Belonging):
    """A primary or floating IP. ``ip`` is an IPv4 address or a /64 of IPv6; ``names`` are those set by address."""

    name: str
    type: IpType
    ip: str
    location: str
    labels: dict[str, str] = {}
    protected: bool = False
    names: dict[str, str] = {}
    created: datetime


def ipv6_network(number: int, upper_half: bool) -> str:
    """A /64 of the documentation range that no other number has (below 2 ** 31): primary IPs have its lower half."""
    first = number >> 16 | (0x8000 if upper_half else 0)
    return f"2001:db8:{first:x}:{number & 0xFFFF:x}::/64"


def original_name(address: str) -> str:
    """What an IPv4 address is called until someone says otherwise."""
    return f"static.{'.'.join(reversed(address.split('.')))}.clients.example.com"


def dns_ptr(address: Address) -> list[dict[str, str]]:
    """As in the API: an IPv4 address always has a name, an IPv6 address when it was given one."""
    names = address.names
    if address.type == "ipv4":
        names = {address.ip: original_name(address.ip)} | names
    return [{"ip": ip, "dns_ptr": name} for ip, name in names.items()]


def named(address: Address, ip: str, name: str | None) -> dict[str, str]:
    """All names, with the one of ``ip`` changed; None takes it back. Raises invalid_input."""
    if not within(address, ip):
        raise invalid_input(("ip", f"'{ip}' is not an address of {address.ip}"))
    others = {other: text for other, text in address.names.items() if other != normal(ip)}
    return others if name is None else others | {normal(ip): name}


def within(address: Address, ip: str) -> bool:
    """Whether it is the address, or one of its network."""
    try:
        return ipaddress.ip_address(ip) in ipaddress.ip_network(address.ip)
    except (ValueError, TypeError):
        return False


def normal(ip: str) -> str:
    """The one way to write it."""
    return str(ipaddress.ip_address(ip))


def check_domain_name(name: str) -> str:
    """Raises ValueError."""
    if not DOMAIN_NAME.fullmatch(name):
        raise ValueError("must be a domain name with at least one dot: letters, digits, dashes and periods")
    return name


DomainName = Annotated[str, AfterValidator(check_domain_name)]


def shape_common(address: Address) -> dict[str, Any]:
    """What both show in the same way."""
    return {
        "id": address.id,
        "name": address.name,
        "type": address.type,
        "ip": address.ip,
        "blocked": False,
        "labels": address.labels,
        "dns_ptr": dns_ptr(address),
        "protection": {"delete": address.protected},
    }
