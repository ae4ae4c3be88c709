"""Images over HTTP."""

from __future__ import annotations

from typing import Any, Literal

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
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.bodies import ProtectionBody
from sandbox.resources.images.models import Image
from sandbox.resources.labels import LabelDict


class UpdateBody(Body):
    """``PUT /images/{id}``; ``type`` turns a backup into a snapshot."""

    description: str | None = None
    type: Literal["snapshot"] | None = None
    labels: LabelDict | None = None


def shape(image: Image) -> dict[str, Any]:
    """As in the API."""
    origin = image.created_from
    return {
        "id": image.id,
        "type": image.type,
        "status": image.status,
        "name": image.name,
        "description": image.description,
        "architecture": image.architecture,
        "os_flavor": image.os_flavor,
        "os_version": image.os_version,
        "image_size": image.image_size,
        "disk_size": image.disk_size,
        "created": iso(image.created),
        "created_from": {"id": origin.id, "name": origin.name} if origin else None,
        "bound_to": image.bound_to,
        "deleted": None,
        "deprecated": None,
        "rapid_deploy": image.type == "system",
        "labels": image.labels,
        "protection": {"delete": image.protected},
    }


async def list_all(request: Request) -> Response:
    """``GET /images``. ``include_deprecated`` changes nothing: no image here is."""
    kept = by_labels(request, cloud_of(request).images.all)
    kept = by_field(request, kept, "type", ("system", "snapshot", "backup", "app"))
    kept = by_field(request, kept, "status", ("available", "creating", "unavailable"))
    kept = by_field(request, kept, "architecture", ("x86", "arm"))
    kept = by_field(request, kept, "name")
    kept = by_field(request, kept, "bound_to")
    return page(request, "images", in_order(request, kept), shape)


async def get(request: Request) -> Response:
    """``GET /images/{id}``."""
    return reply(image=shape(cloud_of(request).images.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /images/{id}``."""
    body, images = await body_of(request, UpdateBody), cloud_of(request).images
    image = images.update(images.get(path_id(request)), body.description, body.labels)
    if body.type == "snapshot":
        images.convert(image)
    return reply(image=shape(image))


async def delete(request: Request) -> Response:
    """``DELETE /images/{id}``."""
    cloud = cloud_of(request)
    cloud.servers.delete_image(cloud.images.get(path_id(request)))
    return no_content()


async def change_protection(request: Request) -> Response:
    """``POST /images/{id}/actions/change_protection``."""
    body, cloud = await body_of(request, ProtectionBody), cloud_of(request)
    image = cloud.images.get(path_id(request))
    cloud.images.protect(image, body.delete)
    return reply_action(cloud.actions.done("change_protection", ("image", image.id)))
