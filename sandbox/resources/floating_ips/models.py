"""Floating IPs: addresses of a project that any of its servers may have, running or not.

Gap: nothing is sent to them. IPv4 addresses are of the ranges for documentation.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sandbox.errors import CloudError, not_found, not_unique
from sandbox.resources.actions.models import Action, Actions, nothing, unlocked
from sandbox.resources.addresses import Address, IpType, ipv6_network, named
from sandbox.resources.owned import Owned
from sandbox.store import Store

RANGES = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24")


class FloatingIp(Address):
    """One address; ``location`` is its home."""

    description: str = ""


class FloatingIps:
    """The floating IPs of the project."""

    def __init__(self, store: Store, actions: Actions) -> None:
        self.all = Owned(store, "floating_ip", FloatingIp)
        self.actions = actions
        self.taken: Callable[[], set[str]] = self.addresses  # of all projects

    def get(self, ip_id: int) -> FloatingIp:
        """Raises not_found."""
        if address := self.all.get(ip_id):
            return address
        raise not_found("floating_ip", ip_id)

    def create(
        self, name: str | None, kind: IpType, location: str, description: str, labels: dict[str, str]
    ) -> FloatingIp:
        """One that no server has. Raises uniqueness_error, resource_limit_exceeded."""
        if name is not None:
            self.require_free_name(name)
        number = self.all.next_id()
        address = FloatingIp(
            id=number,
            name=name or f"floating-ip-{number}",
            type=kind,
            ip=self.free_ipv4() if kind == "ipv4" else ipv6_network(number, upper_half=True),
            location=location,
            description=description,
            labels=labels,
            created=datetime.now(UTC),
        )
        return self.all.save(address)

    def free_ipv4(self) -> str:
        """The lowest that is not taken."""
        taken = self.taken()
        for ip in all_ipv4():
            if ip not in taken:
                return ip
        raise CloudError("resource_limit_exceeded", "floating IP limit reached: every address of the ranges is taken")

    def addresses(self) -> set[str]:
        """Those of this project."""
        return {address.ip for address in self.all}

    def update(
        self, address: FloatingIp, name: str | None, description: str | None, labels: dict[str, str] | None
    ) -> FloatingIp:
        """Change what is given."""
        if name is not None and name != address.name:
            self.require_free_name(name)
            address.name = name
        address.description = address.description if description is None else description
        address.labels = address.labels if labels is None else labels
        return self.all.save(address)

    def delete(self, address: FloatingIp) -> None:
        """Raises protected, locked, must_be_unassigned."""
        if address.protected:
            raise CloudError("protected", "floating IP deletion is protected")
        self.require_unlocked(address)
        if address.server is not None:
            message = f"floating IP is assigned to server {address.server}: unassign it first"
            raise CloudError("must_be_unassigned", message)
        self.all.remove(address)

    def protect(self, address: FloatingIp, delete: bool) -> Action:
        """Set or clear the protection against deletion."""
        address.protected = delete
        self.all.save(address)
        return self.actions.done("change_protection", ("floating_ip", address.id))

    def rename(self, address: FloatingIp, ip: str, name: str | None) -> Action:
        """Its name in reverse DNS, or that of one address of its network."""
        address.names = named(address, ip, name)
        self.all.save(address)
        return self.actions.done("change_dns_ptr", ("floating_ip", address.id))

    def assign(self, address: FloatingIp, server_id: int) -> Action:
        """To another server: it need not be unassigned before. Raises floating_ip_assigned where that one has it."""
        self.require_unlocked(address)
        if address.server == server_id:
            raise CloudError("floating_ip_assigned", f"floating IP is already assigned to server {server_id}")
        return self.move("assign_floating_ip", address, server_id, server_id)

    def unassign(self, address: FloatingIp) -> Action:
        """From the server that has it."""
        self.require_unlocked(address)
        if address.server is None:
            raise CloudError("service_error", f"floating IP {address.id} is not assigned")
        return self.move("unassign_floating_ip", address, address.server, None)

    def move(self, command: str, address: FloatingIp, about: int, server_id: int | None) -> Action:
        """It is there when the action has succeeded."""

        def finish() -> None:
            address.server = server_id
            self.all.save(address)

        action = self.actions.begin(command, ("server", about), ("floating_ip", address.id))
        self.actions.spawn(self.actions.follow(action, nothing, finish))
        return action

    def release(self, server_id: int) -> None:
        """The server is gone."""
        for address in self.all.of(server_id):
            address.server = None
            self.all.save(address)

    def require_unlocked(self, address: FloatingIp) -> None:
        """Raises locked while it is being assigned or unassigned."""
        unlocked(self.actions.running_on("floating_ip", address.id), "floating IP")

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(address.name == name for address in self.all):
            raise not_unique("name", "floating IP name is already used")


def all_ipv4() -> Iterator[str]:
    """Every address there is."""
    for network in RANGES:
        yield from map(str, ipaddress.ip_network(network).hosts())
