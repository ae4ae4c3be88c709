"""SSH keys over HTTP."""

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
from sandbox.resources.bodies import NameAndLabelsBody
from sandbox.resources.labels import LabelDict
from sandbox.resources.ssh_keys.models import SshKey


class CreateBody(Body):
    """``POST /ssh_keys``."""

    name: str = Field(min_length=1)
    public_key: str
    labels: LabelDict = {}


def shape(key: SshKey) -> dict[str, Any]:
    """As in the API."""
    return {
        "id": key.id,
        "name": key.name,
        "fingerprint": key.fingerprint,
        "public_key": key.public_key,
        "labels": key.labels,
        "created": iso(key.created),
    }


async def list_all(request: Request) -> Response:
    """``GET /ssh_keys``."""
    kept = by_labels(request, cloud_of(request).ssh_keys.all)
    kept = by_field(request, by_field(request, kept, "name"), "fingerprint")
    return page(request, "ssh_keys", in_order(request, kept), shape)


async def create(request: Request) -> Response:
    """``POST /ssh_keys``."""
    body = await body_of(request, CreateBody)
    return reply(201, ssh_key=shape(cloud_of(request).ssh_keys.create(body.name, body.public_key, body.labels)))


async def get(request: Request) -> Response:
    """``GET /ssh_keys/{id}``."""
    return reply(ssh_key=shape(cloud_of(request).ssh_keys.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /ssh_keys/{id}``."""
    body, keys = await body_of(request, NameAndLabelsBody), cloud_of(request).ssh_keys
    return reply(ssh_key=shape(keys.update(keys.get(path_id(request)), body.name, body.labels)))


async def delete(request: Request) -> Response:
    """``DELETE /ssh_keys/{id}``: servers made with it keep it."""
    keys = cloud_of(request).ssh_keys
    keys.all.remove(keys.get(path_id(request)))
    return no_content()
