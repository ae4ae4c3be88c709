"""Primary IPs: every public address of a server is one. A server has at most one of each type, and changes it while it is off.

An IPv4 address is that of a machine: whichever server has the primary IP is reached there. ``number`` is its last part.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from sandbox.errors import CloudError, invalid_input, not_found, not_unique
from sandbox.resources.actions.models import Action, Actions, unlocked
from sandbox.resources.addresses import Address, IpType, ipv6_network, named
from sandbox.resources.owned import Owned
from sandbox.store import Store


class PrimaryIp(Address):
    """One address. ``auto_delete``: it goes with the server that has it."""

    number: int | None = None
    auto_delete: bool = False


class PrimaryIps:
    """The primary IPs of the project. ``new_ipv4`` gives the number and address of a machine that nobody has."""

    def __init__(self, store: Store, actions: Actions) -> None:
        self.all = Owned(store, "primary_ip", PrimaryIp)
        self.actions = actions
        self.admit: Callable[[IpType], None] = lambda _type: None  # may raise CloudError: a quota
        self.new_ipv4: Callable[[], tuple[int, str]]

    def get(self, ip_id: int) -> PrimaryIp:
        """Raises not_found."""
        if address := self.all.get(ip_id):
            return address
        raise not_found("primary_ip", ip_id)

    def of(self, server_id: int, kind: IpType) -> PrimaryIp | None:
        """The one of this type that the server has."""
        return next((address for address in self.all.of(server_id) if address.type == kind), None)

    @property
    def numbers(self) -> set[int]:
        """Machine numbers that are taken by addresses."""
        return {address.number for address in self.all if address.number is not None}

    def create(self, name: str, kind: IpType, location: str, labels: dict[str, str], auto_delete: bool) -> PrimaryIp:
        """One that no server has. Raises uniqueness_error, resource_limit_exceeded."""
        self.require_free_name(name)
        self.admit(kind)
        number, ip = self.new_ipv4() if kind == "ipv4" else (None, "")
        return self.add(name, kind, location, number=number, ip=ip, labels=labels, auto_delete=auto_delete)

    def supply(self, server_id: int, kind: IpType, location: str, number: int, ip: str) -> PrimaryIp:
        """One for a new server, which goes with it. An IPv4 address is the machine's."""
        auto, taken = {"auto_delete": True, "server": server_id}, {"number": number, "ip": ip}
        return self.add("", kind, location, **auto, **(taken if kind == "ipv4" else {}))

    def add(self, name: str, kind: IpType, location: str, **more: object) -> PrimaryIp:
        """Kept from now on; without a name it gets the one that Hetzner would give it."""
        number = self.all.next_id()
        given = {"name": name or f"primary_ip-{number}", "type": kind, "location": location, **more}
        if kind == "ipv6":
            given["ip"] = ipv6_network(number, upper_half=False)
        return self.all.save(PrimaryIp.model_validate({"id": number, "created": datetime.now(UTC), **given}))

    def update(
        self, address: PrimaryIp, name: str | None, labels: dict[str, str] | None, auto_delete: bool | None
    ) -> PrimaryIp:
        """Change what is given."""
        if auto_delete and address.protected:
            raise invalid_input(("auto_delete", "must be false while the primary IP is protected against deletion"))
        if name is not None and name != address.name:
            self.require_free_name(name)
            address.name = name
        address.labels = address.labels if labels is None else labels
        address.auto_delete = address.auto_delete if auto_delete is None else auto_delete
        return self.all.save(address)

    def delete(self, address: PrimaryIp) -> None:
        """Raises protected, must_be_unassigned, locked."""
        if address.protected:
            raise CloudError("protected", "primary IP deletion is protected")
        self.require_unlocked(address)
        if address.server is not None:
            raise CloudError(
                "must_be_unassigned", f"primary IP is assigned to server {address.server}: unassign it first"
            )
        self.all.remove(address)

    def protect(self, address: PrimaryIp, delete: bool) -> Action:
        """Only where it would not go with its server."""
        if delete and address.auto_delete:
            raise invalid_input(("delete", "the primary IP has auto_delete: set that to false first"))
        address.protected = delete
        self.all.save(address)
        return self.actions.done("change_protection", ("primary_ip", address.id))

    def rename(self, address: PrimaryIp, ip: str, name: str | None, *about: tuple[str, int]) -> Action:
        """Its name in reverse DNS, or that of one address of its network."""
        address.names = named(address, ip, name)
        self.all.save(address)
        return self.actions.done("change_dns_ptr", *(about or [("primary_ip", address.id)]))

    def release(self, server_id: int) -> None:
        """The server is gone."""
        for address in self.all.of(server_id):
            if address.auto_delete:
                self.all.remove(address)
            else:
                address.server = None
                self.all.save(address)

    def require_unlocked(self, address: PrimaryIp) -> None:
        """Raises locked while it is being assigned or unassigned."""
        unlocked(self.actions.running_on("primary_ip", address.id), "primary IP")

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(address.name == name for address in self.all):
            raise not_unique("name", "primary IP name is already used")


def require_usable(address: PrimaryIp, kind: IpType, location: str) -> None:
    """For a server that is to be created with it."""
    if address.type != kind:
        raise CloudError(
            "primary_ip_version_mismatch", f"primary IP {address.id} is of type {address.type}, not {kind}"
        )
    if address.server is not None:
        raise CloudError("primary_ip_assigned", f"primary IP {address.id} is assigned to server {address.server}")
    if address.location != location:
        message = f"primary IP {address.id} is in {address.location}, the server would be in {location}"
        raise CloudError("primary_ip_datacenter_mismatch", message)
