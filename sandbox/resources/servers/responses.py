"""Servers over HTTP."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import Body, body_of, by_field, by_labels, cloud_of, in_order, iso, page, path_id, reply
from sandbox.cloud import Cloud
from sandbox.errors import CloudError, invalid_input
from sandbox.resources.actions import responses as actions
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.addresses import IpType, dns_ptr, within
from sandbox.resources.bodies import DnsPtrBody
from sandbox.resources.catalogue import models as catalogue
from sandbox.resources.catalogue import responses as shapes
from sandbox.resources.firewalls.models import FIREWALLS_PER_SERVER, Firewall, Target
from sandbox.resources.images import responses as images
from sandbox.resources.images.models import Image
from sandbox.resources.isos.models import Iso
from sandbox.resources.isos.models import iso as iso_of
from sandbox.resources.labels import LabelDict, matches
from sandbox.resources.load_balancers.targets import about_server
from sandbox.resources.networks.responses import shape_private_net
from sandbox.resources.placement_groups import responses as groups
from sandbox.resources.primary_ips.models import PrimaryIp
from sandbox.resources.servers.belongings import IP_TYPES, Addresses
from sandbox.resources.servers.models import NewServer, Server

HOSTNAME = re.compile(
    r"(?=.{1,253}$)[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?(\.[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?)*"
)
USER_DATA_MAX = 32 * 1024
STATUSES = ("running", "initializing", "starting", "stopping", "off", "deleting", "rebuilding", "migrating", "unknown")


def check_hostname(name: str) -> str:
    """Raises ValueError."""
    if not HOSTNAME.fullmatch(name):
        raise ValueError(
            "must be a valid hostname: letters, digits, periods and dashes, starting and ending with a letter or digit"
        )
    return name


Hostname = Annotated[str, AfterValidator(check_hostname)]


class FirewallRef(Body):
    """A firewall by id."""

    firewall: int


class PublicNet(Body):
    """Which addresses it gets: primary IPs that are there, or new ones."""

    enable_ipv4: bool = True
    enable_ipv6: bool = True
    ipv4: int | None = None
    ipv6: int | None = None


class CreateBody(Body):
    """``POST /servers``. References are names or ids; clients send ids as numbers or strings."""

    name: Hostname
    server_type: str | int
    image: str | int
    location: str | int | None = None
    datacenter: str | int | None = None
    ssh_keys: list[str | int] = []
    user_data: str | None = Field(None, max_length=USER_DATA_MAX)
    labels: LabelDict = {}
    firewalls: list[FirewallRef] = []
    start_after_create: bool = True
    public_net: PublicNet = PublicNet()
    networks: list[int] = []
    volumes: list[int] = []
    placement_group: int | None = None
    automount: bool | None = None


class UpdateBody(Body):
    """``PUT /servers/{id}``."""

    name: Hostname | None = None
    labels: LabelDict | None = None


class ImageBody(Body):
    """``.../actions/create_image``."""

    description: str | None = None
    labels: LabelDict = {}
    type: Literal["snapshot", "backup"] = "snapshot"


class RebuildBody(Body):
    """``.../actions/rebuild``."""

    image: str | int
    user_data: str | None = Field(None, max_length=USER_DATA_MAX)


class TypeBody(Body):
    """``.../actions/change_type``."""

    server_type: str | int
    upgrade_disk: bool


class ProtectionBody(Body):
    """``.../actions/change_protection``."""

    delete: bool | None = None
    rebuild: bool | None = None


def shape(cloud: Cloud, server: Server) -> dict[str, Any]:
    """As in the API."""
    place = catalogue.location(server.location)
    return {
        "id": server.id,
        "name": server.name,
        "status": server.status,
        "created": iso(server.created),
        "public_net": shape_public_net(cloud, server),
        "private_net": shape_private_net(cloud, "server", server.id),
        "server_type": shapes.shape_type_of_server(catalogue.server_type(server.server_type)),
        "datacenter": shapes.shape_datacenter(place),
        "location": shapes.shape_location(place),
        "image": images.shape(cloud.images.now(server.image)),
        "iso": None if server.iso is None else shape_iso(iso_of(str(server.iso))),
        "rescue_enabled": server.rescue_enabled,
        "locked": cloud.servers.locked(server),
        "backup_window": server.backup_window,
        "outgoing_traffic": 0,
        "ingoing_traffic": 0,
        "included_traffic": catalogue.TRAFFIC_EU,
        "protection": {"delete": server.protected, "rebuild": server.protected},
        "labels": server.labels,
        "volumes": [volume.id for volume in cloud.volumes.all.of(server.id)],
        "load_balancers": about_server(cloud, server),
        "primary_disk_size": server.disk,
        "placement_group": groups.shape_of(cloud, server.placement_group),
    }


def shape_iso(item: Iso) -> dict[str, Any]:
    """As in the API."""
    return {
        "id": item.id,
        "name": item.name,
        "description": item.description,
        "type": "public",
        "architecture": item.architecture,
        "deprecation": None,
    }


def shape_public_net(cloud: Cloud, server: Server) -> dict[str, Any]:
    """IPv4 is real (loopback range); IPv6 is from the documentation range and leads nowhere."""
    found = {address.type: address for address in cloud.primary_ips.all.of(server.id)}
    shown = {kind: {"id": found[kind].id, "ip": found[kind].ip, "blocked": False} for kind in found}
    if "ipv4" in found:
        shown["ipv4"]["dns_ptr"] = dns_ptr(found["ipv4"])[0]["dns_ptr"]
    if "ipv6" in found:
        shown["ipv6"]["dns_ptr"] = dns_ptr(found["ipv6"])
    return {
        **{kind: shown.get(kind) for kind in IP_TYPES},
        "floating_ips": [address.id for address in cloud.floating_ips.all.of(server.id)],
        "firewalls": [{"id": number, "status": "applied"} for number in firewall_ids(cloud, server)],
    }


def firewall_ids(cloud: Cloud, server: Server) -> list[int]:
    """Applied by id or by label."""

    def hits(target: Target) -> bool:
        return target.server == server.id or bool(target.selector and matches(target.selector, server.labels))

    return [firewall.id for firewall in cloud.firewalls.all if any(hits(target) for target in firewall.applied_to)]


def resolve(cloud: Cloud, body: CreateBody) -> NewServer:
    """Every reference to what it means. Raises not_found, invalid_input."""
    require_one_place(body)
    server_type = catalogue.server_type(str(body.server_type))
    addresses, volumes = addresses_of(cloud, body), tuple(map(cloud.volumes.get, dict.fromkeys(body.volumes)))
    return NewServer(
        name=body.name,
        type=server_type,
        location=place_of(body, server_type, [item.location for item in (*addresses.values(), *volumes) if item]),
        image=cloud.images.find(str(body.image), server_type.architecture),
        public_keys=tuple(cloud.ssh_keys.find(ref).public_key for ref in body.ssh_keys),
        user_data=body.user_data or "",
        labels=body.labels,
        start=body.start_after_create,
        addresses=addresses,
        volumes=volumes,
        placement_group=body.placement_group,
    )


def addresses_of(cloud: Cloud, body: CreateBody) -> Addresses:
    """By type: a primary IP that is there, or None for a new one. Raises not_found, invalid_input."""
    chosen: dict[IpType, PrimaryIp | None] = {}
    for kind in IP_TYPES:
        number = getattr(body.public_net, kind)
        if getattr(body.public_net, f"enable_{kind}"):
            chosen[kind] = cloud.primary_ips.get(number) if number is not None else None
        elif number is not None:
            raise invalid_input(("public_net", f"{kind} must not be given where enable_{kind} is false"))
    if not chosen and not body.networks and body.start_after_create:
        raise invalid_input(("public_net", "a server without any network interface cannot be started"))
    return chosen


def require_one_place(body: CreateBody) -> None:
    """Raises invalid_input."""
    if body.location is not None and body.datacenter is not None:
        raise invalid_input(("location", "only one of location and datacenter may be given"))


def place_of(body: CreateBody, server_type: catalogue.ServerType, where: list[str]) -> catalogue.Location:
    """As asked, else where its addresses and volumes are, else the first location that has the server type."""
    if body.datacenter is not None:
        return catalogue.location_of_datacenter(str(body.datacenter))
    return catalogue.location(
        str(body.location) if body.location is not None else [*where, server_type.first_location][0]
    )


async def list_all(request: Request) -> Response:
    """``GET /servers``."""
    cloud = cloud_of(request)
    kept = by_labels(request, cloud.servers.all)
    kept = by_field(request, by_field(request, kept, "name"), "status", STATUSES)
    return page(request, "servers", in_order(request, kept), lambda server: shape(cloud, server))


async def create(request: Request) -> Response:
    """``POST /servers``."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    new = resolve(cloud, body)
    walls = [cloud.firewalls.get(number) for number in dict.fromkeys(ref.firewall for ref in body.firewalls)]
    require_few(walls)
    await check_room(cloud, new.image)
    admitted = cloud.connections.admit_new(body.networks, new.location)
    server, created, following = cloud.servers.create(new)
    cloud.connections.join(server, admitted)
    for wall in walls:
        cloud.firewalls.apply(wall, [Target(type="server", server=server.id)])
    return reply(
        201,
        server=shape(cloud, server),
        action=actions.shape(created),
        next_actions=[actions.shape(action) for action in following],
        root_password=server.root_password,
    )


def require_few(walls: list[Firewall]) -> None:
    """Raises resource_limit_exceeded."""
    if len(walls) > FIREWALLS_PER_SERVER:
        raise CloudError("resource_limit_exceeded", f"a server has at most {FIREWALLS_PER_SERVER} firewalls")


async def check_room(cloud: Cloud, image: Image) -> None:
    """Refuse what the image store has no room for."""
    if image.type == "system":
        await cloud.machines.check_room(base_image=str(image.name))
    else:
        await cloud.machines.check_room(snapshot=image.id)


async def get(request: Request) -> Response:
    """``GET /servers/{id}``."""
    cloud = cloud_of(request)
    return reply(server=shape(cloud, cloud.servers.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /servers/{id}``."""
    body, cloud = await body_of(request, UpdateBody), cloud_of(request)
    server = cloud.servers.update(cloud.servers.get(path_id(request)), body.name, body.labels)
    return reply(server=shape(cloud, server))


async def delete(request: Request) -> Response:
    """``DELETE /servers/{id}``."""
    servers = cloud_of(request).servers
    return reply(action=actions.shape(servers.delete(servers.get(path_id(request)))))


async def power_on(request: Request) -> Response:
    """``POST /servers/{id}/actions/poweron``."""
    servers = cloud_of(request).servers
    return reply_action(servers.power_on_action(servers.get(path_id(request))))


async def power_off(request: Request) -> Response:
    """``POST /servers/{id}/actions/poweroff``."""
    servers = cloud_of(request).servers
    return reply_action(servers.power_off_action(servers.get(path_id(request))))


async def shut_down(request: Request) -> Response:
    """``POST /servers/{id}/actions/shutdown``."""
    servers = cloud_of(request).servers
    return reply_action(servers.shutdown_action(servers.get(path_id(request))))


async def reboot(request: Request) -> Response:
    """``POST /servers/{id}/actions/reboot``."""
    servers = cloud_of(request).servers
    return reply_action(servers.reboot_action(servers.get(path_id(request))))


async def reset(request: Request) -> Response:
    """``POST /servers/{id}/actions/reset``."""
    servers = cloud_of(request).servers
    return reply_action(servers.reset_action(servers.get(path_id(request))))


async def rebuild(request: Request) -> Response:
    """``POST /servers/{id}/actions/rebuild``."""
    body, cloud = await body_of(request, RebuildBody), cloud_of(request)
    server = cloud.servers.get(path_id(request))
    server_type = catalogue.server_type(server.server_type)
    image = cloud.images.find(str(body.image), server_type.architecture)
    await check_room(cloud, image)
    return reply_action(
        cloud.servers.rebuild(server, image, server_type, body.user_data), root_password=server.root_password
    )


async def create_image(request: Request) -> Response:
    """``POST /servers/{id}/actions/create_image``."""
    body, cloud = await body_of(request, ImageBody), cloud_of(request)
    server = cloud.servers.get(path_id(request))
    await cloud.machines.check_room(machine=server.id)
    make = cloud.backups.create if body.type == "backup" else cloud.servers.create_image
    action, image = make(server, body.description, body.labels)
    return reply_action(action, image=images.shape(image))


async def change_type(request: Request) -> Response:
    """``POST /servers/{id}/actions/change_type``."""
    body, servers = await body_of(request, TypeBody), cloud_of(request).servers
    server = servers.get(path_id(request))
    now, then = catalogue.server_type(server.server_type), catalogue.server_type(str(body.server_type))
    return reply_action(servers.change_type(server, then, now.architecture, body.upgrade_disk))


async def change_dns_ptr(request: Request) -> Response:
    """``POST /servers/{id}/actions/change_dns_ptr``: of its primary IPs."""
    body, cloud = await body_of(request, DnsPtrBody), cloud_of(request)
    server = cloud.servers.get(path_id(request))
    for address in cloud.primary_ips.all.of(server.id):
        if within(address, body.ip):
            return reply_action(cloud.primary_ips.rename(address, body.ip, body.dns_ptr, ("server", server.id)))
    raise invalid_input(("ip", f"'{body.ip}' is not an address of the server"))


async def change_protection(request: Request) -> Response:
    """``POST /servers/{id}/actions/change_protection``."""
    body, servers = await body_of(request, ProtectionBody), cloud_of(request).servers
    if body.rebuild is not None and body.rebuild != body.delete:
        raise invalid_input(("rebuild", "must have the same value as delete"))
    return reply_action(servers.protect(servers.get(path_id(request)), body.delete))


async def unknown_action(request: Request) -> Response:
    """Raises not_found."""
    cloud_of(request).servers.get(path_id(request))
    raise CloudError("not_found", f"there is no action {request.path_params['command']}")
