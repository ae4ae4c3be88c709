"""Servers that come and go with a build or a test. What does not carry this stack's labels is never touched."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
from hcloud import APIException
from hcloud.actions import ActionFailedException, BoundAction
from hcloud.firewalls import BoundFirewall, FirewallRule
from hcloud.images import Image
from hcloud.locations import Location
from hcloud.server_types import BoundServerType, ServerType, ServerTypeLocation
from hcloud.servers import BoundServer
from hcloud.ssh_keys import BoundSSHKey

from adapters.hetzner.actions import wait_for
from adapters.hetzner.client import Api
from adapters.hetzner.errors import QUOTA, QUOTA_REMEDY, QUOTA_USED_UP, CloudError, is_missing, refusal
from adapters.hetzner.leftovers import (
    Leftovers,
    delete_firewall,
    delete_server,
    delete_servers,
    ignore_missing,
    leftovers,
    when_free,
)
from adapters.hetzner.waiting import polls
from images.capacity import Offer, Place, places
from images.labels import stack_selector

ANYWHERE = ("0.0.0.0/0", "::/0")

CLUSTER_PORTS = (("tcp", "6443"), ("tcp", "10250"), ("udp", "8472"))
"""What two nodes of a test cluster reach each other by: the API server, kubelet, the tunnel between their pods (tunnel.sh)."""
OF_THE_OTHER_NODE = "the other node of the test cluster"

OFFERS_SECONDS = 600
"""How long it counts what can be had where: it decides only which place is tried first."""


@dataclass(frozen=True)
class ServerRequest:
    """A server for one build or test. `image` is a system image's name or a snapshot's id; `max_disk` 0 is any."""

    name: str
    image: str | int
    architecture: str
    server_types: Sequence[str]
    locations: Sequence[str]
    labels: Mapping[str, str]
    login_key: str
    user_data: str
    ssh_port: int = 22
    ssh_from: Sequence[str] = ()
    max_disk: int = 0


@dataclass(frozen=True)
class ClusterNode:
    """A server that is a node of a test cluster: `address` is its own IPv4 address, by which the others see it."""

    name: str
    labels: Mapping[str, str]
    address: str


class Servers(Api):
    """The servers of a project, each with its firewall and its SSH key, which have the name of their server."""

    _offers: tuple[float, list[Offer]] | None = None

    def offers(self) -> list[Offer]:
        """What can be had where, right now. Raises CloudError."""
        with self.in_words(of_lists=True):
            kinds = self.client.server_types.get_all()
        offers = [_offer(kind, place) for kind in kinds for place in kind.locations or []]
        self._offers = time.monotonic(), offers
        return offers

    def system_images(self) -> frozenset[tuple[str, str]]:
        """The system images that servers can be made of: name and architecture. Raises CloudError."""
        with self.in_words(of_lists=True):
            found = self.client.images.get_all(type=["system"])
        return frozenset((str(image.name), str(image.architecture)) for image in found)

    def has_server(self, server_id: int) -> bool:
        return self._server(server_id) is not None

    def server_status(self, server_id: int) -> str:
        """Such as `running` or `off`; nothing where there is no such server."""
        found = self._server(server_id)
        return str(found.status) if found else ""

    def servers_of(self, stack: str) -> list[str]:
        """Names of the servers that a stack has now."""
        with self.in_words():
            found = self.client.servers.get_all(label_selector=stack_selector(stack))
        return [str(server.name) for server in found]

    def create_server(self, request: ServerRequest, answers: Callable[[str], bool] | None = None) -> BoundServer:
        """Make the server, or take up the one that an interrupted run left; all of it, or nothing stays behind.

        `answers`: whether a server answers at an address. As soon as it does, the server
        counts as made; until then the API is asked rarely.
        """
        with self.in_words():
            left_over = self.client.servers.get_by_name(request.name)
            if left_over:
                if left_over.labels == dict(request.labels) and self._has_login_key(request):
                    return self._running(left_over)
                _refuse_foreign("server", left_over, request)
                self.remove_server(request.name, request.labels)
            try:
                return self._create_somewhere(request, self._login_key(request), self._firewall(request), answers)
            except BaseException:
                self.remove_server(request.name, request.labels)
                raise

    def remove_server(self, name: str, labels: Mapping[str, str], server_id: int | None = None) -> None:
        """Delete a server of ours with its firewall and key, whichever of them still exist; also one that was renamed."""
        with self.in_words():
            named = [self.client.servers.get_by_name(name) or (self._server(server_id) if server_id else None)]
            firewalls = [self.client.firewalls.get_by_name(name)]
            keys = [self.client.ssh_keys.get_by_name(name)]
            ours = Leftovers(
                [item for item in named if item and _ours(item.labels, labels)],
                [item for item in keys if item and _ours(item.labels, labels)],
                [item for item in firewalls if item and _ours(item.labels, labels)],
                [],
            )
            delete_servers(ours, self.timeouts.action)

    def remove_servers_of(self, stack: str) -> None:
        """Delete all servers of a stack, with their firewalls and keys."""
        with self.in_words():
            delete_servers(leftovers(self.client, stack), self.timeouts.action)

    def power_off(self, server_id: int) -> None:
        """Shut the server down and wait until it is off; pull the plug if it does not listen."""
        with self.in_words():
            server = self.client.servers.get_by_id(server_id)
            if server.status == server.STATUS_OFF:
                return
            seconds = self.timeouts.shutdown
            for switch_off in (server.shutdown, server.power_off):
                self._when_unlocked(server, switch_off)
                if _is_off_within(server, seconds):
                    return
        raise CloudError(
            f"server {server.name} ({server.id}) is not off {seconds} s after its shutdown and {seconds} s after it was\n"
            f"    cut from power (node-images:timeouts.shutdown): look at its console, or delete it"
        )

    def restart(self, server_id: int) -> None:
        """Shut the server down and start it again: its kernel begins anew."""
        self.power_off(server_id)
        with self.in_words():
            server = self.client.servers.get_by_id(server_id)
            self._finish([server.power_on()], server)

    def connect(self, nodes: Sequence[ClusterNode]) -> None:
        """Let servers of ours reach each other as nodes of one cluster; otherwise their firewalls let in SSH alone."""
        with self.in_words():
            for node in nodes:
                self._let_in(node, [f"{other.address}/32" for other in nodes if other != node])

    # --- details -------------------------------------------------------------------------------------------------

    def _has_login_key(self, request: ServerRequest) -> bool:
        found = self.client.ssh_keys.get_by_name(request.name)
        return found is not None and found.public_key == request.login_key

    def _login_key(self, request: ServerRequest) -> BoundSSHKey:
        """One of that name is looked for only where the API refuses another, or the answer was lost after it was made."""
        create = partial(self.client.ssh_keys.create, request.name, request.login_key, dict(request.labels))
        try:
            return create()
        except (APIException, requests.RequestException):
            found = self.client.ssh_keys.get_by_name(request.name)
            if found is None:
                raise
        if found.public_key == request.login_key:
            return found
        _refuse_foreign("SSH key", found, request)
        ignore_missing(found.delete)
        return create()

    def _firewall(self, request: ServerRequest) -> BoundFirewall:
        """Only SSH comes in, and only from where the stack file allows it."""
        rules = [FirewallRule("in", "tcp", list(request.ssh_from or ANYWHERE), port=str(request.ssh_port))]
        labels: Any = dict(request.labels)  # the SDK's annotation says text, which the API refuses
        create = partial(self.client.firewalls.create, request.name, rules, labels)
        try:
            return create().firewall
        except (APIException, requests.RequestException) as error:
            found = self.client.firewalls.get_by_name(request.name)
            if found is None:
                raise
            lost = isinstance(error, requests.RequestException)
        if lost and _ours(found.labels, request.labels):
            return found
        _refuse_foreign("firewall", found, request)
        delete_firewall(found, self.timeouts.action)
        return create().firewall

    def _let_in(self, node: ClusterNode, others: list[str]) -> None:
        firewall = self.client.firewalls.get_by_name(node.name)
        if firewall is None or not _ours(firewall.labels, node.labels):
            raise CloudError(
                f"the firewall of server {node.name} is gone: somebody deleted or renamed it; run `up` again"
            )
        rules = [
            FirewallRule("in", kind, others, port=port, description=OF_THE_OTHER_NODE) for kind, port in CLUSTER_PORTS
        ]
        kept = [rule for rule in firewall.rules or [] if rule.description != OF_THE_OTHER_NODE]
        wait_for(firewall.set_rules([*kept, *rules]), f"firewall {node.name}", self.timeouts.action)

    def _create_somewhere(
        self, request: ServerRequest, key: BoundSSHKey, firewall: BoundFirewall, answers: Callable[[str], bool] | None
    ) -> BoundServer:
        order = {
            "name": request.name,
            "image": self._image(request),
            "ssh_keys": [key],
            "firewalls": [firewall],
            "user_data": request.user_data,
            "labels": dict(request.labels),
        }
        offers = self._recent_offers()
        refused: dict[Place, str] = {}
        for place in places(request.server_types, request.locations, offers, request.max_disk):
            if unknown := _unknown(*place, offers):
                refused[place] = f"Hetzner Cloud has no {unknown} of that name"
            elif not _is_of_a_quota(place, refused):
                try:
                    return self._create_at(place, order, request, answers)
                except (APIException, ActionFailedException) as error:
                    answer, refused[place] = refusal(error)
                    if answer != "elsewhere":
                        raise
                    if isinstance(error, ActionFailedException):
                        self._forget_half_made(request)
        raise CloudError(_refused_everywhere(request.name, refused))

    def _create_at(
        self, place: Place, order: Mapping[str, Any], request: ServerRequest, answers: Callable[[str], bool] | None
    ) -> BoundServer:
        server_type, location = place
        try:
            made = self.client.servers.create(
                server_type=ServerType(name=server_type), location=Location(name=location), **order
            )
        except (APIException, requests.RequestException) as error:
            if refusal(error)[0] == "elsewhere":
                raise
            found = self.client.servers.get_by_name(request.name)
            if found and found.labels == dict(request.labels):
                return self._running(found)  # the answer was lost after the server was made
            raise
        sign = partial(answers, address_of(made.server)) if answers else None
        wait_for([made.action, *made.next_actions], f"server {request.name}", self.timeouts.action, sign)
        return made.server

    def _forget_half_made(self, request: ServerRequest) -> None:
        """The server of an action that failed may be there all the same, and another place needs its name."""
        found = self.client.servers.get_by_name(request.name)
        if found and found.labels == dict(request.labels):
            delete_server(found, self.timeouts.action)

    def _recent_offers(self) -> list[Offer]:
        if self._offers and time.monotonic() - self._offers[0] < OFFERS_SECONDS:
            return self._offers[1]
        return self.offers()

    def _running(self, server: BoundServer) -> BoundServer:
        """One that was made and never started, or was off when its run was killed, is started."""
        if server.status == server.STATUS_OFF:
            self._finish([server.power_on()], server)
        return server

    def _finish(self, actions: Sequence[BoundAction], server: BoundServer) -> None:
        wait_for(actions, f"server {server.name}", self.timeouts.action)

    def _when_unlocked(self, server: BoundServer, act: Callable[[], BoundAction]) -> None:
        seconds = self.timeouts.action
        late = f"server {server.name} ({server.id}) stayed locked for {seconds} s (node-images:timeouts.action)"
        when_free(act, seconds, late)

    def _image(self, request: ServerRequest) -> Image:
        if isinstance(request.image, int):
            return Image(id=request.image)
        image = self.client.images.get_by_name_and_architecture(request.image, request.architecture)
        if image is None:
            raise CloudError(f"Hetzner Cloud has no system image {request.image} for {request.architecture}")
        return image

    def _server(self, server_id: int) -> BoundServer | None:
        with self.in_words():
            try:
                return self.client.servers.get_by_id(server_id)
            except APIException as error:
                if is_missing(error):
                    return None
                raise


def address_of(server: BoundServer) -> str:
    """The public IPv4 address: builds need one, to be provisioned over SSH."""
    if server.public_net is None or server.public_net.ipv4 is None:
        raise CloudError(f"server {server.name} has no public IPv4 address to reach it by")
    return str(server.public_net.ipv4.ip)


def _is_off_within(server: BoundServer, seconds: float) -> bool:
    for _ in polls(seconds):
        server.reload()
        if server.status == server.STATUS_OFF:
            return True
    return False


def _refuse_foreign(kind: str, found: BoundServer | BoundSSHKey | BoundFirewall, request: ServerRequest) -> None:
    if not _ours(found.labels, request.labels):
        raise CloudError(
            f"{kind} {request.name} exists that this stack did not make (id {found.id}).\n"
            "    It is left alone: rename or delete it, then run again."
        )


def _ours(found: Mapping[str, str] | None, ours: Mapping[str, str]) -> bool:
    return all((found or {}).get(key) == ours[key] for key in ("managed-by", "stack"))


def _is_of_a_quota(place: Place, refused: Mapping[Place, str]) -> bool:
    """Whether its type met a quota elsewhere: that is the project's, and so the same in every location."""
    return any(kind == place[0] and QUOTA in why for (kind, _), why in refused.items())


def _refused_everywhere(name: str, refused: Mapping[Place, str]) -> str:
    listed = "\n".join(f"    {kind} in {location}: {why}" for (kind, location), why in refused.items())
    remedy = "Add others to node-images:serverTypes or node-images:locations in the stack file, or try again later."
    quota = f"\n    And {QUOTA_USED_UP}.\n    {QUOTA_REMEDY}" if any(QUOTA in why for why in refused.values()) else ""
    return f"no server to be had for {name}; every server type and location was refused:\n{listed}\n    {remedy}{quota}"


def _unknown(server_type: str, location: str, offers: Sequence[Offer]) -> str:
    """Which of the two nobody offers."""
    if all(offer.server_type != server_type for offer in offers):
        return "server type"
    return "" if any(offer.location == location for offer in offers) else "location"


def _offer(kind: BoundServerType, place: ServerTypeLocation) -> Offer:
    ends = place.deprecation and place.deprecation.unavailable_after
    return Offer(
        str(kind.name),
        str(place.location.name),
        place.available is not False,
        ends.date().isoformat() if ends else "",
        int(kind.disk or 0),
        str(kind.architecture or ""),
    )
