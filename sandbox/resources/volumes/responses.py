"""Volumes over HTTP."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator
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
from sandbox.resources.bodies import ProtectionBody
from sandbox.resources.catalogue import models as catalogue
from sandbox.resources.catalogue import responses as shapes
from sandbox.resources.labels import LabelDict
from sandbox.resources.servers.models import Server
from sandbox.resources.volumes.models import Format, Volume

NAME = re.compile(r"[a-zA-Z0-9]([a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?")
STATUSES = ("available", "creating")


def check_name(name: str) -> str:
    """Raises ValueError."""
    if not NAME.fullmatch(name):
        raise ValueError(
            "must have at most 64 letters, digits, dashes, underscores and dots, and start and end with a letter or digit"
        )
    return name


VolumeName = Annotated[str, AfterValidator(check_name)]


class CreateBody(Body):
    """``POST /volumes``."""

    name: VolumeName
    size: int
    server: int | None = None
    location: str | None = None
    format: Format | None = None
    automount: bool | None = None
    labels: LabelDict = {}


class UpdateBody(Body):
    """``PUT /volumes/{id}``."""

    name: VolumeName | None = None
    labels: LabelDict | None = None


class AttachBody(Body):
    """``.../actions/attach``."""

    server: int
    automount: bool | None = None


class SizeBody(Body):
    """``.../actions/resize``."""

    size: float


def shape(volume: Volume) -> dict[str, Any]:
    """As in the API."""
    return {
        "id": volume.id,
        "name": volume.name,
        "size": volume.size,
        "format": volume.format,
        "status": volume.status,
        "server": volume.server,
        "location": shapes.shape_location(catalogue.location(volume.location)),
        "linux_device": f"/dev/disk/by-id/scsi-0HC_Volume_{volume.id}",
        "protection": {"delete": volume.protected},
        "labels": volume.labels,
        "created": iso(volume.created),
    }


async def list_all(request: Request) -> Response:
    """``GET /volumes``."""
    kept = by_field(request, by_labels(request, cloud_of(request).volumes.all), "name")
    kept = by_field(request, kept, "status", STATUSES)
    return page(request, "volumes", in_order(request, kept), shape)


async def create(request: Request) -> Response:
    """``POST /volumes``: for a server, or for a location."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    server = server_of(cloud, body)
    location = server.location if server else catalogue.location(str(body.location)).name
    volume = cloud.volumes.create(body.name, body.size, body.format, location, body.labels)
    server_id = server.id if server else None
    created, following = cloud.volumes.begin_creation(volume, server_id)
    return reply(
        201,
        volume=shape(volume) | {"server": server_id},
        action=actions.shape(created),
        next_actions=[actions.shape(action) for action in following],
    )


def server_of(cloud: Cloud, body: CreateBody) -> Server | None:
    """The server that is to have it. Raises not_found, locked, invalid_input, resource_limit_exceeded."""
    if (body.server is None) == (body.location is None):
        raise invalid_input(("location", "give either location or server"))
    if body.server is None:
        if body.automount:
            raise invalid_input(("automount", "needs a server"))
        return None
    server = cloud.servers.get(body.server)
    cloud.servers.require_unlocked(server)
    cloud.volumes.require_room(server.id)
    return server


async def get(request: Request) -> Response:
    """``GET /volumes/{id}``."""
    return reply(volume=shape(cloud_of(request).volumes.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /volumes/{id}``."""
    body, volumes = await body_of(request, UpdateBody), cloud_of(request).volumes
    return reply(volume=shape(volumes.update(volumes.get(path_id(request)), body.name, body.labels)))


async def delete(request: Request) -> Response:
    """``DELETE /volumes/{id}``."""
    volumes = cloud_of(request).volumes
    volumes.delete(volumes.get(path_id(request)))
    return no_content()


async def attach(request: Request) -> Response:
    """``POST /volumes/{id}/actions/attach``."""
    body, cloud = await body_of(request, AttachBody), cloud_of(request)
    volume, server = cloud.volumes.get(path_id(request)), cloud.servers.get(body.server)
    cloud.servers.require_unlocked(server)
    return reply_action(cloud.volumes.attach(volume, server.id, server.location))


async def detach(request: Request) -> Response:
    """``POST /volumes/{id}/actions/detach``."""
    cloud = cloud_of(request)
    volume = cloud.volumes.get(path_id(request))
    if volume.server is not None:
        cloud.servers.require_unlocked(cloud.servers.get(volume.server))
    return reply_action(cloud.volumes.detach(volume))


async def resize(request: Request) -> Response:
    """``POST /volumes/{id}/actions/resize``."""
    body, volumes = await body_of(request, SizeBody), cloud_of(request).volumes
    if not body.size.is_integer():
        raise invalid_input(("size", "must be a whole number of GB"))
    return reply_action(volumes.resize(volumes.get(path_id(request)), int(body.size)))


async def change_protection(request: Request) -> Response:
    """``POST /volumes/{id}/actions/change_protection``."""
    body, volumes = await body_of(request, ProtectionBody), cloud_of(request).volumes
    return reply_action(volumes.protect(volumes.get(path_id(request)), body.delete))
