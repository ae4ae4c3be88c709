"""Hetzner Cloud as the records of a build need it: servers that come and go, and the label that publishes a snapshot.

Everything goes through the official SDK. What does not carry this stack's labels is never touched.
"""

import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import requests
from hcloud import APIException, Client
from hcloud.actions import ActionTimeoutException, BoundAction
from hcloud.firewalls import BoundFirewall, FirewallRule
from hcloud.images import BoundImage, Image
from hcloud.server_types import ServerTypeLocation
from hcloud.servers import BoundServer
from hcloud.ssh_keys import BoundSSHKey
from requests.adapters import HTTPAdapter

from hetzner.leftovers import (
    POLL_SECONDS,
    Leftovers,
    StuckError,
    delete_firewall,
    delete_servers,
    ignore_missing,
    leftovers,
    orphans,
    polls,
)
from hetzner.snapshots import read_snapshot
from images.capacity import Offer, places
from images.labels import CAPH_IMAGE_NAME, MANAGED_BY, selector, stack_selector
from images.recorded import Recorded
from images.snapshot import Snapshot
from images.stackfile import PROJECT, Timeouts

HETZNER_ENDPOINT = "https://api.hetzner.cloud/v1"
POLLS_BETWEEN_LOOKS = 4
ANYWHERE = ("0.0.0.0/0", "::/0")

CLUSTER_PORTS = (("tcp", "6443"), ("tcp", "10250"), ("udp", "8472"))
"""What two nodes of a test cluster reach each other by: the API server, kubelet, the tunnel between their pods (tunnel.sh)."""
OF_THE_OTHER_NODE = "the other node of the test cluster"

# What another server type or location may cure: out of stock, no placement, or a type that a location does not offer.
TRY_ELSEWHERE = {"resource_unavailable", "placement_error", "invalid_input", "unsupported_error"}

MOVED = "If hcloud:endpoint has changed: `refresh` and `destroy` ask where the last `up` was, so run `up` first."
"""The engine gives them the settings that the state has, and the program, which has those of today, does not run."""

Named = TypeVar("Named")

NO_HURRY = Timeouts()


class CloudError(Exception):
    """Hetzner Cloud refuses or cannot do what a build needs; the text tells people what to do."""


@dataclass(frozen=True)
class ServerRequest:
    """A server for one build or test. `image` is a system image's name or a snapshot's id."""

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


@dataclass(frozen=True)
class ClusterNode:
    """A server that is a node of a test cluster: `address` is its own IPv4 address, by which the others see it."""

    name: str
    labels: Mapping[str, str]
    address: str


class Cloud:
    """One Hetzner Cloud project. `endpoint` is the API's base URL, `token` 64 characters."""

    def __init__(self, token: str, endpoint: str = HETZNER_ENDPOINT, timeouts: Timeouts = NO_HURRY) -> None:
        self.endpoint = endpoint
        self.timeouts = timeouts
        self.client = Client(
            token=token,
            api_endpoint=endpoint,
            application_name="node-images",
            poll_interval=POLL_SECONDS,
            poll_max_retries=int(timeouts.action / POLL_SECONDS),
        )
        self.client._client._session.hooks["response"].append(_refuse_nothing)
        for scheme in ("http://", "https://"):
            self.client._client._session.mount(scheme, _Plainly(self._explain))

    @classmethod
    def from_settings(cls, get: Callable[[str], str | None]) -> "Cloud":
        """From the stack's configuration, or the environment as pulumi-hcloud reads it. Raises CloudError."""
        token = get("hcloud:token") or os.environ.get("HCLOUD_TOKEN")
        endpoint = get("hcloud:endpoint") or os.environ.get("HCLOUD_ENDPOINT") or HETZNER_ENDPOINT
        if not token:
            raise CloudError(
                "no API token: hcloud:token is not in the stack file and HCLOUD_TOKEN is not set.\n"
                "    Make one in the Hetzner Cloud Console (read and write), then:\n"
                "    ./pulumiw config set --secret hcloud:token --stack STACK"
            )
        return cls(token, endpoint, Timeouts.model_validate(json.loads(get(f"{PROJECT}:timeouts") or "{}")))

    # --- what is there -------------------------------------------------------------------------------------------

    def snapshots(self, stack: str) -> list[Snapshot]:
        """The stack's snapshots as they are now. Raises CloudError when the API does not answer or refuses."""
        with self._in_words():
            images = self.client.images.get_all(type=["snapshot"], label_selector=stack_selector(stack))
            booted = [(server.image.id, str(server.name)) for server in self.client.servers.get_all() if server.image]
        return [read_snapshot(image, [server for number, server in booted if number == image.id]) for image in images]

    def count_snapshots(self) -> int:
        """How many the project has, whoever made them. Raises CloudError."""
        with self._in_words():
            page = self.client.images.get_list(type=["snapshot"], per_page=1)
        return int(page.meta.pagination.total_entries or 0) if page.meta.pagination else len(page.images)

    def named_images(self) -> list[Snapshot]:
        """All images of the project that CAPH finds by a name, whoever made them. Raises CloudError."""
        with self._in_words():
            images = self.client.images.get_all(label_selector=CAPH_IMAGE_NAME)
        return [read_snapshot(image) for image in images]

    def has_snapshot(self, labels: Mapping[str, str], *, published: bool) -> bool:
        """Whether a complete snapshot with these labels exists, and, if asked for, is published."""
        wanted = selector(labels) + (f",{CAPH_IMAGE_NAME}" if published else "")
        found = self.client.images.get_all(type=["snapshot"], label_selector=wanted)
        return any(image.status == "available" for image in found)

    def servers_from(self, image_id: int) -> list[str]:
        """Names of the servers that were created from a snapshot, but for those that test it."""
        made = [server for server in self.client.servers.get_all() if server.image and server.image.id == image_id]
        return [str(server.name) for server in made if (server.labels or {}).get("managed-by") != MANAGED_BY]

    def has_server(self, server_id: int) -> bool:
        return self._server(server_id) is not None

    def server_status(self, server_id: int) -> str:
        """Such as `running` or `off`; nothing where there is no such server."""
        found = self._server(server_id)
        return str(found.status) if found else ""

    def orphans(self, stack: str, known: Recorded) -> list[str]:
        """A line for all that runs of the stack left behind and the state does not know of; nothing where there is nothing."""
        with self._in_words():
            found = orphans(leftovers(self.client, stack), known)
        if not found:
            return []
        names = [item.name for item in found.servers] + [item.name for item in found.keys]
        names += [item.name for item in found.firewalls] + [
            f"unpublished snapshot {item.id}" for item in found.snapshots
        ]
        listed = ", ".join(dict.fromkeys(str(name) for name in names))
        fate = "an `up` takes up what it can use; to see what it costs, or delete it: ./node-images sweep"
        return [f"left over: {listed}. Unless another `up` of this stack runs now, {fate} --stack {stack}"]

    def offers(self) -> list[Offer]:
        """What can be had where, right now. Raises CloudError."""
        with self._in_words():
            kinds = self.client.server_types.get_all()
        return [_offer(str(kind.name), place) for kind in kinds for place in kind.locations or []]

    # --- servers that come and go --------------------------------------------------------------------------------

    def create_server(self, request: ServerRequest) -> BoundServer:
        """Make the server, or take up the one that an interrupted run left; all of it, or nothing stays behind."""
        left_over = self.client.servers.get_by_name(request.name)
        if left_over:
            if left_over.labels == dict(request.labels) and self._has_login_key(request):
                return self._running(left_over)
            self._refuse_foreign("server", left_over, request)
            self.remove_server(request.name, request.labels)
        try:
            return self._create_somewhere(request, self._login_key(request), self._firewall(request))
        except BaseException:
            self.remove_server(request.name, request.labels)
            raise

    def remove_server(self, name: str, labels: Mapping[str, str], server_id: int | None = None) -> None:
        """Delete a server of ours with its firewall and key, whichever of them still exist; also one that was renamed."""
        named = [self.client.servers.get_by_name(name) or (self._server(server_id) if server_id else None)]
        firewalls = [self.client.firewalls.get_by_name(name)]
        keys = [self.client.ssh_keys.get_by_name(name)]
        self._delete(
            Leftovers(
                [item for item in named if item and _ours(item.labels, labels)],
                [item for item in keys if item and _ours(item.labels, labels)],
                [item for item in firewalls if item and _ours(item.labels, labels)],
                [],
            )
        )

    def remove_servers_of(self, stack: str) -> None:
        """Delete all servers of a stack, with their firewalls and keys."""
        self._delete(leftovers(self.client, stack))

    def servers_of(self, stack: str) -> list[str]:
        """Names of the servers that a stack has now."""
        return [str(server.name) for server in self.client.servers.get_all(label_selector=stack_selector(stack))]

    def _delete(self, found: Leftovers) -> None:
        try:
            delete_servers(found, self.timeouts.action)
        except StuckError as error:
            raise CloudError(str(error)) from error

    def power_off(self, server_id: int) -> None:
        """Shut the server down and wait until it is off; pull the plug if it does not listen."""
        server = self.client.servers.get_by_id(server_id)
        seconds = self.timeouts.shutdown
        if server.status != server.STATUS_OFF:
            server.shutdown().wait_until_finished()
        if not self._wait_until_off(server, seconds):
            server.power_off().wait_until_finished()
        if not self._wait_until_off(server, seconds):
            raise CloudError(
                f"server {server.name} ({server.id}) is not off {seconds} s after its shutdown and {seconds} s after it was\n"
                f"    cut from power (node-images:timeouts.shutdown): look at its console, or delete it"
            )

    def restart(self, server_id: int) -> None:
        """Shut the server down and start it again: its kernel begins anew."""
        self.power_off(server_id)
        self.client.servers.get_by_id(server_id).power_on().wait_until_finished()

    def connect(self, nodes: Sequence[ClusterNode]) -> None:
        """Let servers of ours reach each other as nodes of one cluster; otherwise their firewalls let in SSH alone."""
        for node in nodes:
            firewall = self.client.firewalls.get_by_name(node.name)
            if firewall is None or not _ours(firewall.labels, node.labels):
                raise CloudError(
                    f"the firewall of server {node.name} is gone: somebody deleted or renamed it; run `up` again"
                )
            others = [f"{other.address}/32" for other in nodes if other != node]
            rules = [
                FirewallRule("in", kind, others, port=port, description=OF_THE_OTHER_NODE)
                for kind, port in CLUSTER_PORTS
            ]
            kept = [rule for rule in firewall.rules or [] if rule.description != OF_THE_OTHER_NODE]
            self._finish(firewall.set_rules([*kept, *rules]), f"firewall {node.name}")

    # --- publishing ----------------------------------------------------------------------------------------------

    def publish(self, image_id: int, name: str, architecture: str) -> BoundImage:
        """Give the snapshot the name by which CAPH finds it. Raises CloudError where that name would be ambiguous."""
        self._refuse_rivals(image_id, name, architecture)
        image = self.client.images.get_by_id(image_id)
        if image.status != "available":
            raise CloudError(f"snapshot {image_id} is not complete ({image.status}): it gets no name; run `up` again")
        published = image.update(labels={**(image.labels or {}), CAPH_IMAGE_NAME: name})
        try:
            # Another stack may have published the same name at the same time: then neither of them keeps it.
            self._refuse_rivals(image_id, name, architecture)
        except CloudError:
            self.withdraw(image_id)
            raise
        self._remove_twins(published)
        return published

    def _refuse_rivals(self, image_id: int, name: str, architecture: str) -> None:
        rivals = [
            image.id
            for image in self.client.images.get_all(label_selector=f"{CAPH_IMAGE_NAME}={name}")
            if image.id != image_id and image.architecture == architecture
        ]
        if rivals:
            raise CloudError(
                f"snapshot {rivals[0]} carries {CAPH_IMAGE_NAME}={name} for {architecture} already: with two of them CAPH\n"
                f"    makes no server. Remove the label or the snapshot, or build in another project."
            )

    def _remove_twins(self, published: BoundImage) -> None:
        """Snapshots of the same content that a killed run made and never came to know of."""
        content = {key: (published.labels or {})[key] for key in ("managed-by", "stack", "digest", "architecture")}
        for twin in self.client.images.get_all(
            type=["snapshot"], label_selector=f"{selector(content)},!{CAPH_IMAGE_NAME}"
        ):
            if twin.status == "available":  # one that is still being made cannot be deleted: `sweep` does that later
                ignore_missing(twin.delete)

    def withdraw(self, image_id: int) -> None:
        """Take the name away again; a snapshot that is gone needs nothing."""

        def remove() -> None:
            image = self.client.images.get_by_id(image_id)
            if CAPH_IMAGE_NAME in (image.labels or {}):
                labels = {key: value for key, value in (image.labels or {}).items() if key != CAPH_IMAGE_NAME}
                image.update(labels=labels)

        ignore_missing(remove)

    def withdraw_all(self, labels: Mapping[str, str]) -> list[int]:
        """Take the name away from every snapshot with these labels; returns their ids."""
        wanted = f"{selector(labels)},{CAPH_IMAGE_NAME}"
        found = [
            int(image.id) for image in self.client.images.get_all(type=["snapshot"], label_selector=wanted) if image.id
        ]
        for image_id in found:
            self.withdraw(image_id)
        return found

    def protect(self, image_id: int, *, delete: bool) -> None:
        """Have Hetzner Cloud refuse to delete the snapshot, or let it be deleted again."""
        image = self.client.images.get_by_id(image_id)
        if bool(image.protection and image.protection["delete"]) != delete:
            image.change_protection(delete=delete).wait_until_finished()

    def snapshot(self, image_id: int) -> Snapshot | None:
        """The snapshot as it is now; nothing where it is gone."""
        try:
            return read_snapshot(self.client.images.get_by_id(image_id))
        except APIException as error:
            if error.code == "not_found":
                return None
            raise

    # --- details -------------------------------------------------------------------------------------------------

    def _has_login_key(self, request: ServerRequest) -> bool:
        found = self.client.ssh_keys.get_by_name(request.name)
        return found is not None and found.public_key == request.login_key

    def _login_key(self, request: ServerRequest) -> BoundSSHKey:
        found = self.client.ssh_keys.get_by_name(request.name)
        if found and found.public_key == request.login_key:
            return found
        if found:
            self._refuse_foreign("SSH key", found, request)
            ignore_missing(found.delete)
        try:
            return self.client.ssh_keys.create(request.name, request.login_key, dict(request.labels))
        except (APIException, requests.RequestException):
            found = self.client.ssh_keys.get_by_name(request.name)  # the answer may have been lost after it was made
            if found and found.public_key == request.login_key:
                return found
            raise

    def _firewall(self, request: ServerRequest) -> BoundFirewall:
        """Only SSH comes in, and only from where the stack file allows it."""
        rules = [FirewallRule("in", "tcp", list(request.ssh_from or ANYWHERE), port=str(request.ssh_port))]
        found = self.client.firewalls.get_by_name(request.name)
        if found:
            self._refuse_foreign("firewall", found, request)
            delete_firewall(found, self.timeouts.action)
        try:
            labels: Any = dict(request.labels)  # the SDK's annotation says text, which the API refuses
            return self.client.firewalls.create(request.name, rules, labels).firewall
        except (APIException, requests.RequestException):
            found = self.client.firewalls.get_by_name(request.name)
            if found and _ours(found.labels, request.labels):
                return found
            raise

    def _create_somewhere(self, request: ServerRequest, key: BoundSSHKey, firewall: BoundFirewall) -> BoundServer:
        image = self._image(request)
        refusals = []
        for server_type, location in places(request.server_types, request.locations, self.offers()):
            try:
                response = self.client.servers.create(
                    name=request.name,
                    server_type=_named(self.client.server_types.get_by_name, server_type, "server type"),
                    location=_named(self.client.locations.get_by_name, location, "location"),
                    image=image,
                    ssh_keys=[key],
                    firewalls=[firewall],
                    user_data=request.user_data,
                    labels=dict(request.labels),
                )
            except (APIException, requests.RequestException) as error:
                if isinstance(error, APIException) and error.code in TRY_ELSEWHERE:
                    refusals.append(f"    {server_type} in {location}: {error.message} ({error.code})")
                    continue
                made = self.client.servers.get_by_name(request.name)
                if made and made.labels == dict(request.labels):
                    return self._running(made)  # the answer was lost after the server was made
                raise CloudError(self._explain(error)) from error
            self._finish([response.action, *response.next_actions], f"server {request.name}")
            response.server.reload()
            return response.server
        raise CloudError(
            f"no server to be had for {request.name}; every server type and location was refused:\n"
            + "\n".join(refusals)
            + "\n    Add others to node-images:serverTypes or node-images:locations in the stack file, or try again later."
        )

    def _running(self, server: BoundServer) -> BoundServer:
        """One that was made and never started, or was off when its run was killed, is started."""
        if server.status == server.STATUS_OFF:
            self._finish([server.power_on()], f"server {server.name}")
        return server

    def _finish(self, actions: Sequence[BoundAction], what: str) -> None:
        for action in actions:
            try:
                action.wait_until_finished()
            except ActionTimeoutException as error:
                raise CloudError(
                    f"{what}: waited {self.timeouts.action} s for Hetzner Cloud to finish {action.command}, and it is at\n"
                    f"    {action.progress} % (node-images:timeouts.action). Look at status.hetzner.com, then run `up` again"
                ) from error

    def _image(self, request: ServerRequest) -> Image:
        if isinstance(request.image, int):
            return self.client.images.get_by_id(request.image)
        image = self.client.images.get_by_name_and_architecture(request.image, request.architecture)
        if image is None:
            raise CloudError(f"Hetzner Cloud has no system image {request.image} for {request.architecture}")
        return image

    def _server(self, server_id: int) -> BoundServer | None:
        try:
            return self.client.servers.get_by_id(server_id)
        except APIException as error:
            if error.code == "not_found":
                return None
            raise

    def _wait_until_off(self, server: BoundServer, seconds: float) -> bool:
        for _ in polls(seconds):
            server.reload()
            if server.status == server.STATUS_OFF:
                return True
        return False

    @staticmethod
    def _refuse_foreign(kind: str, found: BoundServer | BoundSSHKey | BoundFirewall, request: ServerRequest) -> None:
        if not _ours(found.labels, request.labels):
            raise CloudError(
                f"{kind} {request.name} exists that this stack did not make (id {found.id}).\n"
                "    It is left alone: rename or delete it, then run again."
            )

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Whatever the API refuses, or that it does not answer, becomes a CloudError that says what to do."""
        try:
            yield
        except (APIException, requests.RequestException) as error:
            raise CloudError(self._explain(error)) from error

    def _explain(self, error: Exception) -> str:
        if isinstance(error, APIException) and error.code == "unauthorized":
            return (
                f"{self.endpoint} refuses the API token (unauthorized): hcloud:token, or HCLOUD_TOKEN, is not a token of\n"
                "    that project, or has been deleted. Set another: ./pulumiw config set --secret hcloud:token --stack STACK"
            )
        if isinstance(error, APIException) and error.code in (404, "not_found"):
            return (
                f"{self.endpoint} is not the Hetzner Cloud API: it does not know images (404).\n"
                "    Correct hcloud:endpoint in the stack file; it ends with /v1. Or another program has the sandbox's port."
            )
        if isinstance(error, APIException) and error.code == "resource_limit_exceeded":
            return (
                f"a quota of the Hetzner project is used up: {error.message} ({error.code}).\n"
                "    It may be that of servers, primary IPs (each server has one) or snapshots. Delete what is not needed\n"
                "    (./node-images sweep shows leftovers), lower node-images:maxParallel, or have it raised in the Console."
            )
        if isinstance(error, requests.RequestException):
            remedy = (
                "Start the sandbox (make sandbox-start), or correct hcloud:endpoint in the stack file"
                if _is_local(self.endpoint)
                else "Check hcloud:endpoint and the network"
            )
            return f"{self.endpoint} does not answer ({type(error).__name__}).\n    {remedy}."
        return f"{self.endpoint}: {error}"


class _Plainly(HTTPAdapter):
    """Tells a connection that cannot be had in one message: the chain of causes below it says nothing more to people."""

    def __init__(self, explain: Callable[[Exception], str]) -> None:
        super().__init__()
        self.explain = explain

    def send(self, request: requests.PreparedRequest, *args: Any, **options: Any) -> requests.Response:  # noqa: ANN401
        try:
            return super().send(request, *args, **options)
        except requests.ConnectionError as error:
            raise type(error)(f"{self.explain(error)}\n    {MOVED}\n    {error}", request=request) from None


def _refuse_nothing(response: requests.Response, **_: object) -> None:
    """The SDK takes an answer without its content for one with nothing in it, and fails with a KeyError later."""
    if response.ok and response.status_code != requests.codes.no_content and not response.content:
        raise requests.exceptions.InvalidJSONError(f"{response.status_code} with an empty body", response=response)


def _offer(server_type: str, place: ServerTypeLocation) -> Offer:
    ends = place.deprecation and place.deprecation.unavailable_after
    return Offer(
        server_type, str(place.location.name), place.available is not False, ends.date().isoformat() if ends else ""
    )


def check_local_mirror(url: str | None) -> None:
    """Raise CloudError where the artifact mirror is on this machine and does not answer: every step would fail later."""
    if url is None or not _is_local(url):
        return
    try:
        requests.head(url, timeout=10)
    except requests.RequestException as error:
        raise CloudError(
            f"the artifact mirror {url} does not answer ({type(error).__name__}).\n"
            "    Start it (make sandbox-start), or correct artifacts.mirror in the stack file"
        ) from error


def _is_local(url: str) -> bool:
    return (urlsplit(url).hostname or "").startswith(("127.", "localhost"))


def address_of(server: BoundServer) -> str:
    """The public IPv4 address: builds need one, to be provisioned over SSH."""
    if server.public_net is None or server.public_net.ipv4 is None:
        raise CloudError(f"server {server.name} has no public IPv4 address to reach it by")
    return str(server.public_net.ipv4.ip)


def wait_for_ssh(
    host: str, port: int, seconds: float = NO_HURRY.boot, still_there: Callable[[], bool] = lambda: True
) -> None:
    """Wait until an SSH server greets on the port; raises CloudError if none does, or its server has been deleted meanwhile."""
    for number, _ in enumerate(polls(seconds)):
        if greets(host, port):
            return
        if number % POLLS_BETWEEN_LOOKS == POLLS_BETWEEN_LOOKS - 1 and not still_there():
            raise CloudError(f"the server at {host} was deleted while it booted: its run has ended")
    raise CloudError(
        f"no SSH server on {host}:{port} within {seconds:.0f} s (node-images:timeouts.boot): the server did not boot,\n"
        f"    or port {port} is not its sshd's (node-images:sshPort), or you come from elsewhere than node-images:sshFrom says.\n"
        "    Look at the server's console; with onFailure: keep it stays for that"
    )


def greets(host: str, port: int) -> bool:
    """Whether an SSH server answers there. A port that is forwarded may take a connection and end it at once."""
    try:
        with socket.create_connection((host, port), timeout=5) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def _ours(found: Mapping[str, str] | None, ours: Mapping[str, str]) -> bool:
    return all((found or {}).get(key) == ours[key] for key in ("managed-by", "stack"))


def _named(find: Callable[[str], Named | None], name: str, kind: str) -> Named:
    found = find(name)
    if found is None:
        raise APIException("invalid_input", f"no {kind} of that name", {})
    return found
