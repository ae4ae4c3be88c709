"""What the firewalls of a server mean for its network. Pure.

Gap: towards the host, sshd has the sandbox's SSH port, and 22 in its own network. A rule for the first opens the second as well.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sandbox.machines.network import SSH, Allowed, Filter
from sandbox.resources.firewalls.models import Firewall
from sandbox.resources.firewalls.rules import Rule


def filter_of(firewalls: Iterable[Firewall], ssh_port: int) -> Filter:
    """All rules of all of them: what one lets through passes."""
    rules = [rule for firewall in firewalls for rule in firewall.rules]
    incoming = [item for rule in rules if rule.direction == "in" for item in allowed(rule, rule.source_ips, ssh_port)]
    outgoing = [item for rule in rules if rule.direction == "out" for item in allowed(rule, rule.destination_ips, 0)]
    return Filter(tuple(incoming), tuple(outgoing))


def allowed(rule: Rule, networks: list[str], ssh_port: int) -> Iterator[Allowed]:
    """One, or two where the port of SSH is among its ports."""
    ports = "" if rule.port in (None, "any") else str(rule.port)
    yield Allowed(rule.protocol, ports, tuple(networks))
    if rule.protocol == "tcp" and ports and ssh_port in port_range(ports):
        yield Allowed(rule.protocol, str(SSH), tuple(networks))


def port_range(ports: str) -> range:
    """``80`` or ``80-85``."""
    first, _, last = ports.partition("-")
    return range(int(first), int(last or first) + 1)
