"""The emulated cloud: state, actions and machines put together. Knows no HTTP."""

from __future__ import annotations

import asyncio

from sandbox.errors import CloudError
from sandbox.journal import Journal
from sandbox.machines import Machines
from sandbox.machines.base_images import BaseImages
from sandbox.machines.hosted import HostedMachines
from sandbox.machines.instant import InstantMachines
from sandbox.machines.light import LightMachines
from sandbox.machines.mixed import MixedMachines
from sandbox.machines.nspawn import NspawnMachines
from sandbox.machines.vm import VmMachines
from sandbox.resources.access.models import Access
from sandbox.resources.actions.models import CALM, Action, Actions, Disturbance
from sandbox.resources.answers import Answers
from sandbox.resources.backups.models import Backups
from sandbox.resources.conditions import ConditionsStore
from sandbox.resources.faults.models import Faults, no_capacity
from sandbox.resources.firewalls.filters import filter_of
from sandbox.resources.firewalls.models import Firewalls
from sandbox.resources.images.models import Images
from sandbox.resources.labels import matches
from sandbox.resources.placement_groups.models import PlacementGroups
from sandbox.resources.servers.models import NewServer, Servers
from sandbox.resources.ssh_keys.models import SshKeys
from sandbox.settings import BOOTED, Home, MachineKind, Settings, cache_root
from sandbox.store import Store

SHUTDOWN_SECONDS = 8.0
HOSTED: dict[MachineKind, type[HostedMachines]] = {
    MachineKind.vm: VmMachines,
    MachineKind.real: NspawnMachines,
    MachineKind.light: LightMachines,
}


class Cloud:
    """One project of the emulated cloud."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(home.state)
        self.base_images = BaseImages(cache_root() / "base-images")
        self.answers = Answers(self.store)
        self.machines = self.make_machines(home)
        self.journal = Journal(self.store)
        self.conditions = ConditionsStore(self.store, settings.conditions)
        self.faults = Faults(self.store)
        self.actions = Actions(self.store, settings.speed)
        self.actions.disturb = self.disturbance
        self.ssh_keys = SshKeys(self.store)
        self.images = Images(self.store, with_others=settings.kinds.isdisjoint(BOOTED))
        self.firewalls = Firewalls(self.store)
        self.servers = Servers(self.store, settings, self.machines, self.actions, self.images, self.firewalls)
        self.placement_groups = PlacementGroups(self.store, self.servers)
        self.access = Access(self.servers)
        self.backups = Backups(self.servers)

        self.firewalls.changed = self.servers.powered = self.filter
        self.servers.admit = self.admit
        self.servers.drop_backups = self.backups.drop
        self.servers.admit_snapshot = self.admit_snapshot
        self.servers.trouble = self.faults.of_boot

    def make_machines(self, home: Home) -> Machines:
        """As settings say."""
        if self.settings.machines == MachineKind.none:
            return InstantMachines()
        if self.settings.machines == MachineKind.instant:
            from sandbox.machines.scripted import ScriptedMachines  # noqa: PLC0415 - slow to load

            return ScriptedMachines(self.settings.ssh_port, self.answers.to)
        return self.hosted_machines(home)

    def hosted_machines(self, home: Home) -> Machines:
        """Processes of this host: all of one kind, or some with a kernel of their own beside the others."""
        first, settings = HOSTED[self.settings.machines](home, self.settings, self.base_images), self.settings
        if isinstance(first, VmMachines) or settings.kinds == {settings.machines}:
            return first
        vms = VmMachines(home, settings, self.base_images)
        of_snapshots = settings.from_snapshot == MachineKind.vm
        return MixedMachines(first, vms, self.wants_kernel, from_snapshot=of_snapshots)

    def wants_kernel(self, server_id: int) -> bool:
        """Whether a server is one of those that get a kernel of their own by their labels."""
        server = self.servers.records.get(server_id)
        return bool(server and self.settings.vm_for and matches(self.settings.vm_for, server.labels))

    def filter(self) -> None:
        """Have the machines' network do what the firewalls say."""
        chosen = {server.number: self.firewalls.about(server.id, server.labels) for server in self.servers.all}
        self.machines.filter({number: filter_of(on, self.settings.ssh_port) for number, on in chosen.items() if on})

    # Faults and conditions

    def disturbance(self, action: Action) -> Disturbance:
        """What disturbs an action that starts: faults are told which server it is about. Not the making of a base image."""
        if not action.resources:
            return CALM
        ids = [item.id for item in action.resources if item.type == "server"]
        server = self.servers.records.get(ids[0]) if ids else None
        if server is None:
            return self.faults.of_action(action.command, "", "", "")
        return self.faults.of_action(action.command, server.name, server.location, server.server_type)

    def admit(self, new: NewServer) -> None:
        """Capacity and quotas of a new server. Raises CloudError."""
        location, kind = new.location.name, new.type.name
        servers = self.servers.all
        self.require_quota("servers", "server", len(servers))
        if new.ipv4:
            self.require_quota("primary_ips", "primary IP", sum(server.ipv4 for server in servers))
        if new.placement_group is not None:
            self.placement_groups.require_room(new.placement_group)
        self.faults.before_server(location, kind)
        if self.conditions.now.out_of_stock(location, kind):
            raise no_capacity(kind, location)

    def admit_snapshot(self) -> None:
        """Raises CloudError."""
        self.require_quota("snapshots", "snapshot", sum(image.type == "snapshot" for image in self.images.snapshots))

    def require_quota(self, resource: str, name: str, used: int) -> None:
        """Raises resource_limit_exceeded where one more would be too many."""
        quota = getattr(self.conditions.now.quotas, resource)
        if self.faults.reached(resource) or (quota is not None and used >= quota):
            raise CloudError("resource_limit_exceeded", f"{name} limit reached")

    def in_stock(self, location: str, server_type: str) -> bool:
        """Whether such a server could be had now, as far as anyone can tell."""
        gone = self.conditions.now.out_of_stock(location, server_type)
        return not gone and not self.faults.sold_out(location, server_type)

    async def open(self) -> None:
        """Take up what an earlier process left."""
        self.actions.interrupt()
        await self.servers.recover()

    async def wipe(self) -> None:
        """An empty project, at once: no action ends its work, no machine shuts down, no fault interferes."""
        await self.actions.close()
        self.faults.clear()
        servers = list(self.servers.records)
        await asyncio.gather(*(self.machines.power_off(server.id) for server in servers))
        for server in servers:
            self.servers.forget(server)
        for image in self.images.snapshots:
            self.servers.forget_image(image)
        for collection in (self.ssh_keys.all, self.firewalls.all, self.placement_groups.all, self.actions.all):
            collection.clear()
        self.answers.clear()
        self.conditions.reset()
        self.journal.clear()

    async def close(self, grace: float = SHUTDOWN_SECONDS) -> None:
        """Stop everything, so that ``open`` can take it up again; machines have ``grace`` seconds to shut down."""
        await self.actions.close()
        self.machines.ended = lambda _machine: None  # the records keep who ran
        await self.servers.stop_all(grace)
        await self.machines.close()
        self.store.close()
