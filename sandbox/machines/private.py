"""Private networks that containers really have: for each a network namespace that routes between its members.

As at Hetzner a machine gets a network card of its own for it, with one address, and everything goes through the network's
gateway, where no firewall filters. Networks know nothing of each other, so their ranges may overlap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

from sandbox.machines import PrivateCard, PrivateNet
from sandbox.machines.network import NAMESPACES, Cable, Network, ip

MTU = 1450
FIRST_CARD = 7
"""Cards are called enp7s0, enp8s0, ... as on a server."""
OURS = "static"
"""What marks the routes that users make."""


@dataclass
class PrivateNetworks:
    """Those of one sandbox."""

    network: Network
    nets: dict[int, PrivateNet] = field(default_factory=dict)

    def path(self, number: int) -> Path:
        """The namespace of a network, whether it exists or not."""
        return NAMESPACES / f"{self.network.name}-n{number}"

    def follow(self, nets: Iterable[PrivateNet]) -> None:
        """All that there are; replaces what was said before. Cards of machines that run are plugged and unplugged."""
        wanted = {net.number: net for net in nets if net.cards or net.balancers}
        for path in NAMESPACES.glob(f"{self.network.name}-n*"):
            if path not in {self.path(number) for number in wanted}:
                ip("netns", "delete", path.name)
        before, self.nets = self.nets, wanted
        for number, net in wanted.items():
            if before.get(number) != net or not self.path(number).exists():
                self.arrange(net, before.get(number))

    def arrange(self, net: PrivateNet, before: PrivateNet | None) -> None:
        """Have it as it should be, whatever there is."""
        name = self.path(net.number).name
        if not self.path(net.number).exists():
            ip("netns", "add", name)
        ip("-n", name, "link", "set", "lo", "up")
        self.network.inside("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1", namespace=self.path(net.number))
        for address in before.balancers if before else ():
            ip("-n", name, "address", "delete", f"{address}/32", "dev", "lo", check=False)
        for address in net.balancers:
            ip("-n", name, "address", "replace", f"{address}/32", "dev", "lo")
        wanted = {plain(card) for card in net.cards}
        kept = {card for card in wanted if self.plugged(net, card, before)}
        for card in {plain(card) for card in (before.cards if before else ())} - kept:
            ip("-n", name, "link", "delete", device(card), check=False)
        for card in wanted - kept:
            self.plug(net, card)
        self.set_aliases(net, before)
        self.set_routes(net)

    def plugged(self, net: PrivateNet, card: PrivateCard, before: PrivateNet | None) -> bool:
        """As it should be; of what another process has made, by its route. A range that has grown is seen at the next boot."""
        if before:
            return card in map(plain, before.cards)
        return bool(ip("-n", self.path(net.number).name, "route", "show", card.ip, "dev", device(card), check=False))

    def plug_all(self, cable: Cable) -> None:
        """A container is about to start."""
        for net in self.nets.values():
            for card in net.cards:
                if card.machine == cable.number:
                    self.plug(net, card)
                    self.set_aliases(net, None)
                    self.set_routes(net)

    def plug(self, net: PrivateNet, card: PrivateCard) -> None:
        """Nothing happens for a machine that is off, or that is no container."""
        own, name = self.network.own_namespace(Cable(card.machine)), self.path(net.number).name
        if not own.exists():
            return
        inside, end = name_of(card), device(card)
        ip("-n", name, "link", "delete", end, check=False)
        peer = ["peer", "name", inside, "address", card.mac, "mtu", str(MTU), "netns", own.name]
        ip("-n", name, "link", "add", end, "mtu", str(MTU), "type", "veth", *peer)
        ip("-n", own.name, "address", "add", f"{card.ip}/32", "dev", inside)
        ip("-n", own.name, "link", "set", inside, "up")
        ip("-n", own.name, "route", "add", net.gateway, "dev", inside, "scope", "link")
        ip("-n", own.name, "route", "add", net.range, "via", net.gateway, "dev", inside)
        ip("-n", name, "address", "add", f"{net.gateway}/32", "dev", end)
        ip("-n", name, "link", "set", end, "up")
        ip("-n", name, "route", "add", f"{card.ip}/32", "dev", end)

    def set_aliases(self, net: PrivateNet, before: PrivateNet | None) -> None:
        """On the cards. Gap: a server does that itself, by hand; a container may not."""
        now = {card.machine: set(card.aliases) for card in net.cards}
        for card in before.cards if before else ():
            self.addresses(card, "delete", set(card.aliases) - now.get(card.machine, set()))
        for card in net.cards:
            self.addresses(card, "replace", card.aliases)

    def addresses(self, card: PrivateCard, verb: str, addresses: Iterable[str]) -> None:
        """Nothing happens for a machine that is off."""
        own = self.network.own_namespace(Cable(card.machine))
        for address in addresses if own.exists() else ():
            ip("-n", own.name, "address", verb, f"{address}/32", "dev", name_of(card), check=False)

    def set_routes(self, net: PrivateNet) -> None:
        """Those of the network, and to aliases. A gateway that is no machine, or one that is off, leads nowhere."""
        name = self.path(net.number).name
        ip("-n", name, "route", "flush", "proto", OURS, check=False)
        aliases = [(f"{alias}/32", card.ip) for card in net.cards for alias in card.aliases]
        for destination, gateway in (*aliases, *net.routes):
            ip("-n", name, "route", "add", destination, "via", gateway, "proto", OURS, check=False)


def plain(card: PrivateCard) -> PrivateCard:
    """What is to be plugged of it."""
    return replace(card, aliases=())


def name_of(card: PrivateCard) -> str:
    """The machine's end of the cable."""
    return f"enp{FIRST_CARD + card.number}s0"


def device(card: PrivateCard) -> str:
    """The network's end of the cable."""
    return f"p{card.machine}"
