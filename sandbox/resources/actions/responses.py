"""Actions over HTTP."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import by_field, cloud_of, in_order, iso, page, path_id, reply
from sandbox.errors import CloudError, invalid_input, not_found
from sandbox.resources.actions.models import Action, concerns

SORT = ("id", "command", "status", "started", "finished")
STATUSES = ("running", "success", "error")


def shape(action: Action) -> dict[str, Any]:
    """As in the API."""
    return {
        "id": action.id,
        "command": action.command,
        "status": action.status,
        "progress": action.progress,
        "started": iso(action.started),
        "finished": iso(action.finished),
        "resources": [{"id": item.id, "type": item.type} for item in action.resources],
        "error": action.error.model_dump() if action.error else None,
    }


def reply_action(action: Action, **more: Any) -> Response:
    """201 with an action that was begun, and what else the answer has."""
    return reply(201, action=shape(action), **more)


async def list_by_id(request: Request) -> Response:
    """``GET /actions?id=1&id=2``: only by id, as since January 2025."""
    wanted = request.query_params.getlist("id")
    if not wanted:
        raise CloudError("deprecated_api_endpoint", "listing arbitrary actions was removed: give the ids to list")
    if not all(item.isdigit() for item in wanted):
        raise invalid_input(("id", "must be a list of numbers"))
    actions = cloud_of(request).actions
    return page(request, "actions", [found for item in wanted if (found := actions.all.get(int(item)))], shape)


async def get(request: Request) -> Response:
    """``GET /actions/{id}``."""
    return reply(action=shape(cloud_of(request).actions.get(path_id(request))))


def listing(request: Request, actions: list[Action]) -> Response:
    """A filtered, sorted page."""
    kept = by_field(request, actions, "status", STATUSES)
    kept = by_field(request, kept, "id")
    return page(request, "actions", in_order(request, kept, SORT), shape)


def kind_of(request: Request) -> str:
    """``/v1/servers/...`` -> ``server``."""
    return request.url.path.split("/")[2].removesuffix("s")


async def list_of_kind(request: Request) -> Response:
    """``GET /servers/actions``."""
    return listing(request, cloud_of(request).actions.of(kind_of(request)))


async def list_of_one(request: Request) -> Response:
    """``GET /servers/{id}/actions``."""
    return listing(request, cloud_of(request).actions.of(kind_of(request), path_id(request)))


async def get_of_one(request: Request) -> Response:
    """``GET /servers/{id}/actions/{action_id}`` and ``GET /servers/actions/{action_id}``."""
    action_id = path_id(request, "action_id")
    action = cloud_of(request).actions.get(action_id)
    if not concerns(action, kind_of(request), request.path_params.get("id")):
        raise not_found("action", action_id)
    return reply(action=shape(action))
