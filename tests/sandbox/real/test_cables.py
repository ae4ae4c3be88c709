"""Cables and private networks alone, without machines on them: who reaches whom."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sandbox.balancer.sockets import in_namespace, listener
from sandbox.machines import Place, PrivateCard, PrivateNet
from sandbox.machines.network import Cable, Network, ip
from sandbox.machines.private import PrivateNetworks
from sandbox.settings import Home

SECONDS = 5.0
PUBLIC = "127.200.200.{}"


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """With two machines, and no way out."""
    made = Network(Home(tmp_path))
    ip("netns", "add", made.name)
    made.filter({})
    ip("-n", made.name, "link", "set", "lo", "up")
    made.inside("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")
    for number in (1, 2):
        made.plug_container(Cable(number))
        made.publish(Cable(number), PUBLIC.format(number))
    yield made
    made.close()


@contextmanager
def server(place: Place, port: int) -> Iterator[list[str]]:
    """It notes who came."""
    came: list[str] = []
    made = listener(place, port)
    made.setblocking(True)

    def serve() -> None:
        while True:
            try:
                peer, (source, _port) = made.accept()
            except OSError:
                return
            came.append(source)
            peer.close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield came
    finally:
        made.shutdown(socket.SHUT_RDWR)
        made.close()
        thread.join()


def reaches(namespace: Path, address: str, port: int) -> bool:
    """Whether somebody there is let in."""

    def make() -> socket.socket:
        return socket.create_connection((address, port), SECONDS)

    try:
        in_namespace(namespace, make).close()
    except OSError:
        return False
    return True


def test_machines_are_known_to_each_other_by_their_public_addresses(network: Network) -> None:
    one, two = (network.own_namespace(Cable(number)) for number in (1, 2))
    with server(Place("0.0.0.0", two), 7000) as came:
        assert reaches(one, PUBLIC.format(2), 7000) and reaches(two, PUBLIC.format(2), 7000)
        assert reaches(two, "127.0.0.1", 7000), "the rest of the loopback range is its own"
        assert reaches(network.path, Cable(2).address, 7000)
    assert came[:2] == [PUBLIC.format(1), PUBLIC.format(2)]
    with server(Place(PUBLIC.format(254), network.path), 7000) as came:
        assert reaches(one, PUBLIC.format(254), 7000)
    assert came == [PUBLIC.format(1)]


def test_cards_of_private_networks(network: Network) -> None:
    private, one, two = PrivateNetworks(network), *(network.own_namespace(Cable(number)) for number in (1, 2))
    cards = (PrivateCard(1, 0, "10.0.1.1", "86:00:00:00:00:01"), PrivateCard(2, 0, "10.0.1.7", "86:00:00:00:00:07"))
    net = PrivateNet(5, "10.0.0.0/16", "10.0.0.1", cards=cards, balancers=("10.0.1.5",))
    private.follow([net])
    with server(Place("10.0.1.7", two), 7000), server(Place("10.0.1.5", private.path(5)), 7000):
        assert reaches(one, "10.0.1.7", 7000) and reaches(one, "10.0.1.5", 7000)
        assert reaches(private.path(5), "10.0.1.7", 7000)
    ip("-n", two.name, "address", "add", "10.9.0.1/32", "dev", "lo")
    ip("-n", one.name, "route", "add", "10.9.0.0/24", "via", "10.0.0.1", "dev", "enp7s0")
    private.follow([replace(net, routes=(("10.9.0.0/24", "10.0.1.7"),))])
    with server(Place("0.0.0.0", two), 7000):
        assert reaches(one, "10.9.0.1", 7000) and not reaches(one, "10.0.1.8", 7000)
        aliased = (cards[0], replace(cards[1], aliases=("10.0.1.8",)))
        private.follow([replace(net, cards=aliased)])
        assert not reaches(one, "10.9.0.1", 7000), "its route is gone"
        assert reaches(one, "10.0.1.8", 7000)
        private.follow([replace(net, cards=(cards[0], replace(cards[1], aliases=("10.0.1.9",))))])
        assert not reaches(one, "10.0.1.8", 7000) and reaches(one, "10.0.1.9", 7000)
        private.follow([replace(net, cards=cards[:1])])
        assert not reaches(one, "10.0.1.7", 7000)
    private.follow([])
    assert not private.path(5).exists()


def test_what_a_killed_sandbox_left_is_taken_up(network: Network) -> None:
    one = network.own_namespace(Cable(1))
    net = PrivateNet(5, "10.0.0.0/16", "10.0.0.1", cards=(PrivateCard(1, 0, "10.0.1.1", "86:00:00:00:00:01"),))
    PrivateNetworks(network).follow([net, replace(net, number=6, cards=(), balancers=("10.0.1.5",))])
    ip("-n", one.name, "address", "add", "10.0.1.9/32", "dev", "enp7s0")
    again = PrivateNetworks(network)
    again.follow([net])
    assert not again.path(6).exists()
    assert "10.0.1.9" in ip("-n", one.name, "address", "show", "dev", "enp7s0"), "the card stayed as it was"
    with server(Place("10.0.1.1", one), 7000):
        assert reaches(again.path(5), "10.0.1.1", 7000)
