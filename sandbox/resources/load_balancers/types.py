"""Load balancer types: data. Prices are examples, not quotes."""

from __future__ import annotations

from dataclasses import dataclass

from sandbox.errors import not_found


@dataclass(frozen=True)
class LoadBalancerType:
    """Its limits, and its price in EUR a month without VAT."""

    id: int
    name: str
    max_connections: int
    max_services: int
    max_targets: int
    max_assigned_certificates: int
    monthly: float


TYPES = (
    LoadBalancerType(1, "lb11", 10_000, 5, 25, 10, 5.39),
    LoadBalancerType(2, "lb21", 20_000, 15, 75, 25, 16.40),
    LoadBalancerType(3, "lb31", 40_000, 30, 150, 50, 32.90),
)


def load_balancer_type(ref: str) -> LoadBalancerType:
    """By id or name; raises not_found."""
    for item in TYPES:
        if ref in (item.name, str(item.id)):
            return item
    raise not_found("load_balancer_type", ref)
