"""Servers: their rules, and how API actions drive the machines behind them.

Gap: a server has a public IPv4 address of the loopback range, where its sshd listens on the sandbox's SSH port, not 22.
"""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from pydantic import BaseModel

from sandbox.errors import CloudError, SandboxError, not_found, not_unique
from sandbox.machines import Boot, Machines, RescueSystem
from sandbox.resources.actions.models import Action, Actions, Report, unlocked
from sandbox.resources.catalogue.models import Location, ServerType, server_type
from sandbox.resources.faults.models import Trouble
from sandbox.resources.firewalls.models import Firewalls
from sandbox.resources.images.models import CreatedFrom, Image, Images, require_deletable
from sandbox.resources.servers.belongings import IP_TYPES, Addresses, Belongings
from sandbox.resources.volumes.models import Volume
from sandbox.settings import Settings
from sandbox.store import Collection, Record, Store

Status = Literal["initializing", "starting", "running", "stopping", "off", "rebuilding", "deleting"]


class Rescue(BaseModel):
    """The rescue system that the next boot is to be one of, unless that is after ``until``."""

    until: datetime
    public_keys: list[str]
    root_password: str


class Server(Record):
    """One server. ``number`` is the last part of its address; references by name are to data that never changes."""

    name: str
    status: Status = "initializing"
    server_type: str
    location: str
    image: Image  # as it was then: it may have been deleted since
    disk: int
    number: int
    address: str
    public_keys: list[str] = []
    root_password: str | None = None
    user_data: str = ""
    labels: dict[str, str] = {}
    ipv4: bool = False  # only in a state from before there were primary IPs, as ipv6: see `recover_addresses`
    ipv6: bool = False
    protected: bool = False
    placement_group: int | None = None
    rescue: Rescue | None = None
    backup_window: str | None = None
    iso: int | None = None
    created: datetime
    resume: bool = False  # it ran when the sandbox was stopped, so it boots at the next start

    @property
    def rescue_enabled(self) -> bool:
        """Whether the next boot is one of the rescue system."""
        return self.rescue is not None and datetime.now(UTC) < self.rescue.until


@dataclass(frozen=True)
class NewServer:
    """What is asked for, every reference resolved."""

    name: str
    type: ServerType
    location: Location
    image: Image
    public_keys: tuple[str, ...] = ()
    user_data: str = ""
    labels: dict[str, str] | None = None
    start: bool = True
    addresses: Addresses = field(default_factory=lambda: dict.fromkeys(IP_TYPES))
    volumes: tuple[Volume, ...] = ()
    placement_group: int | None = None


class Servers:
    """The servers of the project and what can be done to them."""

    def __init__(  # noqa: PLR0913 - what a server hangs on
        self,
        store: Store,
        settings: Settings,
        machines: Machines,
        actions: Actions,
        images: Images,
        firewalls: Firewalls,
        belongings: Belongings,
    ) -> None:
        self.records = Collection(store, "server", Server)
        self.settings = settings
        self.machines = machines
        self.actions = actions
        self.images = images
        self.firewalls = firewalls
        self.belongings = belongings
        self.admit: Callable[[NewServer], None] = lambda _new: None  # may raise CloudError: no capacity, a quota
        self.admit_snapshot: Callable[[], None] = lambda: None
        self.powered: Callable[[], None] = lambda: None
        self.forgotten: Callable[[int], None] = lambda _server: None
        self.has_network: Callable[[int], bool] = lambda _server: False
        self.drop_backups: Callable[[Server], None] = lambda _server: None
        self.trouble: Callable[[str], Trouble] = lambda _name: Trouble()
        self.taken: Callable[[], set[int]] = self.numbers  # of all projects: their machines share the addresses
        belongings.primary_ips.new_ipv4 = self.new_ipv4

    @property
    def all(self) -> list[Server]:
        """Those the project has: one that is being deleted is gone for clients at once."""
        return [server for server in self.records if server.status != "deleting"]

    def get(self, server_id: int) -> Server:
        """Raises not_found."""
        server = self.records.get(server_id)
        if server is None or server.status == "deleting":
            raise not_found("server", server_id)
        return server

    def locked(self, server: Server) -> bool:
        """Whether an action runs on it."""
        return bool(self.actions.running_on("server", server.id))

    # Create and delete

    def create(self, new: NewServer) -> tuple[Server, Action, list[Action]]:
        """The server and its action, and the actions that follow."""
        self.require_free_name(new.name)
        self.require_usable(new)
        self.admit(new)
        with self.records.store.transaction():
            server = self.records.save(self.new_record(new))
            self.belongings.supply(server.id, server.location, new.addresses, server.number, server.address)
        created = self.actions.begin("create_server", ("server", server.id))
        attaching = [self.belongings.volumes.begin_attaching(volume, server.id) for volume in new.volumes]
        start = self.actions.begin("start_server", ("server", server.id)) if new.start else None
        self.actions.spawn(self.bring_up(server, new, created, attaching, start))
        return server, created, [*([start] if start else []), *attaching]

    def new_record(self, new: NewServer) -> Server:
        """The record, with an address nobody uses."""
        given = new.addresses.get("ipv4")
        number = given.number if given and given.number is not None else self.free_number()
        return Server(
            id=self.records.next_id(),
            name=new.name,
            server_type=new.type.name,
            location=new.location.name,
            image=new.image,
            disk=new.type.disk,
            number=number,
            address=self.settings.machine_address(number),
            public_keys=list(new.public_keys),
            root_password=None if new.public_keys else secrets.token_urlsafe(15),
            user_data=new.user_data,
            labels=new.labels or {},
            placement_group=new.placement_group,
            created=datetime.now(UTC),
        )

    def numbers(self) -> set[int]:
        """Of the addresses that are taken, by servers or by primary IPs without one."""
        return {server.number for server in self.records} | self.belongings.primary_ips.numbers

    def free_number(self) -> int:
        """The lowest that nobody has and where nothing listens."""
        taken, limit = self.taken(), self.settings.address_limit
        for number in range(1, limit + 1):
            if number not in taken and self.machines.address_free(self.settings.machine_address(number)):
                return number
        if len(taken) >= limit:
            raise CloudError("resource_limit_exceeded", "server limit reached: every address has its server")
        port = self.settings.ssh_port
        message = (
            f"port {port} of every free address is taken by another program of this host (ss -ltnp 'sport = :{port}')"
        )
        raise CloudError("service_error", f"{message}; end it, or start the sandbox with another --ssh-port")

    def new_ipv4(self) -> tuple[int, str]:
        """The number and address of a machine that nobody has."""
        number = self.free_number()
        return number, self.settings.machine_address(number)

    def readdress(self, server: Server, number: int) -> None:
        """The machine has another address when it boots next."""
        server.number, server.address = number, self.settings.machine_address(number)
        self.records.save(server)

    def require_interface(self, server_id: int) -> None:
        """A server without any network interface cannot be powered on."""
        if not self.belongings.primary_ips.all.of(server_id) and not self.has_network(server_id):
            raise CloudError("service_error", "the server has no network interface: assign a primary IP or a network")

    def require_usable(self, new: NewServer) -> None:
        """Type, place, image, addresses and volumes must fit each other and this host."""
        self.belongings.require_usable(new.location.name, new.addresses, new.volumes)
        deprecation = new.type.deprecation_in(new.location.name)
        if deprecation and deprecation.unavailable_after < datetime.now(UTC):
            raise CloudError("invalid_input", f"server type {new.type.name} is deprecated and unavailable")
        if new.location.name not in new.type.locations:
            message = f"unsupported location for server type: {new.type.name} in {new.location.name}"
            raise CloudError("invalid_input", message)
        self.require_bootable(new.image, new.type)
        if not self.machines.can_boot(new.type.architecture):
            message = f"this host cannot boot {new.type.name}: {new.type.architecture} is not its architecture"
            raise CloudError("resource_unavailable", message)

    def require_bootable(self, image: Image, server_type: ServerType) -> None:
        """The image is complete and of the type's architecture, and fits the disk."""
        if image.architecture != server_type.architecture:
            message = f"image architecture {image.architecture} does not match that of server type {server_type.name}"
            raise CloudError("invalid_input", message)
        if image.status != "available":
            raise CloudError("unavailable", f"image {image.id} is not available yet")
        if image.disk_size > server_type.disk:
            raise CloudError("invalid_input", f"image disk is bigger than server type disk ({server_type.disk} GB)")

    async def bring_up(
        self, server: Server, new: NewServer, created: Action, attaching: list[Action], start: Action | None
    ) -> None:
        """Disk, volumes, then power. A server that could not be made does not stay."""
        image = new.image

        async def make(report: Report) -> None:
            await self.make_disk(server, image, report)

        async def power(_report: Report) -> None:
            await self.power_on(server)

        pace = "create_server from a snapshot" if image.type == "snapshot" else "create_server"
        if not await self.actions.follow(created, make, pace=pace):
            for following in [*attaching, *([start] if start else [])]:
                self.actions.end(following, created.error)
            self.forget(server)
            return
        for action, volume in zip(attaching, new.volumes, strict=True):
            await self.belongings.volumes.plug(action, volume, server.id)
        self.set_status(server, "starting" if start else "off")
        if start and not await self.actions.follow(start, power):
            self.set_status(server, "off")

    async def make_disk(self, server: Server, image: Image, report: Report) -> None:
        """From a base image or a snapshot."""
        if image.type == "system":
            name, architecture = str(image.name), image.architecture
            await self.machines.install(server.id, name, architecture, lambda percent, _doing: report(percent))
        else:
            await self.machines.restore(server.id, image.id)

    def delete(self, server: Server) -> Action:
        """Gone for clients at once; the action ends when nothing of it runs and its files are out of the way."""
        if server.protected:
            raise CloudError("protected", "server deletion is protected")
        self.require_unlocked(server)
        self.set_status(server, "deleting")
        action = self.actions.begin("delete_server", ("server", server.id))
        self.actions.spawn(self.remove(server, action))
        return action

    async def remove(self, server: Server, action: Action) -> None:
        """A server that could not be deleted comes back into sight."""

        async def work(_report: Report) -> None:
            await self.machines.power_off(server.id)
            self.forget(server)

        if not await self.actions.follow(action, work):
            self.set_status(server, "running" if self.machines.running(server.id) else "off")

    def forget(self, server: Server) -> None:
        """Record and disk."""
        self.machines.delete_disk(server.id)
        self.firewalls.forget_server(server.id)
        self.belongings.release(server.id)
        self.forgotten(server.id)
        self.drop_backups(server)
        self.records.remove(server)

    # Power

    def power_on_action(self, server: Server) -> Action:
        """``poweron``: no error when it runs already."""
        self.require_unlocked(server)
        self.require_interface(server.id)

        async def work(_report: Report) -> None:
            if not self.machines.running(server.id):
                await self.power_on(server)

        return self.actions.run("start_server", work, ("server", server.id))

    def power_off_action(self, server: Server) -> Action:
        """``poweroff``: cuts the power."""
        self.require_unlocked(server)

        async def work(_report: Report) -> None:
            await self.power_off(server)

        return self.actions.run("stop_server", work, ("server", server.id))

    def shutdown_action(self, server: Server) -> Action:
        """``shutdown``: the action succeeds when the request was sent; the server is off when it is off."""
        self.require_unlocked(server)
        self.machines.shut_down(server.id)
        return self.actions.done("shutdown_server", ("server", server.id))

    def reboot_action(self, server: Server) -> Action:
        """``reboot``: as with shutdown, the action succeeds when the request was sent."""
        self.require_unlocked(server)
        if server.rescue_enabled:
            return self.restart(server, "reboot_server")
        self.machines.reboot(server.id)
        return self.actions.done("reboot_server", ("server", server.id))

    def reset_action(self, server: Server) -> Action:
        """``reset``: cuts the power and boots."""
        self.require_unlocked(server)
        return self.restart(server, "reset_server")

    def restart(self, server: Server, command: str) -> Action:
        """Cut the power and boot."""

        async def work(_report: Report) -> None:
            await self.power_off(server)
            await self.power_on(server)

        return self.actions.run(command, work, ("server", server.id))

    async def power_on(self, server: Server) -> None:
        """Boot and say so. A rescue system is for one boot."""
        boot = self.boot_of(server, self.trouble(server.name))
        server.rescue = None
        self.set_status(server, "starting")
        try:
            await self.machines.power_on(boot)
        except BaseException:
            self.set_status(server, "off")
            raise
        self.powered()
        # It may have ended already, unnoticed as long as it counted as starting.
        self.set_status(server, "running" if self.machines.running(server.id) else "off")

    async def power_off(self, server: Server) -> None:
        """Off, whatever it takes."""
        self.set_status(server, "stopping")
        await self.machines.power_off(server.id)
        self.set_status(server, "off")

    def boot_of(self, server: Server, trouble: Trouble) -> Boot:
        """What the machine is told."""
        kind = server_type(server.server_type)
        return Boot(
            machine=server.id,
            name=server.name,
            address=server.address,
            public_keys=tuple(server.public_keys),
            user_data=server.user_data,
            root_password=server.root_password,
            architecture=kind.architecture,
            cores=kind.cores,
            memory=kind.memory,
            disk=server.disk,
            volumes=self.belongings.volumes.disks(server.id),
            rescue=rescue_of(server),
            delay=trouble.delay,
            disk_full=trouble.disk_full,
        )

    def machine_ended(self, server_id: int) -> None:
        """The machine went off by itself (or by us: then the status says so already)."""
        server = self.records.get(server_id)
        if server and server.status == "running":
            self.set_status(server, "off")

    # Others

    def create_image(
        self, server: Server, description: str | None, labels: dict[str, str], *, backup: bool = False
    ) -> tuple[Action, Image]:
        """A snapshot or backup, also of a running server; consistent only when it is off, as at Hetzner."""
        self.require_unlocked(server)
        if not backup:
            self.admit_snapshot()
        origin = CreatedFrom(id=server.id, name=server.name)
        image = self.images.begin_snapshot(server.image, origin, description or server.name, labels, server.disk)
        if backup:
            self.images.bind(image, server.id)
        action = self.actions.begin("create_image", ("server", server.id), ("image", image.id))
        self.actions.spawn(self.capture(server, image, action))
        return action, image

    async def capture(self, server: Server, image: Image, action: Action) -> None:
        """An image that could not be made does not stay."""
        used = 0

        async def work(_report: Report) -> None:
            nonlocal used
            used = await self.machines.capture(server.id, image.id)

        if not await self.actions.follow(action, work, lambda: self.images.finish_snapshot(image, used)):
            self.forget_image(image)

    def delete_image(self, image: Image) -> None:
        """Raises locked while a server is being made from it."""
        require_deletable(image)
        copying = [server.image.id for server in self.records if server.status in ("initializing", "rebuilding")]
        if image.id in copying:
            raise CloudError("locked", "image is in use: a server is being created from it")
        self.forget_image(image)

    def forget_image(self, image: Image) -> None:
        """First the record: what is listed must be whole."""
        self.images.snapshots.remove(image)
        self.machines.delete_snapshot(image.id)

    def rebuild(self, server: Server, image: Image, server_type: ServerType, user_data: str | None) -> Action:
        """Replace the disk, keep the rest."""
        if server.protected:
            raise CloudError("protected", "server rebuild is protected")
        self.require_unlocked(server)
        self.require_bootable(image, server_type)

        async def work(report: Report) -> None:
            await self.power_off(server)
            self.set_status(server, "rebuilding")
            server.image = image
            server.user_data = server.user_data if user_data is None else user_data
            try:
                await self.make_disk(server, image, report)
            finally:
                self.set_status(server, "off")
            await self.power_on(server)

        return self.actions.run("rebuild_server", work, ("server", server.id), ("image", image.id))

    def change_type(self, server: Server, server_type: ServerType, architecture: str, upgrade_disk: bool) -> Action:
        """Only while off; the disk may grow, never shrink. The server starts again."""
        self.require_unlocked(server)
        if server.status != "off":
            raise CloudError("server_not_stopped", "server must be off to change its type")
        if server_type.architecture != architecture:
            raise CloudError("invalid_server_type", "the server type has another architecture")
        if server_type.disk < server.disk:
            raise CloudError("invalid_server_type", "the server type has a smaller disk")
        if server.location not in server_type.locations or server_type.deprecation_in(server.location):
            raise CloudError("invalid_server_type", f"the server type is deprecated or not sold in {server.location}")

        async def work(_report: Report) -> None:
            server.server_type = server_type.name
            server.disk = server_type.disk if upgrade_disk else server.disk
            self.records.save(server)
            await self.power_on(server)

        return self.actions.run("change_server_type", work, ("server", server.id))

    def protect(self, server: Server, delete: bool | None) -> Action:
        """Set or clear the protection against deletion (and rebuild: the API requires both to be the same)."""
        self.require_unlocked(server)
        server.protected = server.protected if delete is None else delete
        self.records.save(server)
        return self.actions.done("change_protection", ("server", server.id))

    def update(self, server: Server, name: str | None, labels: dict[str, str] | None) -> Server:
        """Change what is given."""
        if name is not None and name != server.name:
            self.require_free_name(name)
            server.name = name
        server.labels = server.labels if labels is None else labels
        self.records.save(server)
        self.firewalls.changed()
        return server

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(server.name == name for server in self.all):
            raise not_unique("name", "server name is already used")

    def require_unlocked(self, server: Server) -> None:
        """Raises locked while an action runs on it."""
        unlocked(self.actions.running_on("server", server.id), "server")

    def set_status(self, server: Server, status: Status) -> None:
        """Kept at once."""
        server.status = status
        self.records.save(server)

    # After a restart of the sandbox

    def drop_half_made_images(self) -> None:
        """Those that were being made when the sandbox was killed."""
        for image in self.images.snapshots:
            if image.status == "creating":
                self.forget_image(image)

    async def recover(self) -> None:
        """Bring records and machines together again, whatever was interrupted."""
        for server in self.records:
            self.recover_addresses(server)
            with contextlib.suppress(SandboxError, CloudError):
                await self.recover_server(server)

    def recover_addresses(self, server: Server) -> None:
        """Make the primary IPs of a server from before there were any."""
        if kinds := [kind for kind in IP_TYPES if getattr(server, kind)]:
            server.ipv4 = server.ipv6 = False
            with self.records.store.transaction():
                self.belongings.supply(server.id, server.location, dict.fromkeys(kinds), server.number, server.address)
                self.records.save(server)

    async def recover_server(self, server: Server) -> None:
        """Half made: forget. Half deleted: finish. Should run: adopt its machine, or boot it unless it went off by itself."""
        if server.status in ("initializing", "deleting"):
            gone = [action for action in self.actions.of("server", server.id) if action.command == "delete_server"]
            await self.machines.power_off(server.id)
            self.forget(server)
            for action in gone[-1:]:
                self.actions.end(action)
            return
        if self.machines.running(server.id):
            self.set_status(server, "running")
        elif server.resume or (server.status != "off" and not self.machines.ended_by_itself(server.id)):
            await self.power_on(server)
        else:
            self.set_status(server, "off")
        server.resume = False
        self.records.save(server)

    async def stop_all(self, grace: float) -> None:
        """The sandbox stops: ask every machine to shut down, cut the power after ``grace`` seconds; remember who ran."""
        running = [server for server in self.records if self.machines.running(server.id)]
        for server in running:
            server.resume = True
            self.records.save(server)
            self.machines.shut_down(server.id)
        until = time.monotonic() + grace
        while any(self.machines.running(server.id) for server in running) and time.monotonic() < until:
            await asyncio.sleep(0.05)
        await asyncio.gather(*(self.machines.power_off(server.id) for server in running))


def rescue_of(server: Server) -> RescueSystem | None:
    """What the next boot is one of, if not of the disk."""
    if server.rescue is None or not server.rescue_enabled:
        return None
    return RescueSystem(tuple(server.rescue.public_keys), server.rescue.root_password)
