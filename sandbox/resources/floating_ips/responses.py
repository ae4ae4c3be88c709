"""Floating IPs over HTTP."""

from __future__ import annotations

from typing import Any

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
from sandbox.errors import invalid_input
from sandbox.resources.actions import responses as actions
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.addresses import IpType, shape_common
from sandbox.resources.bodies import DnsPtrBody
from sandbox.resources.catalogue import models as catalogue
from sandbox.resources.catalogue import responses as shapes
from sandbox.resources.floating_ips.models import FloatingIp
from sandbox.resources.labels import LabelDict
from sandbox.resources.primary_ips.responses import ProtectionBody

SORT = ("id", "created")


class CreateBody(Body):
    """``POST /floating_ips``."""

    type: IpType
    server: int | None = None
    home_location: str | None = None
    name: str | None = Field(None, min_length=1)
    description: str | None = None
    labels: LabelDict = {}


class UpdateBody(Body):
    """``PUT /floating_ips/{id}``."""

    name: str | None = Field(None, min_length=1)
    description: str | None = None
    labels: LabelDict | None = None


class AssignBody(Body):
    """``.../actions/assign``."""

    server: int


def shape(address: FloatingIp) -> dict[str, Any]:
    """As in the API."""
    return {
        **shape_common(address),
        "description": address.description,
        "server": address.server,
        "home_location": shapes.shape_location(catalogue.location(address.location)),
        "created": iso(address.created),
    }


async def list_all(request: Request) -> Response:
    """``GET /floating_ips``."""
    kept = by_field(request, by_labels(request, cloud_of(request).floating_ips.all), "name")
    return page(request, "floating_ips", in_order(request, kept, SORT), shape)


async def create(request: Request) -> Response:
    """``POST /floating_ips``: for a server, or for a location."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    if body.server is None and body.home_location is None:
        raise invalid_input(("home_location", "is required unless a server is given"))
    server = cloud.servers.get(body.server) if body.server is not None else None
    home = catalogue.location(body.home_location or (server.location if server else ""))
    floating_ips = cloud.floating_ips
    address = floating_ips.create(body.name, body.type, home.name, body.description or "", body.labels)
    if not server:
        return reply(201, floating_ip=shape(address))
    action = floating_ips.assign(address, server.id)
    return reply(201, floating_ip=shape(address) | {"server": server.id}, action=actions.shape(action))


async def get(request: Request) -> Response:
    """``GET /floating_ips/{id}``."""
    return reply(floating_ip=shape(cloud_of(request).floating_ips.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /floating_ips/{id}``."""
    body, floating_ips = await body_of(request, UpdateBody), cloud_of(request).floating_ips
    address = floating_ips.get(path_id(request))
    return reply(floating_ip=shape(floating_ips.update(address, body.name, body.description, body.labels)))


async def delete(request: Request) -> Response:
    """``DELETE /floating_ips/{id}``."""
    floating_ips = cloud_of(request).floating_ips
    floating_ips.delete(floating_ips.get(path_id(request)))
    return no_content()


async def assign(request: Request) -> Response:
    """``POST /floating_ips/{id}/actions/assign``."""
    body, cloud = await body_of(request, AssignBody), cloud_of(request)
    address, server = cloud.floating_ips.get(path_id(request)), cloud.servers.get(body.server)
    return reply_action(cloud.floating_ips.assign(address, server.id))


async def unassign(request: Request) -> Response:
    """``POST /floating_ips/{id}/actions/unassign``."""
    floating_ips = cloud_of(request).floating_ips
    return reply_action(floating_ips.unassign(floating_ips.get(path_id(request))))


async def change_dns_ptr(request: Request) -> Response:
    """``POST /floating_ips/{id}/actions/change_dns_ptr``."""
    body, floating_ips = await body_of(request, DnsPtrBody), cloud_of(request).floating_ips
    action = floating_ips.rename(floating_ips.get(path_id(request)), body.ip, body.dns_ptr)
    return reply_action(action)


async def change_protection(request: Request) -> Response:
    """``POST /floating_ips/{id}/actions/change_protection``."""
    body, floating_ips = await body_of(request, ProtectionBody), cloud_of(request).floating_ips
    return reply_action(floating_ips.protect(floating_ips.get(path_id(request)), body.delete))
