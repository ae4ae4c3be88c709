"""Volumes: their rules, and how API actions plug them into machines.

Gap: only machines with a kernel of their own have them as disks. Nothing mounts one (``automount``).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sandbox.errors import CloudError, invalid_input, not_found, not_unique
from sandbox.machines import Machines, VolumeDisk
from sandbox.resources.actions.models import Action, Actions, Report, nothing, unlocked
from sandbox.resources.owned import Belonging, Owned
from sandbox.store import Store

Format = Literal["ext4", "xfs"]
SIZE_MIN, SIZE_MAX = 10, 10240
PER_SERVER = 16
"""As many as Hetzner attaches to one server."""


class Volume(Belonging):
    """One volume; sizes in GB."""

    name: str
    size: int
    format: Format | None = None
    location: str
    status: Literal["creating", "available"] = "creating"
    protected: bool = False
    labels: dict[str, str] = {}
    created: datetime


class Volumes:
    """The volumes of the project."""

    def __init__(self, store: Store, actions: Actions, machines: Machines) -> None:
        self.all = Owned(store, "volume", Volume)
        self.actions = actions
        self.machines = machines

    def get(self, volume_id: int) -> Volume:
        """Raises not_found."""
        if volume := self.all.get(volume_id):
            return volume
        raise not_found("volume", volume_id)

    def disks(self, server_id: int) -> tuple[VolumeDisk, ...]:
        """What the machine of a server boots with, beside its own disk."""
        return tuple(disk_of(volume) for volume in self.all.of(server_id))

    # Create and delete

    def create(self, name: str, size: int, file_system: Format | None, location: str, labels: dict[str, str]) -> Volume:
        """The record; `begin_creation` makes it available. Raises uniqueness_error, invalid_input."""
        self.require_free_name(name)
        require_size(size)
        volume = Volume(
            id=self.all.next_id(),
            name=name,
            size=size,
            format=file_system,
            location=location,
            labels=labels,
            created=datetime.now(UTC),
        )
        return self.all.save(volume)

    def begin_creation(self, volume: Volume, server_id: int | None) -> tuple[Action, list[Action]]:
        """Its action, and the one that attaches it to a server."""
        servers = [("server", server_id)] if server_id is not None else []
        created = self.actions.begin("create_volume", *servers, ("volume", volume.id))
        attached = self.begin_attaching(volume, server_id) if server_id is not None else None
        self.actions.spawn(self.bring_up(volume, created, attached, server_id or 0))
        return created, [attached] if attached else []

    async def bring_up(self, volume: Volume, created: Action, attached: Action | None, server_id: int) -> None:
        """A volume that could not be made does not stay."""

        def finish() -> None:
            volume.status = "available"
            self.all.save(volume)

        if not await self.actions.follow(created, nothing, finish):
            if attached:
                self.actions.end(attached, created.error)
            self.all.remove(volume)
        elif attached:
            await self.plug(attached, volume, server_id)

    def delete(self, volume: Volume) -> None:
        """Raises protected, locked, service_error."""
        if volume.protected:
            raise CloudError("protected", "volume deletion is protected")
        self.require_unlocked(volume)
        if volume.server is not None:
            raise CloudError("service_error", f"volume with ID '{volume.id}' is still attached to a server")
        self.forget(volume)

    def forget(self, volume: Volume) -> None:
        """Record and data."""
        self.all.remove(volume)
        self.machines.delete_volume(volume.id)

    def recover(self) -> None:
        """After a kill: forget what was half made."""
        for volume in self.all:
            if volume.status == "creating":
                self.all.remove(volume)

    # Servers

    def require_attachable(self, volume: Volume, location: str) -> None:
        """Raises locked, volume_already_attached, invalid_input."""
        self.require_unlocked(volume)
        if volume.server is not None:
            raise CloudError("volume_already_attached", f"volume is already attached to server {volume.server}")
        if volume.location != location:
            message = f"volume {volume.id} is in {volume.location}, the server in {location}"
            raise invalid_input(("server", message))

    def require_room(self, server_id: int, more: int = 1) -> None:
        """Raises resource_limit_exceeded."""
        if len(self.all.of(server_id)) + more > PER_SERVER:
            raise CloudError("resource_limit_exceeded", f"a server can have at most {PER_SERVER} volumes")

    def attach(self, volume: Volume, server_id: int, location: str) -> Action:
        """To a server of the same location."""
        self.require_attachable(volume, location)
        self.require_room(server_id)
        action = self.begin_attaching(volume, server_id)
        self.actions.spawn(self.plug(action, volume, server_id))
        return action

    def begin_attaching(self, volume: Volume, server_id: int) -> Action:
        """Until it ends, both are locked."""
        return self.actions.begin("attach_volume", ("server", server_id), ("volume", volume.id))

    async def plug(self, action: Action, volume: Volume, server_id: int) -> None:
        """Into a machine that runs; one that is off finds it when it boots."""

        async def work(_report: Report) -> None:
            if self.machines.running(server_id):
                await self.machines.attach_volume(server_id, disk_of(volume))

        def finish() -> None:
            volume.server = server_id
            self.all.save(volume)

        await self.actions.follow(action, work, finish)

    def detach(self, volume: Volume) -> Action:
        """From the server that has it."""
        self.require_unlocked(volume)
        server_id = volume.server
        if server_id is None:
            raise CloudError("service_error", f"volume with ID '{volume.id}' is not attached to a server")

        async def work(_report: Report) -> None:
            if self.machines.running(server_id):
                await self.machines.detach_volume(server_id, volume.id)

        def finish() -> None:
            volume.server = None
            self.all.save(volume)

        action = self.actions.begin("detach_volume", ("server", server_id), ("volume", volume.id))
        self.actions.spawn(self.actions.follow(action, work, finish))
        return action

    def release(self, server_id: int) -> None:
        """The server is gone."""
        for volume in self.all.of(server_id):
            volume.server = None
            self.all.save(volume)

    # Others

    def resize(self, volume: Volume, size: int) -> Action:
        """It only grows. Raises locked, invalid_input."""
        self.require_unlocked(volume)
        require_size(size)
        if size <= volume.size:
            raise invalid_input(("size", f"must be greater than the current size of {volume.size} GB"))
        grown = volume.model_copy(update={"size": size})

        async def work(_report: Report) -> None:
            await self.machines.resize_volume(disk_of(grown), volume.server)

        def finish() -> None:
            volume.size = size
            self.all.save(volume)

        action = self.actions.begin("resize_volume", ("volume", volume.id))
        self.actions.spawn(self.actions.follow(action, work, finish))
        return action

    def protect(self, volume: Volume, delete: bool | None) -> Action:
        """Set or clear the protection against deletion."""
        volume.protected = volume.protected if delete is None else delete
        self.all.save(volume)
        return self.actions.done("change_protection", ("volume", volume.id))

    def update(self, volume: Volume, name: str | None, labels: dict[str, str] | None) -> Volume:
        """Change what is given."""
        if name is not None and name != volume.name:
            self.require_free_name(name)
            volume.name = name
        volume.labels = volume.labels if labels is None else labels
        return self.all.save(volume)

    def require_unlocked(self, volume: Volume) -> None:
        """Raises locked while an action runs on it."""
        unlocked(self.actions.running_on("volume", volume.id), "volume")

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(volume.name == name for volume in self.all):
            raise not_unique("name", "volume name is already used")


def require_size(size: int) -> None:
    """Raises invalid_input."""
    if not SIZE_MIN <= size <= SIZE_MAX:
        raise invalid_input(("size", f"must be between {SIZE_MIN} and {SIZE_MAX} GB"))


def disk_of(volume: Volume) -> VolumeDisk:
    """As machines know it."""
    return VolumeDisk(volume.id, volume.size, volume.format or "")
