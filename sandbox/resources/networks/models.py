"""Private networks: ranges, subnets, routes, and who has which address in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from ipaddress import IPv4Network
from typing import Literal

from pydantic import BaseModel

from sandbox.errors import CloudError, invalid_input, not_found, not_unique
from sandbox.resources.actions.models import Action, Actions
from sandbox.resources.catalogue.models import LOCATIONS
from sandbox.resources.networks import ranges
from sandbox.store import Collection, Record, Store

MemberKind = Literal["server", "load_balancer"]
ZONES = tuple(dict.fromkeys(item.zone for item in LOCATIONS))
SUBNETS_MAX, ROUTES_MAX, MEMBERS_MAX, NETWORKS_OF_SERVER_MAX, ALIASES_MAX = 50, 100, 100, 3, 5
"""As told in Hetzner's documentation of networks."""


class Subnet(BaseModel):
    """Part of a network's range, for the locations of a zone."""

    type: Literal["cloud", "server", "vswitch"]
    ip_range: str
    network_zone: str


class NewSubnet(BaseModel):
    """As asked for; without a range the first free /24."""

    type: Literal["cloud", "server", "vswitch"]
    ip_range: str | None = None
    network_zone: str
    vswitch_id: int | None = None


class Route(BaseModel):
    """Packets for ``destination`` go to ``gateway``."""

    destination: str
    gateway: str


class Member(BaseModel):
    """A server or a load balancer that is attached."""

    kind: MemberKind
    id: int
    ip: str
    alias_ips: list[str] = []
    mac: str = ""


class Network(Record):
    """One network."""

    name: str
    ip_range: str
    subnets: list[Subnet] = []
    routes: list[Route] = []
    members: list[Member] = []
    labels: dict[str, str] = {}
    protected: bool = False
    expose_routes_to_vswitch: bool = False
    created: datetime

    @property
    def range(self) -> IPv4Network:
        """All addresses."""
        return IPv4Network(self.ip_range)

    @property
    def destinations(self) -> list[IPv4Network]:
        """Of its routes."""
        return [IPv4Network(route.destination) for route in self.routes]

    @property
    def taken(self) -> set[str]:
        """Addresses that members have."""
        return {ip for member in self.members for ip in (member.ip, *member.alias_ips)}

    def subnet_ranges(self, zone: str = "") -> list[IPv4Network]:
        """Of all subnets, or of those for a zone."""
        return [IPv4Network(item.ip_range) for item in self.subnets if zone in ("", item.network_zone)]

    def member(self, kind: MemberKind, member_id: int) -> Member | None:
        """How it is attached, if it is."""
        return next((item for item in self.members if (item.kind, item.id) == (kind, member_id)), None)

    def ids(self, kind: MemberKind) -> list[int]:
        """Of the members of a kind."""
        return [item.id for item in self.members if item.kind == kind]


class Wish(BaseModel):
    """Which addresses a member asks for."""

    ip: str | None = None
    ip_range: str | None = None
    alias_ips: list[str] = []


class NewNetwork(BaseModel):
    """What is asked for."""

    name: str
    ip_range: str
    labels: dict[str, str] = {}
    subnets: list[NewSubnet] = []
    routes: list[Route] = []
    expose_routes_to_vswitch: bool = False


class Networks:
    """The networks of the project."""

    def __init__(self, store: Store, actions: Actions) -> None:
        self.all = Collection(store, "network", Network)
        self.actions = actions
        self.changed: Callable[[], None] = lambda: None

    def get(self, network_id: int) -> Network:
        """Raises not_found."""
        if network := self.all.get(network_id):
            return network
        raise not_found("network", network_id)

    def create(self, new: NewNetwork) -> Network:
        """Raises invalid_input, uniqueness_error."""
        chosen = str(ranges.network_range(new.ip_range))
        self.require_free_name(new.name)
        network = Network(id=0, name=new.name, ip_range=chosen, labels=new.labels, created=datetime.now(UTC))
        network.expose_routes_to_vswitch = new.expose_routes_to_vswitch
        for number, subnet in enumerate(new.subnets):
            network.subnets.append(new_subnet(network, subnet, f"subnets.{number}."))
        for route in new.routes:
            network.routes.append(new_route(network, route))
        network.id = self.all.next_id()
        return self.save(network)

    def save(self, network: Network) -> Network:
        """Keep it, and have the machines follow."""
        self.all.save(network)
        self.changed()
        return network

    def update(self, network: Network, name: str | None, labels: dict[str, str] | None, expose: bool | None) -> Network:
        """Change what is given."""
        if name is not None and name != network.name:
            self.require_free_name(name)
            network.name = name
        network.labels = network.labels if labels is None else labels
        network.expose_routes_to_vswitch = network.expose_routes_to_vswitch if expose is None else expose
        return self.save(network)

    def delete(self, network: Network) -> None:
        """What is attached is detached. Raises protected."""
        if network.protected:
            raise CloudError("protected", "network deletion is protected")
        self.all.remove(network)
        self.changed()

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(network.name == name for network in self.all):
            raise not_unique("name", "network name is already used")

    def done(self, command: str, network: Network) -> Action:
        """Kept, and on record as an action."""
        self.save(network)
        return self.actions.done(command, ("network", network.id))

    # Its parts

    def add_subnet(self, network: Network, subnet: NewSubnet) -> Action:
        """Raises invalid_input, resource_limit_exceeded."""
        network.subnets.append(new_subnet(network, subnet, ""))
        return self.done("add_subnet", network)

    def delete_subnet(self, network: Network, ip_range: str) -> Action:
        """Raises not_found, service_error while something is attached."""
        gone = ranges.range_of(ip_range, "ip_range")
        if str(gone) not in [item.ip_range for item in network.subnets]:
            raise CloudError("not_found", f"subnet {gone} not found in network")
        if any(ranges.address_of(ip, "ip_range") in gone for ip in network.taken):
            raise CloudError("service_error", "cannot remove subnet because servers are attached to it")
        network.subnets = [item for item in network.subnets if item.ip_range != str(gone)]
        return self.done("delete_subnet", network)

    def add_route(self, network: Network, route: Route) -> Action:
        """Raises invalid_input, resource_limit_exceeded."""
        network.routes.append(new_route(network, route))
        return self.done("add_route", network)

    def delete_route(self, network: Network, route: Route) -> Action:
        """Raises not_found."""
        if route not in network.routes:
            raise CloudError("not_found", f"route to {route.destination} through {route.gateway} not found in network")
        network.routes.remove(route)
        return self.done("delete_route", network)

    def change_ip_range(self, network: Network, ip_range: str) -> Action:
        """Raises invalid_input unless it grows."""
        network.ip_range = str(ranges.extended_range(ip_range, network.range))
        return self.done("change_ip_range", network)

    def protect(self, network: Network, delete: bool | None) -> Action:
        """Against deletion."""
        network.protected = network.protected if delete is None else delete
        return self.done("change_protection", network)

    # Members

    def of(self, kind: MemberKind, member_id: int) -> Iterator[tuple[Network, Member]]:
        """Where it is attached, in the order of the networks' making."""
        for network in self.all:
            if member := network.member(kind, member_id):
                yield network, member

    def admit(self, network: Network, kind: MemberKind, member_id: int, zone: str, wish: Wish) -> Member:
        """The member as it would be attached, with its addresses. Raises CloudError."""
        self.require_attachable(network, kind, member_id)
        if len(network.members) >= MEMBERS_MAX:
            raise CloudError("resource_limit_exceeded", f"a network has at most {MEMBERS_MAX} attached resources")
        ip = choose_ip(network, zone, wish)
        aliases = check_aliases(network, zone, wish.alias_ips, network.taken | {ip})
        mac = mac_of(network.id, ip) if kind == "server" else ""
        return Member(kind=kind, id=member_id, ip=ip, alias_ips=aliases, mac=mac)

    def require_attachable(self, network: Network, kind: MemberKind, member_id: int) -> None:
        """Raises server_already_attached, load_balancer_already_attached, networks_overlap, resource_limit_exceeded."""
        attached = [item for item, _member in self.of(kind, member_id)]
        if kind == "load_balancer":
            if attached:
                raise CloudError("load_balancer_already_attached", "load balancer is already attached to a network")
            return
        if network in attached:
            raise CloudError("server_already_attached", "server is already attached to this network")
        if any(item.range.overlaps(network.range) for item in attached):
            raise CloudError("networks_overlap", "the network IP range overlaps with one of the server networks")
        if len(attached) >= NETWORKS_OF_SERVER_MAX:
            raise CloudError("resource_limit_exceeded", f"a server has at most {NETWORKS_OF_SERVER_MAX} networks")

    def attach(self, network: Network, member: Member) -> None:
        """With the addresses that it was admitted with."""
        network.members.append(member)
        self.save(network)

    def attached(self, network: Network, kind: MemberKind, member_id: int) -> Member:
        """Raises not_found."""
        if member := network.member(kind, member_id):
            return member
        raise CloudError("not_found", f"{kind} {member_id} is not attached to network {network.id}")

    def detach(self, network: Network, member: Member) -> None:
        """Its addresses are free."""
        network.members.remove(member)
        self.save(network)

    def change_aliases(self, network: Network, member: Member, zone: str, aliases: list[str]) -> None:
        """All of them anew. Raises invalid_input, ip_not_available."""
        others = network.taken - set(member.alias_ips)
        member.alias_ips = check_aliases(network, zone, aliases, others)
        self.save(network)

    def forget(self, kind: MemberKind, member_id: int) -> None:
        """It was deleted."""
        for network, member in list(self.of(kind, member_id)):
            self.detach(network, member)


def new_subnet(network: Network, wish: NewSubnet, where: str) -> Subnet:
    """``where`` is the path of its fields in the request. Raises CloudError."""
    if len(network.subnets) >= SUBNETS_MAX:
        raise CloudError("resource_limit_exceeded", f"a network has at most {SUBNETS_MAX} subnets")
    if wish.network_zone not in ZONES:
        raise invalid_input((f"{where}network_zone", f"'{wish.network_zone}' is not one of: {', '.join(ZONES)}"))
    if wish.type == "vswitch":
        raise invalid_input((f"{where}vswitch_id", "vSwitch not found: the sandbox has no dedicated servers"))
    if wish.vswitch_id is not None:
        raise invalid_input((f"{where}vswitch_id", "must only be given for subnets of type vswitch"))
    taken = [*network.subnet_ranges(), *(item for item in network.destinations if item != ranges.EVERYWHERE)]
    chosen = ranges.subnet_range(wish.ip_range, network.range, taken, f"{where}ip_range")
    return Subnet(type=wish.type, ip_range=str(chosen), network_zone=wish.network_zone)


def new_route(network: Network, wish: Route) -> Route:
    """Raises CloudError."""
    if len(network.routes) >= ROUTES_MAX:
        raise CloudError("resource_limit_exceeded", f"a network has at most {ROUTES_MAX} routes")
    checked = ranges.check_route(
        wish.destination, wish.gateway, network.range, network.subnet_ranges(), network.destinations
    )
    return Route(destination=checked[0], gateway=checked[1])


def choose_ip(network: Network, zone: str, wish: Wish) -> str:
    """As asked, else the first free one of a subnet for the zone. Raises CloudError."""
    subnets = network.subnet_ranges(zone)
    if wish.ip_range is not None:
        chosen = ranges.range_of(wish.ip_range, "ip_range")
        subnets = [item for item in subnets if item == chosen]
        if wish.ip is not None and ranges.address_of(wish.ip, "ip") not in chosen:
            raise invalid_input(("ip", f"{wish.ip} is not in ip_range {chosen}"))
    if wish.ip is None:
        return ranges.first_free(subnets, network.range, network.taken)
    address = ranges.address_of(wish.ip, "ip")
    return ranges.require_available(address, subnets, network.range, network.taken, "ip")


def check_aliases(network: Network, zone: str, aliases: list[str], taken: set[str]) -> list[str]:
    """``taken``: by others, and the member's own address. Raises CloudError."""
    if len(aliases) > ALIASES_MAX:
        raise invalid_input(("alias_ips", f"at most {ALIASES_MAX} alias IPs"))
    if len(set(aliases)) < len(aliases):
        raise invalid_input(("alias_ips", "every alias IP once"))
    subnets = network.subnet_ranges(zone)
    addresses = [ranges.address_of(item, "alias_ips") for item in aliases]
    return [ranges.require_available(item, subnets, network.range, taken, "alias_ips") for item in addresses]


def mac_of(network_id: int, ip: str) -> str:
    """Of the network card in this network; Hetzner's begin like this."""
    digest = hashlib.sha256(f"{network_id} {ip}".encode()).digest()
    return f"86:00:00:{digest[0]:02x}:{digest[1]:02x}:{digest[2]:02x}"
