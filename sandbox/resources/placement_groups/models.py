"""Placement groups. A group knows its name; which servers are in it, the servers know.

Gap: all machines run on one host, so ``spread`` spreads nothing; its limit of servers holds.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sandbox.errors import CloudError, invalid_input, not_found, not_unique
from sandbox.resources.servers.models import Server, Servers
from sandbox.store import Collection, Record, Store

Kind = Literal["spread"]
SERVERS_MAX = 10
GROUPS_MAX = 50


class PlacementGroup(Record):
    """A group of servers, each on a host of its own."""

    name: str
    type: Kind
    labels: dict[str, str] = {}
    created: datetime


class PlacementGroups:
    """The placement groups of the project."""

    def __init__(self, store: Store, servers: Servers) -> None:
        self.all = Collection(store, "placement_group", PlacementGroup)
        self.servers = servers

    def get(self, group_id: int) -> PlacementGroup:
        """Raises not_found."""
        if group := self.all.get(group_id):
            return group
        raise not_found("placement_group", group_id)

    def members(self, group_id: int) -> list[int]:
        """Ids of its servers."""
        return [server.id for server in self.servers.all if server.placement_group == group_id]

    def create(self, name: str, kind: Kind, labels: dict[str, str]) -> PlacementGroup:
        """Raises uniqueness_error, resource_limit_exceeded."""
        self.require_free_name(name)
        if len(self.all) >= GROUPS_MAX:
            raise CloudError("resource_limit_exceeded", f"placement group limit reached: {GROUPS_MAX}")
        group = PlacementGroup(id=self.all.next_id(), name=name, type=kind, labels=labels, created=datetime.now(UTC))
        return self.all.save(group)

    def update(self, group: PlacementGroup, name: str | None, labels: dict[str, str] | None) -> PlacementGroup:
        """Change what is given."""
        if name is not None and name != group.name:
            self.require_free_name(name)
            group.name = name
        group.labels = group.labels if labels is None else labels
        return self.all.save(group)

    def delete(self, group: PlacementGroup) -> None:
        """Raises resource_in_use while it has servers."""
        if self.members(group.id):
            raise CloudError("resource_in_use", "placement group still has servers: remove them first")
        self.all.remove(group)

    def add(self, group: PlacementGroup, server: Server) -> None:
        """Put a server that is off into it. Raises server_not_stopped, placement_error, invalid_input."""
        self.servers.require_unlocked(server)
        if server.placement_group is not None:
            raise invalid_input(
                ("placement_group", f"the server is in placement group {server.placement_group} already")
            )
        if server.status != "off":
            raise CloudError("server_not_stopped", "server must be off to be added to a placement group")
        self.require_room(group.id)
        self.place(server, group.id)

    def remove(self, server: Server) -> None:
        """Take it out of its group. Raises invalid_input where it is in none."""
        self.servers.require_unlocked(server)
        if server.placement_group is None:
            raise invalid_input(("placement_group", "the server is in no placement group"))
        self.place(server, None)

    def place(self, server: Server, group_id: int | None) -> None:
        """Kept at once."""
        server.placement_group = group_id
        self.servers.records.save(server)

    def require_room(self, group_id: int) -> None:
        """Raises not_found, and placement_error where the group is full."""
        if len(self.members(self.get(group_id).id)) >= SERVERS_MAX:
            raise CloudError("placement_error", f"placement group {group_id} is full: it takes {SERVERS_MAX} servers")

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(group.name == name for group in self.all):
            raise not_unique("name", "placement group name is already used")
