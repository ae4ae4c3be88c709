"""Primary IPs and servers: which has which. A server gets and loses its addresses while it is off."""

from __future__ import annotations

from collections.abc import Callable

from sandbox.errors import CloudError, invalid_input
from sandbox.resources.actions.models import Action, Actions, nothing
from sandbox.resources.addresses import IpType
from sandbox.resources.primary_ips.models import PrimaryIp, PrimaryIps
from sandbox.resources.servers.models import Server, Servers


class Assignment:
    """Assigns and unassigns: what cannot be is refused at once, the rest is done in an action."""

    def __init__(self, primary_ips: PrimaryIps, servers: Servers, actions: Actions) -> None:
        self.primary_ips = primary_ips
        self.servers = servers
        self.actions = actions

    def require_assignable(self, server: Server, kind: IpType, location: str) -> None:
        """The server is off, has no address of this type yet, and is in the location."""
        self.require_off(server)
        if self.primary_ips.of(server.id, kind):
            raise CloudError(f"server_has_{kind}", f"server {server.id} already has an {kind} address")
        if server.location != location:
            message = f"server {server.id} is in {server.location}, the primary IP in {location}"
            raise invalid_input(("assignee_id", message))

    def require_off(self, server: Server) -> None:
        """Raises locked, server_not_stopped."""
        self.servers.require_unlocked(server)
        if server.status != "off":
            raise CloudError("server_not_stopped", f"server {server.id} must be powered off")

    def assign(self, address: PrimaryIp, server: Server) -> Action:
        """To a server that has none of this type."""
        self.primary_ips.require_unlocked(address)
        if address.server is not None:
            message = f"primary IP is already assigned to server {address.server}"
            raise CloudError("primary_ip_already_assigned", message)
        self.require_assignable(server, address.type, address.location)

        def finish() -> None:
            address.server = server.id
            self.primary_ips.all.save(address)
            if address.number is not None:
                self.servers.readdress(server, address.number)

        return self.begin("assign_primary_ip", address, server, finish)

    def unassign(self, address: PrimaryIp) -> Action:
        """A server without IPv4 is still reached from this host, at an address that the API does not name."""
        self.primary_ips.require_unlocked(address)
        if address.server is None:
            raise CloudError("service_error", f"primary IP {address.id} is not assigned")
        server = self.servers.get(address.server)
        self.require_off(server)

        def finish() -> None:
            address.server = None
            self.primary_ips.all.save(address)
            if address.number is not None:
                self.servers.readdress(server, self.servers.free_number())

        return self.begin("unassign_primary_ip", address, server, finish)

    def begin(self, command: str, address: PrimaryIp, server: Server, finish: Callable[[], None]) -> Action:
        """Whatever it changes is on record together with its success."""
        action = self.actions.begin(command, ("server", server.id), ("primary_ip", address.id))
        self.actions.spawn(self.actions.follow(action, nothing, finish))
        return action
