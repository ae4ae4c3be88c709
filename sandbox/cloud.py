"""The emulated cloud: state, actions and machines put together. Knows no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from sandbox.balancer.balancer import Balancer
from sandbox.connections import Connections
from sandbox.errors import CloudError
from sandbox.machines.network import Filter
from sandbox.resources.access.models import Access
from sandbox.resources.actions.models import CALM, Action, Actions, Disturbance
from sandbox.resources.addresses import IpType
from sandbox.resources.backups.models import Backups
from sandbox.resources.certificates.models import Certificates
from sandbox.resources.faults.models import no_capacity
from sandbox.resources.firewalls.filters import filter_of
from sandbox.resources.firewalls.models import Firewalls
from sandbox.resources.floating_ips.models import FloatingIps
from sandbox.resources.images.models import Images
from sandbox.resources.load_balancers.models import LoadBalancers
from sandbox.resources.networks.models import Networks
from sandbox.resources.placement_groups.models import PlacementGroups
from sandbox.resources.primary_ips.assignment import Assignment
from sandbox.resources.primary_ips.models import PrimaryIps
from sandbox.resources.servers.belongings import Belongings
from sandbox.resources.servers.models import NewServer, Servers
from sandbox.resources.ssh_keys.models import SshKeys
from sandbox.resources.volumes.models import Volumes
from sandbox.settings import BOOTED, Speed
from sandbox.shared import Shared


class Cloud:
    """One project of the emulated cloud. ``project`` is its name; the one that `env` leads to has none."""

    def __init__(self, shared: Shared, project: str = "") -> None:
        self.project = project
        self.settings = settings = shared.settings
        self.store = shared.store.of(project)
        self.base_images = shared.base_images
        self.answers = shared.answers
        self.machines = shared.machines
        self.journal = shared.journal
        self.conditions = shared.conditions
        self.faults = shared.faults
        self.actions = Actions(self.store, shared.speed)
        self.actions.disturb = self.disturbance
        self.ssh_keys = SshKeys(self.store)
        self.images = Images(self.store, with_others=settings.kinds.isdisjoint(BOOTED))
        self.firewalls = Firewalls(self.store)
        self.primary_ips = PrimaryIps(self.store, self.actions)
        self.floating_ips = FloatingIps(self.store, self.actions)
        self.volumes = Volumes(self.store, self.actions, self.machines)
        self.certificates = Certificates(self.store, self.actions)
        belongings = Belongings(self.primary_ips, self.floating_ips, self.volumes)
        self.servers = Servers(
            self.store, settings, self.machines, self.actions, self.images, self.firewalls, belongings
        )
        self.assignment = Assignment(self.primary_ips, self.servers, self.actions)
        self.placement_groups = PlacementGroups(self.store, self.servers)
        self.access = Access(self.servers)
        self.backups = Backups(self.servers)

        self.firewalls.changed = self.servers.powered = lambda: shared.changed()
        self.servers.admit = self.admit
        self.servers.drop_backups = self.backups.drop
        self.primary_ips.admit = self.admit_primary_ip
        self.servers.admit_snapshot = self.admit_snapshot
        self.servers.trouble = self.faults.of_boot
        self.connect(shared)

    def connect(self, shared: Shared) -> None:
        """Networks, load balancers, and the addresses that all projects share."""
        self.networks = Networks(self.store, self.actions)
        self.load_balancers = LoadBalancers(self.store, self.actions, self.settings.machine_address)
        self.balancer = Balancer(hurry=lambda: self.actions.speed == Speed.instant)
        self.connections = Connections(self)
        self.networks.changed = self.load_balancers.changed = self.connections.changed
        self.load_balancers.require_ports = self.connections.require_ports
        self.servers.taken = self.load_balancers.taken = lambda: shared.taken()
        self.floating_ips.taken = lambda: shared.taken_floating()
        self.connections.tell = lambda: shared.connected()
        self.servers.has_network = lambda server_id: any(self.networks.of("server", server_id))
        self.servers.forgotten = self.connections.forget_server

    @property
    def numbers(self) -> set[int]:
        """Of the addresses that are this project's."""
        return self.servers.numbers() | self.load_balancers.numbers

    def filters(self) -> dict[int, Filter]:
        """What the firewalls let through to machines, by the number of their address."""
        chosen = {server.number: self.firewalls.about(server.id, server.labels) for server in self.servers.all}
        return {number: filter_of(on, self.settings.ssh_port) for number, on in chosen.items() if on}

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
        self.require_quota("servers", "server", lambda: len(self.servers.all))
        if "ipv4" in new.addresses and new.addresses["ipv4"] is None:
            self.admit_primary_ip("ipv4")
        if new.placement_group is not None:
            self.placement_groups.require_room(new.placement_group)
        self.faults.before_server(location, kind)
        if self.conditions.now.out_of_stock(location, kind):
            raise no_capacity(kind, location)

    def admit_primary_ip(self, kind: IpType) -> None:
        """Quotas count IPv4 alone. Raises CloudError."""
        if kind == "ipv4":
            self.require_quota("primary_ips", "primary IP", lambda: len(self.primary_ips.numbers))

    def admit_snapshot(self) -> None:
        """Raises CloudError."""
        self.require_quota(
            "snapshots", "snapshot", lambda: sum(image.type == "snapshot" for image in self.images.snapshots)
        )

    def require_quota(self, resource: str, name: str, used: Callable[[], int]) -> None:
        """Raises resource_limit_exceeded where one more would be too many."""
        quota = getattr(self.conditions.now.quotas, resource)
        if self.faults.reached(resource) or (quota is not None and used() >= quota):
            raise CloudError("resource_limit_exceeded", f"{name} limit reached")

    def in_stock(self, location: str, server_type: str) -> bool:
        """Whether such a server could be had now, as far as anyone can tell."""
        gone = self.conditions.now.out_of_stock(location, server_type)
        return not gone and not self.faults.sold_out(location, server_type)

    async def open(self) -> None:
        """Take up what an earlier process left."""
        self.volumes.recover()
        self.certificates.recover()
        await self.servers.recover()

    async def wipe(self) -> None:
        """An empty project, at once: no action ends its work, no machine shuts down."""
        await self.actions.close()
        servers = list(self.servers.records)
        await asyncio.gather(*(self.machines.power_off(server.id) for server in servers))
        for server in servers:
            self.servers.forget(server)
        for image in self.images.snapshots:
            self.servers.forget_image(image)
        for volume in self.volumes.all:
            self.volumes.forget(volume)
        for kept in (
            self.primary_ips,
            self.floating_ips,
            self.certificates,
            self.ssh_keys,
            self.firewalls,
            self.networks,
            self.load_balancers,
            self.placement_groups,
        ):
            kept.all.clear()
        self.actions.clear()
        self.connections.balance()

    async def close(self, grace: float) -> None:
        """Stop everything, so that ``open`` can take it up again; machines have ``grace`` seconds to shut down."""
        self.connections.close()
        await self.actions.close()
        await self.servers.stop_all(grace)
