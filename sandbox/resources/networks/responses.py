"""Networks over HTTP."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import (
    Body,
    body_of,
    by_field,
    by_labels,
    cloud_of,
    in_order,
    iso,
    no_content,
    page,
    path_id,
    reply,
)
from sandbox.cloud import Cloud
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.bodies import ProtectionBody
from sandbox.resources.labels import LabelDict
from sandbox.resources.networks import ranges
from sandbox.resources.networks.models import MemberKind, Network, NewNetwork, NewSubnet, Route, Wish


class SubnetBody(Body):
    """A subnet."""

    type: Literal["cloud", "server", "vswitch"]
    ip_range: str | None = None
    network_zone: str
    vswitch_id: int | None = None

    def subnet(self) -> NewSubnet:
        """In the model's form; clients send a zero for no vSwitch."""
        return NewSubnet(**self.model_dump(exclude={"vswitch_id"}), vswitch_id=self.vswitch_id or None)


class RouteBody(Body):
    """A route."""

    destination: str
    gateway: str

    def route(self) -> Route:
        """In the model's form."""
        return Route(destination=self.destination, gateway=self.gateway)


class CreateBody(Body):
    """``POST /networks``."""

    name: str = Field(min_length=1)
    ip_range: str
    labels: LabelDict = {}
    subnets: list[SubnetBody] = []
    routes: list[RouteBody] = []
    expose_routes_to_vswitch: bool = False


class UpdateBody(Body):
    """``PUT /networks/{id}``."""

    name: str | None = Field(None, min_length=1)
    labels: LabelDict | None = None
    expose_routes_to_vswitch: bool | None = None


class RangeBody(Body):
    """``.../actions/change_ip_range`` and ``delete_subnet``."""

    ip_range: str


class NetworkBody(Body):
    """Which network to attach to, and with which addresses."""

    network: int
    ip: str | None = None
    ip_range: str | None = None
    alias_ips: list[str] = []

    def wish(self) -> Wish:
        """In the model's form."""
        return Wish(ip=self.ip, ip_range=self.ip_range, alias_ips=self.alias_ips)


def shape(network: Network) -> dict[str, Any]:
    """As in the API."""
    gateway = str(ranges.gateway_of(network.range))
    subnets = [item.model_dump() | {"gateway": gateway, "vswitch_id": None} for item in network.subnets]
    return {
        "id": network.id,
        "name": network.name,
        "ip_range": network.ip_range,
        "subnets": subnets,
        "routes": [item.model_dump() for item in network.routes],
        "servers": network.ids("server"),
        "load_balancers": network.ids("load_balancer"),
        "protection": {"delete": network.protected},
        "labels": network.labels,
        "created": iso(network.created),
        "expose_routes_to_vswitch": network.expose_routes_to_vswitch,
    }


def shape_private_net(cloud: Cloud, kind: MemberKind, member_id: int) -> list[dict[str, Any]]:
    """The networks of a server or of a load balancer, as they show them."""
    attached = list(cloud.networks.of(kind, member_id))
    if kind == "load_balancer":
        return [{"network": network.id, "ip": member.ip} for network, member in attached]
    return [
        {"network": network.id, "ip": member.ip, "alias_ips": member.alias_ips, "mac_address": member.mac}
        for network, member in attached
    ]


async def list_all(request: Request) -> Response:
    """``GET /networks``."""
    kept = by_field(request, by_labels(request, cloud_of(request).networks.all), "name")
    return page(request, "networks", in_order(request, kept), shape)


async def create(request: Request) -> Response:
    """``POST /networks``."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    given = body.model_dump(exclude={"subnets"})
    made = cloud.networks.create(NewNetwork(**given, subnets=[item.subnet() for item in body.subnets]))
    return reply(201, network=shape(made))


async def get(request: Request) -> Response:
    """``GET /networks/{id}``."""
    return reply(network=shape(cloud_of(request).networks.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /networks/{id}``."""
    body, networks = await body_of(request, UpdateBody), cloud_of(request).networks
    network = networks.get(path_id(request))
    return reply(network=shape(networks.update(network, body.name, body.labels, body.expose_routes_to_vswitch)))


async def delete(request: Request) -> Response:
    """``DELETE /networks/{id}``."""
    cloud = cloud_of(request)
    cloud.connections.delete_network(cloud.networks.get(path_id(request)))
    return no_content()


async def add_subnet(request: Request) -> Response:
    """``POST /networks/{id}/actions/add_subnet``."""
    body, networks = await body_of(request, SubnetBody), cloud_of(request).networks
    return reply_action(networks.add_subnet(networks.get(path_id(request)), body.subnet()))


async def delete_subnet(request: Request) -> Response:
    """``POST /networks/{id}/actions/delete_subnet``."""
    body, networks = await body_of(request, RangeBody), cloud_of(request).networks
    return reply_action(networks.delete_subnet(networks.get(path_id(request)), body.ip_range))


async def add_route(request: Request) -> Response:
    """``POST /networks/{id}/actions/add_route``."""
    body, networks = await body_of(request, RouteBody), cloud_of(request).networks
    return reply_action(networks.add_route(networks.get(path_id(request)), body.route()))


async def delete_route(request: Request) -> Response:
    """``POST /networks/{id}/actions/delete_route``."""
    body, networks = await body_of(request, RouteBody), cloud_of(request).networks
    return reply_action(networks.delete_route(networks.get(path_id(request)), body.route()))


async def change_ip_range(request: Request) -> Response:
    """``POST /networks/{id}/actions/change_ip_range``."""
    body, networks = await body_of(request, RangeBody), cloud_of(request).networks
    return reply_action(networks.change_ip_range(networks.get(path_id(request)), body.ip_range))


async def change_protection(request: Request) -> Response:
    """``POST /networks/{id}/actions/change_protection``."""
    body, networks = await body_of(request, ProtectionBody), cloud_of(request).networks
    return reply_action(networks.protect(networks.get(path_id(request)), body.delete))
