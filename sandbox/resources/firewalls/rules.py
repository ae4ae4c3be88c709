"""Rules of firewalls, and what the API insists on. Pure."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, Field

from sandbox.errors import invalid_input

RULES_MAX = 50
NETWORKS_MAX = 100
PORT_MAX = 65535
PORTS = re.compile(r"(\d{1,5})(?:-(\d{1,5}))?")
Problem = tuple[str, str]


class Rule(BaseModel):
    """One rule, as in the API."""

    direction: Literal["in", "out"]
    protocol: Literal["tcp", "udp", "icmp", "esp", "gre"]
    port: str | None = None
    source_ips: list[str] = []
    destination_ips: list[str] = []
    description: str | None = Field(None, max_length=255)


def check_rules(rules: list[Rule]) -> None:
    """What the API insists on beside types. Raises invalid_input with every problem."""
    problems = [("rules", f"must have at most {RULES_MAX} entries")] if len(rules) > RULES_MAX else []
    for number, rule in enumerate(rules):
        problems += [(f"rules.{number}.{field}", message) for field, message in problems_of(rule)]
    if problems:
        raise invalid_input(*problems)


def problems_of(rule: Rule) -> Iterator[Problem]:
    """All of one rule."""
    yield from port_problems(rule)
    used, unused = ("source_ips", "destination_ips") if rule.direction == "in" else ("destination_ips", "source_ips")
    if not getattr(rule, used):
        yield used, f"direction {rule.direction} requires {used}"
    if getattr(rule, unused):
        yield unused, f"direction {rule.direction} must not have {unused}"
    for field in ("source_ips", "destination_ips"):
        yield from network_problems(field, getattr(rule, field))


def port_problems(rule: Rule) -> Iterator[Problem]:
    """TCP and UDP have ports, the others have none."""
    if (rule.port is None) == (rule.protocol in ("tcp", "udp")):
        word = "requires" if rule.port is None else "must not have"
        yield "port", f"protocol {rule.protocol} {word} a port"
    elif rule.port not in (None, "any") and not are_ports(str(rule.port)):
        yield "port", f"'{rule.port}' is not a port (80), a range (1024-5000) or any"


def are_ports(text: str) -> bool:
    """``80`` or ``80-85``."""
    found = PORTS.fullmatch(text)
    return found is not None and 1 <= int(found[1]) <= int(found[2] or found[1]) <= PORT_MAX


def network_problems(field: str, networks: list[str]) -> Iterator[Problem]:
    """Networks without host bits, or single hosts."""
    if len(networks) > NETWORKS_MAX:
        yield field, f"must have at most {NETWORKS_MAX} entries"
    for text in networks:
        if not is_network(text):
            yield field, f"'{text}' is not in CIDR notation (192.0.2.0/24, 2001:db8::/32)"


def is_network(text: str) -> bool:
    """With a prefix length."""
    try:
        ipaddress.ip_network(text)
    except ValueError:
        return False
    return "/" in text


def canonical(rule: Rule) -> Rule:
    """With IPv6 networks as RFC 5952 writes them."""
    fields = ("source_ips", "destination_ips")
    return rule.model_copy(
        update={name: [str(ipaddress.ip_network(text)) for text in getattr(rule, name)] for name in fields}
    )
