"""What networks, servers and load balancers do to each other. Knows no HTTP."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from sandbox.errors import CloudError, SandboxError
from sandbox.machines import Place, PrivateCard, PrivateNet
from sandbox.resources.actions.models import Action
from sandbox.resources.catalogue.models import Location, location
from sandbox.resources.load_balancers import targets as resolving
from sandbox.resources.load_balancers.models import LoadBalancer, Target, require_new_service, require_new_target
from sandbox.resources.load_balancers.services import Service
from sandbox.resources.networks import ranges
from sandbox.resources.networks.models import Member, Network, Wish
from sandbox.resources.servers.models import Server

if TYPE_CHECKING:
    from sandbox.cloud import Cloud

log = logging.getLogger(__name__)


class Connections:
    """Of one project."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.arranged: list[PrivateNet] = []
        self.tell: Callable[[], None] = lambda: None  # that networks changed
        self.closed = False

    # Servers in networks

    def admit_new(self, network_ids: list[int], place: Location) -> list[tuple[Network, Member]]:
        """A server that is about to be created, with its address in each network. Raises CloudError."""
        networks = [self.cloud.networks.get(number) for number in dict.fromkeys(network_ids)]
        for number, network in enumerate(networks):
            if any(network.range.overlaps(other.range) for other in networks[:number]):
                raise CloudError("networks_overlap", "the networks of a server must not overlap")
        return [(item, self.cloud.networks.admit(item, "server", 0, place.zone, Wish())) for item in networks]

    def join(self, server: Server, admitted: list[tuple[Network, Member]]) -> None:
        """The server has been created."""
        for network, member in admitted:
            member.id = server.id
            self.cloud.networks.attach(network, member)

    def attach_server(self, server: Server, network: Network, wish: Wish) -> Action:
        """Raises CloudError."""
        self.cloud.servers.require_unlocked(server)
        member = self.cloud.networks.admit(network, "server", server.id, location(server.location).zone, wish)
        self.cloud.networks.attach(network, member)
        return self.done("attach_to_network", server, network)

    def detach_server(self, server: Server, network: Network) -> Action:
        """Load balancers that reached it there have lost it as a target."""
        self.cloud.servers.require_unlocked(server)
        member = self.cloud.networks.attached(network, "server", server.id)
        with self.cloud.store.transaction():
            for number in network.ids("load_balancer"):
                self.cloud.load_balancers.forget_private(self.cloud.load_balancers.get(number), server.id)
            self.cloud.networks.detach(network, member)
        return self.done("detach_from_network", server, network)

    def change_aliases(self, server: Server, network: Network, aliases: list[str]) -> Action:
        """Instead of those before."""
        self.cloud.servers.require_unlocked(server)
        member = self.cloud.networks.attached(network, "server", server.id)
        self.cloud.networks.change_aliases(network, member, location(server.location).zone, aliases)
        return self.done("change_alias_ips", server, network)

    def done(self, command: str, server: Server, network: Network) -> Action:
        """An action about both."""
        return self.cloud.actions.done(command, ("server", server.id), ("network", network.id))

    def delete_network(self, network: Network) -> None:
        """Targets that were reached in it are gone, too. Raises protected."""
        with self.cloud.store.transaction():
            self.cloud.networks.delete(network)
            for number in network.ids("load_balancer"):
                self.cloud.load_balancers.forget_private(self.cloud.load_balancers.get(number))

    def forget_server(self, server_id: int) -> None:
        """It is being deleted."""
        self.cloud.load_balancers.forget_server(server_id)
        self.cloud.networks.forget("server", server_id)

    # Load balancers

    def create_load_balancer(
        self, item: LoadBalancer, network: Network | None, services: list[Service], targets: list[Target]
    ) -> Action:
        """Raises CloudError; nothing is made then."""
        cloud, zone = self.cloud, location(item.location).zone
        member = cloud.networks.admit(network, "load_balancer", 0, zone, Wish()) if network else None
        for service in services:
            require_new_service(item, service)
            item.services.append(service)
        if item.public:
            self.require_ports(item.address, [service.listen_port for service in services])
        for target in targets:
            resolving.check_target(cloud, item, network, target)
            require_new_target(item, target)
            item.targets.append(target)
        item.id = cloud.load_balancers.all.next_id()
        with cloud.store.transaction():
            cloud.load_balancers.save(item)
            if network and member:
                member.id = item.id
                cloud.networks.attach(network, member)
        return cloud.actions.done("create_load_balancer", ("load_balancer", item.id))

    def delete_load_balancer(self, item: LoadBalancer) -> Action:
        """Raises protected."""
        with self.cloud.store.transaction():
            self.cloud.load_balancers.delete(item)
            self.cloud.networks.forget("load_balancer", item.id)
        self.cloud.balancer.forget(item.id)
        return self.cloud.actions.done("delete_load_balancer", ("load_balancer", item.id))

    def attach_load_balancer(self, item: LoadBalancer, network: Network, wish: Wish) -> Action:
        """Raises CloudError."""
        member = self.cloud.networks.admit(network, "load_balancer", item.id, location(item.location).zone, wish)
        self.cloud.networks.attach(network, member)
        return self.cloud.load_balancers.done("attach_to_network", item, ("network", network.id))

    def detach_load_balancer(self, item: LoadBalancer, network: Network) -> Action:
        """It loses the targets in there."""
        member = self.cloud.networks.attached(network, "load_balancer", item.id)
        with self.cloud.store.transaction():
            self.cloud.load_balancers.forget_private(item)
            self.cloud.networks.detach(network, member)
        return self.cloud.load_balancers.done("detach_from_network", item, ("network", network.id))

    # What balances

    def place_of(self, server: Server, network: Network | None) -> Place:
        """Where a load balancer reaches a server: in a network, as far as that is real, else publicly."""
        machines, member = self.cloud.machines, network.member("server", server.id) if network else None
        inside = machines.reached_in(network.id, server.id, member.ip) if network and member else None
        return inside or machines.reached_at(server.id, server.address)

    def listening_places(self, item: LoadBalancer, network: Network | None) -> tuple[Place, ...]:
        """Where a load balancer is reached: from the host, and from machines."""
        address, member = (
            item.address if item.public else "",
            network.member("load_balancer", item.id) if network else None,
        )
        inner = self.cloud.machines.inner_places(address, network.id if network else 0, member.ip if member else "")
        return (*((Place(address),) if address else ()), *inner)

    def arrange(self) -> None:
        """Have machines in the networks where they should be by now."""
        nets = self.nets()
        if nets == self.arranged:
            return
        self.arranged = nets
        try:
            self.tell()
        except SandboxError as error:
            log.warning("private networks are not all as they should be: %s", error)

    def nets(self) -> list[PrivateNet]:
        """The project's networks, as machines are told of them."""
        networks = list(self.cloud.networks.all)
        cards = list(self.cards(networks))
        nets = []
        for network in networks:
            routes = tuple((route.destination, route.gateway) for route in network.routes)
            balancers = tuple(member.ip for member in network.members if member.kind == "load_balancer")
            own = tuple(card for owner, card in cards if owner is network)
            gateway = str(ranges.gateway_of(network.range))
            nets.append(PrivateNet(network.id, network.ip_range, gateway, routes, own, balancers))
        return nets

    def cards(self, networks: list[Network]) -> Iterator[tuple[Network, PrivateCard]]:
        """Of all servers; a card keeps its number as long as the server has the networks before it."""
        counted = Counter[int]()
        for network in networks:
            for member in network.members:
                server = self.cloud.servers.records.get(member.id) if member.kind == "server" else None
                if server:
                    aliases = tuple(member.alias_ips)
                    yield network, PrivateCard(server.number, counted[server.id], member.ip, member.mac, aliases)
                    counted[server.id] += 1

    def changed(self) -> None:
        """Balance anew, when the one who asks is done."""
        asyncio.get_running_loop().call_soon(self.balance)

    def require_ports(self, address: str, ports: list[int]) -> None:
        """Raises service_error where one cannot be had, when all is closed that should be by now."""
        self.balance()
        self.cloud.balancer.require_ports(address, ports)

    def balance(self) -> None:
        """Have load balancers do what they should by now."""
        if self.closed:
            return
        self.arrange()
        self.cloud.balancer.follow(resolving.plans(self.cloud))
        self.cloud.balancer.sample([item.id for item in self.cloud.load_balancers.all])

    def close(self) -> None:
        """No more."""
        self.closed = True
        self.cloud.balancer.close()
