"""Primary IPs over HTTP."""

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
from sandbox.errors import invalid_input
from sandbox.resources.actions import responses as actions
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.addresses import IpType, shape_common
from sandbox.resources.bodies import DnsPtrBody
from sandbox.resources.catalogue import models as catalogue
from sandbox.resources.catalogue import responses as shapes
from sandbox.resources.labels import LabelDict
from sandbox.resources.primary_ips.models import PrimaryIp
from sandbox.resources.servers.models import Server

SORT = ("id", "created")
AssigneeType = Literal["server"]


class CreateBody(Body):
    """``POST /primary_ips``. Clients of 2026 leave out ``assignee_type``; those before it give a ``datacenter``."""

    name: str = Field(min_length=1)
    type: IpType
    assignee_type: AssigneeType = "server"
    assignee_id: int | None = None
    auto_delete: bool = False
    location: str | None = None
    datacenter: str | None = None
    labels: LabelDict = {}


class UpdateBody(Body):
    """``PUT /primary_ips/{id}``."""

    name: str | None = Field(None, min_length=1)
    labels: LabelDict | None = None
    auto_delete: bool | None = None


class AssignBody(Body):
    """``.../actions/assign``."""

    assignee_id: int
    assignee_type: AssigneeType


class ProtectionBody(Body):
    """``.../actions/change_protection``."""

    delete: bool


def shape(address: PrimaryIp) -> dict[str, Any]:
    """As in the API."""
    place = catalogue.location(address.location)
    return {
        **shape_common(address),
        "assignee_id": address.server,
        "assignee_type": "server",
        "auto_delete": address.auto_delete,
        "created": iso(address.created),
        "location": shapes.shape_location(place),
        "datacenter": shapes.shape_datacenter(place),
    }


async def list_all(request: Request) -> Response:
    """``GET /primary_ips``."""
    kept = by_labels(request, cloud_of(request).primary_ips.all)
    kept = by_field(request, by_field(request, kept, "name"), "ip")
    return page(request, "primary_ips", in_order(request, kept, SORT), shape)


async def create(request: Request) -> Response:
    """``POST /primary_ips``: for a server, or for a location."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    location, server = place_of(cloud, body)
    if server:
        cloud.assignment.require_assignable(server, body.type, location)
    address = cloud.primary_ips.create(body.name, body.type, location, body.labels, body.auto_delete)
    if not server:
        return reply(201, primary_ip=shape(address))
    action = cloud.assignment.assign(address, server)
    return reply(201, primary_ip=shape(address) | {"assignee_id": server.id}, action=actions.shape(action))


def place_of(cloud: Cloud, body: CreateBody) -> tuple[str, Server | None]:
    """The location, and the server that is to have it. Raises not_found, invalid_input."""
    given = [name for name in ("assignee_id", "location", "datacenter") if getattr(body, name) is not None]
    if len(given) != 1:
        raise invalid_input(*((name, "give assignee_id or location, and not both") for name in given or ["location"]))
    if body.assignee_id is not None:
        server = cloud.servers.get(body.assignee_id)
        return server.location, server
    if body.datacenter is not None:
        return catalogue.location_of_datacenter(body.datacenter).name, None
    return catalogue.location(str(body.location)).name, None


async def get(request: Request) -> Response:
    """``GET /primary_ips/{id}``."""
    return reply(primary_ip=shape(cloud_of(request).primary_ips.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /primary_ips/{id}``."""
    body, primary_ips = await body_of(request, UpdateBody), cloud_of(request).primary_ips
    address = primary_ips.get(path_id(request))
    return reply(primary_ip=shape(primary_ips.update(address, body.name, body.labels, body.auto_delete)))


async def delete(request: Request) -> Response:
    """``DELETE /primary_ips/{id}``."""
    primary_ips = cloud_of(request).primary_ips
    primary_ips.delete(primary_ips.get(path_id(request)))
    return no_content()


async def assign(request: Request) -> Response:
    """``POST /primary_ips/{id}/actions/assign``."""
    body, cloud = await body_of(request, AssignBody), cloud_of(request)
    address, server = cloud.primary_ips.get(path_id(request)), cloud.servers.get(body.assignee_id)
    return reply_action(cloud.assignment.assign(address, server))


async def unassign(request: Request) -> Response:
    """``POST /primary_ips/{id}/actions/unassign``."""
    cloud = cloud_of(request)
    return reply_action(cloud.assignment.unassign(cloud.primary_ips.get(path_id(request))))


async def change_dns_ptr(request: Request) -> Response:
    """``POST /primary_ips/{id}/actions/change_dns_ptr``."""
    body, primary_ips = await body_of(request, DnsPtrBody), cloud_of(request).primary_ips
    action = primary_ips.rename(primary_ips.get(path_id(request)), body.ip, body.dns_ptr)
    return reply_action(action)


async def change_protection(request: Request) -> Response:
    """``POST /primary_ips/{id}/actions/change_protection``."""
    body, primary_ips = await body_of(request, ProtectionBody), cloud_of(request).primary_ips
    return reply_action(primary_ips.protect(primary_ips.get(path_id(request)), body.delete))
