"""Load balancers: their services, targets and rules. What balances is in ``sandbox.balancer``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel

from sandbox.errors import CloudError, not_found, not_unique
from sandbox.resources.actions.models import Action, Actions
from sandbox.resources.load_balancers.services import Given, Service, changed_service
from sandbox.resources.load_balancers.types import LoadBalancerType, load_balancer_type
from sandbox.store import Collection, Record, Store

Algorithm = Literal["round_robin", "least_connections"]
LAST_NUMBER, NUMBERS = 254, 50
"""Load balancers have the last addresses of the sandbox's range, servers the first ones."""


class Target(BaseModel):
    """A server, all servers with certain labels, or an IP."""

    type: Literal["server", "label_selector", "ip"]
    server: int | None = None
    selector: str | None = None
    ip: str | None = None
    use_private_ip: bool = False

    @property
    def what(self) -> tuple[str, int | str | None]:
        """By which it is known."""
        return self.type, self.server or self.selector or self.ip


class LoadBalancer(Record):
    """One load balancer. ``number`` is the last part of its address."""

    name: str
    type: str
    location: str
    algorithm: Algorithm
    services: list[Service] = []
    targets: list[Target] = []
    labels: dict[str, str] = {}
    number: int
    address: str
    public: bool = True
    dns_ptr: dict[str, str | None] = {}
    protected: bool = False
    created: datetime

    @property
    def ipv6(self) -> str:
        """Of the documentation range: it leads nowhere."""
        return f"2001:db8:1b:{self.id >> 16:x}:{self.id & 0xFFFF:x}::1"

    def service(self, listen_port: int) -> Service:
        """Raises not_found."""
        for service in self.services:
            if service.listen_port == listen_port:
                return service
        raise CloudError("not_found", f"service with listen port {listen_port} not found")


class LoadBalancers:
    """The load balancers of the project."""

    def __init__(self, store: Store, actions: Actions, address_of: Callable[[int], str]) -> None:
        self.all = Collection(store, "load_balancer", LoadBalancer)
        self.actions = actions
        self.address_of = address_of
        self.changed: Callable[[], None] = lambda: None
        self.require_ports: Callable[[str, list[int]], None] = lambda _address, _ports: None
        self.taken: Callable[[], set[int]] = lambda: self.numbers  # of all projects, also by servers

    def get(self, number: int) -> LoadBalancer:
        """Raises not_found."""
        if balancer := self.all.get(number):
            return balancer
        raise not_found("load_balancer", number)

    @property
    def numbers(self) -> set[int]:
        """Of their addresses."""
        return {item.number for item in self.all}

    def new_record(
        self, name: str, kind: LoadBalancerType, location: str, algorithm: Algorithm, labels: dict[str, str]
    ) -> LoadBalancer:
        """Not yet kept. Raises uniqueness_error, resource_limit_exceeded."""
        self.require_free_name(name)
        number = self.free_number()
        return LoadBalancer(
            id=0,
            name=name,
            type=kind.name,
            location=location,
            algorithm=algorithm,
            labels=labels,
            number=number,
            address=self.address_of(number),
            created=datetime.now(UTC),
        )

    def free_number(self) -> int:
        """The highest that nobody has."""
        taken = self.taken()
        for number in range(LAST_NUMBER, LAST_NUMBER - NUMBERS, -1):
            if number not in taken:
                return number
        raise CloudError("resource_limit_exceeded", "load balancer limit reached: every address is taken")

    def save(self, balancer: LoadBalancer) -> LoadBalancer:
        """Keep it, and have it balance so."""
        self.all.save(balancer)
        self.changed()
        return balancer

    def done(self, command: str, balancer: LoadBalancer, *others: tuple[str, int]) -> Action:
        """Kept, and on record as an action."""
        self.save(balancer)
        return self.actions.done(command, ("load_balancer", balancer.id), *others)

    def update(self, balancer: LoadBalancer, name: str | None, labels: dict[str, str] | None) -> LoadBalancer:
        """Change what is given."""
        if name is not None and name != balancer.name:
            self.require_free_name(name)
            balancer.name = name
        balancer.labels = balancer.labels if labels is None else labels
        return self.save(balancer)

    def delete(self, balancer: LoadBalancer) -> None:
        """Raises protected."""
        if balancer.protected:
            raise CloudError("protected", "load balancer deletion is protected")
        self.all.remove(balancer)
        self.changed()

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(item.name == name for item in self.all):
            raise not_unique("name", "load balancer name is already used")

    # Services

    def add_service(self, balancer: LoadBalancer, service: Service) -> Action:
        """Raises source_port_already_used, resource_limit_exceeded, service_error."""
        require_new_service(balancer, service)
        if balancer.public:
            self.require_ports(balancer.address, [service.listen_port])
        balancer.services.append(service)
        return self.done("add_service", balancer)

    def update_service(self, balancer: LoadBalancer, listen_port: int, given: Given) -> Action:
        """Raises not_found, invalid_input."""
        now = balancer.service(listen_port)
        balancer.services[balancer.services.index(now)] = changed_service(now, given)
        return self.done("update_service", balancer)

    def delete_service(self, balancer: LoadBalancer, listen_port: int) -> Action:
        """Raises not_found."""
        balancer.services.remove(balancer.service(listen_port))
        return self.done("delete_service", balancer)

    # Targets

    def add_target(self, balancer: LoadBalancer, target: Target) -> Action:
        """Raises target_already_defined, resource_limit_exceeded."""
        require_new_target(balancer, target)
        balancer.targets.append(target)
        return self.done("add_target", balancer, *servers_of(target))

    def remove_target(self, balancer: LoadBalancer, what: Target) -> Action:
        """Raises load_balancer_target_not_found."""
        kept = [target for target in balancer.targets if target.what != what.what]
        if len(kept) == len(balancer.targets):
            raise CloudError("load_balancer_target_not_found", "load balancer target not found")
        balancer.targets = kept
        return self.done("remove_target", balancer, *servers_of(what))

    def forget_server(self, server_id: int) -> None:
        """The server was deleted."""
        for balancer in self.all:
            self.keep_targets(balancer, lambda target: target.server != server_id)

    def forget_private(self, balancer: LoadBalancer, server_id: int | None = None) -> None:
        """The load balancer left its network, or the server did: targets in there are gone."""

        def stays(target: Target) -> bool:
            return not target.use_private_ip or server_id not in (None, target.server)

        self.keep_targets(balancer, stays)

    def keep_targets(self, balancer: LoadBalancer, stays: Callable[[Target], bool]) -> None:
        """Those that stay."""
        kept = [target for target in balancer.targets if stays(target)]
        if len(kept) < len(balancer.targets):
            balancer.targets = kept
            self.save(balancer)

    # Others

    def change_algorithm(self, balancer: LoadBalancer, algorithm: Algorithm) -> Action:
        """From the next connection on."""
        balancer.algorithm = algorithm
        return self.done("change_algorithm", balancer)

    def change_type(self, balancer: LoadBalancer, kind: LoadBalancerType) -> Action:
        """Raises invalid_load_balancer_type where there is more than it may have."""
        if len(balancer.services) > kind.max_services or len(balancer.targets) > kind.max_targets:
            raise CloudError("invalid_load_balancer_type", f"{kind.name} does not take as many services and targets")
        balancer.type = kind.name
        return self.done("change_load_balancer_type", balancer)

    def change_dns_ptr(self, balancer: LoadBalancer, ip: str, name: str | None) -> Action:
        """Raises not_found for an address of others."""
        if ip not in (balancer.address, balancer.ipv6):
            raise CloudError("not_found", f"IP {ip} is not one of the load balancer")
        balancer.dns_ptr[ip] = name
        return self.done("change_dns_ptr", balancer)

    def protect(self, balancer: LoadBalancer, delete: bool | None) -> Action:
        """Against deletion."""
        balancer.protected = balancer.protected if delete is None else delete
        return self.done("change_protection", balancer)

    def enable_public(self, balancer: LoadBalancer) -> Action:
        """It listens at its public address."""
        if not balancer.public:
            self.require_ports(balancer.address, [service.listen_port for service in balancer.services])
        balancer.public = True
        return self.done("enable_public_interface", balancer)

    def disable_public(self, balancer: LoadBalancer, *, attached: bool) -> Action:
        """Raises load_balancer_not_attached_to_network, targets_without_use_private_ip."""
        if not attached:
            raise CloudError("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
        if any(not target.use_private_ip for target in balancer.targets):
            raise CloudError("targets_without_use_private_ip", "load balancer has targets that use the public IP")
        balancer.public = False
        return self.done("disable_public_interface", balancer)


def servers_of(target: Target) -> list[tuple[str, int]]:
    """What an action about the target is about beside the load balancer."""
    return [("server", target.server)] if target.server else []


def require_new_service(balancer: LoadBalancer, service: Service) -> None:
    """Raises source_port_already_used, resource_limit_exceeded."""
    if any(item.listen_port == service.listen_port for item in balancer.services):
        raise CloudError("source_port_already_used", f"listen port {service.listen_port} is already in use")
    if len(balancer.services) >= load_balancer_type(balancer.type).max_services:
        raise CloudError("resource_limit_exceeded", f"service limit of {balancer.type} reached")


def require_new_target(balancer: LoadBalancer, target: Target) -> None:
    """Raises target_already_defined, resource_limit_exceeded."""
    if any(item.what == target.what for item in balancer.targets):
        raise CloudError("target_already_defined", "load balancer target is already defined")
    if len(balancer.targets) >= load_balancer_type(balancer.type).max_targets:
        raise CloudError("resource_limit_exceeded", f"target limit of {balancer.type} reached")
