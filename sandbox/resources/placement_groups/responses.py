"""Placement groups over HTTP."""

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
from sandbox.cloud import Cloud
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.bodies import NameAndLabelsBody
from sandbox.resources.labels import LabelDict
from sandbox.resources.placement_groups.models import Kind, PlacementGroup


class CreateBody(Body):
    """``POST /placement_groups``."""

    name: str = Field(min_length=1)
    type: Kind
    labels: LabelDict = {}


class AddBody(Body):
    """``POST /servers/{id}/actions/add_to_placement_group``."""

    placement_group: int


def shape(cloud: Cloud, group: PlacementGroup) -> dict[str, Any]:
    """As in the API."""
    return {
        "id": group.id,
        "name": group.name,
        "type": group.type,
        "labels": group.labels,
        "created": iso(group.created),
        "servers": cloud.placement_groups.members(group.id),
    }


def shape_of(cloud: Cloud, group_id: int | None) -> dict[str, Any] | None:
    """As a server shows the group that it is in."""
    return None if group_id is None else shape(cloud, cloud.placement_groups.get(group_id))


async def list_all(request: Request) -> Response:
    """``GET /placement_groups``."""
    cloud = cloud_of(request)
    kept = by_field(request, by_labels(request, cloud.placement_groups.all), "name")
    kept = by_field(request, kept, "type", ("spread",))
    return page(request, "placement_groups", in_order(request, kept), lambda group: shape(cloud, group))


async def create(request: Request) -> Response:
    """``POST /placement_groups``."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    group = cloud.placement_groups.create(body.name, body.type, body.labels)
    return reply(201, placement_group=shape(cloud, group))


async def get(request: Request) -> Response:
    """``GET /placement_groups/{id}``."""
    cloud = cloud_of(request)
    return reply(placement_group=shape(cloud, cloud.placement_groups.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /placement_groups/{id}``."""
    body, cloud = await body_of(request, NameAndLabelsBody), cloud_of(request)
    group = cloud.placement_groups.update(cloud.placement_groups.get(path_id(request)), body.name, body.labels)
    return reply(placement_group=shape(cloud, group))


async def delete(request: Request) -> Response:
    """``DELETE /placement_groups/{id}``."""
    groups = cloud_of(request).placement_groups
    groups.delete(groups.get(path_id(request)))
    return no_content()


async def add_server(request: Request) -> Response:
    """``POST /servers/{id}/actions/add_to_placement_group``."""
    body, cloud = await body_of(request, AddBody), cloud_of(request)
    server = cloud.servers.get(path_id(request))
    cloud.placement_groups.add(cloud.placement_groups.get(body.placement_group), server)
    action = cloud.actions.done("add_to_placement_group", ("server", server.id))
    return reply_action(action)


async def remove_server(request: Request) -> Response:
    """``POST /servers/{id}/actions/remove_from_placement_group``."""
    cloud = cloud_of(request)
    server = cloud.servers.get(path_id(request))
    cloud.placement_groups.remove(server)
    action = cloud.actions.done("remove_from_placement_group", ("server", server.id))
    return reply_action(action)
