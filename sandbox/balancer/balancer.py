"""All services of all load balancers."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from sandbox.balancer import sockets
from sandbox.balancer.service import Health, Plan, Service, Traffic
from sandbox.errors import CloudError
from sandbox.machines import Place

SAMPLE_SECONDS = 5.0
SAMPLES = 2160
"""Three hours."""

Key = tuple[int, int]
"""Load balancer and the port where the service listens."""


@dataclass(frozen=True)
class Sample:
    """What had gone through a load balancer at a time, in seconds since 1970."""

    at: float
    traffic: Traffic


class Balancer:
    """It follows the plans that it is given, and remembers for some hours what went through."""

    def __init__(self, hurry: Callable[[], bool]) -> None:
        self.hurry = hurry
        self.services: dict[Key, Service] = {}
        self.samples: dict[int, deque[Sample]] = {}
        self.gone: dict[int, Traffic] = {}

    def follow(self, plans: Mapping[Key, Plan]) -> None:
        """Instead of those before."""
        for key in set(self.services) - set(plans):
            service = self.services.pop(key)
            service.close()
            self.gone[key[0]] = total([self.gone.get(key[0], Traffic()), service.traffic])
        for key, plan in plans.items():
            if key not in self.services:
                self.services[key] = Service(plan, self.hurry)
            self.services[key].follow(plan)

    def health(self, balancer: int, port: int, target: str) -> Health:
        """Of a target, as this service sees it."""
        service = self.services.get((balancer, port))
        known = service.targets.get(target) if service else None
        return known.health if known else "unknown"

    def traffic(self, balancer: int) -> Traffic:
        """Of all of its services, since the start."""
        now = [service.traffic for (owner, _port), service in self.services.items() if owner == balancer]
        return total([*now, self.gone.get(balancer, Traffic())])

    def sample(self, balancers: Iterable[int]) -> None:
        """Note how much went through, every now and then."""
        for balancer in balancers:
            samples = self.samples.setdefault(balancer, deque(maxlen=SAMPLES))
            if not samples or time.time() - samples[-1].at >= SAMPLE_SECONDS:
                samples.append(Sample(time.time(), self.traffic(balancer)))

    def forget(self, balancer: int) -> None:
        """It was deleted."""
        self.samples.pop(balancer, None)
        self.gone.pop(balancer, None)

    def close(self) -> None:
        """Nothing listens any more."""
        self.follow({})

    def require_ports(self, address: str, ports: list[int]) -> None:
        """Raises service_error where one cannot be had."""
        for port in ports:
            try:
                sockets.listener(Place(address), port).close()
            except OSError as error:
                message = (
                    f"cannot listen on {address}:{port} of this host: {error.strerror} (ss -ltnp 'sport = :{port}')"
                )
                raise CloudError("service_error", message) from error


def total(parts: Iterable[Traffic]) -> Traffic:
    """The sum."""
    found = list(parts)
    return Traffic(
        connections=sum(item.connections for item in found),
        open=sum(item.open for item in found),
        received=sum(item.received for item in found),
        sent=sum(item.sent for item in found),
    )
