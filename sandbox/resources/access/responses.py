"""Rescue system, console and root password over HTTP."""

from __future__ import annotations

from typing import Literal

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import Body, body_of, cloud_of, path_id
from sandbox.resources.actions.responses import reply_action


class RescueBody(Body):
    """``.../actions/enable_rescue``; hcloud-python sends null for the default type."""

    type: Literal["linux64"] | None = None
    ssh_keys: list[int] = []


async def enable_rescue(request: Request) -> Response:
    """``POST /servers/{id}/actions/enable_rescue``."""
    body, cloud = await body_of(request, RescueBody), cloud_of(request)
    server = cloud.servers.get(path_id(request))
    keys = tuple(cloud.ssh_keys.get(key).public_key for key in body.ssh_keys)
    action, password = cloud.access.enable_rescue(server, keys)
    return reply_action(action, root_password=password)


async def disable_rescue(request: Request) -> Response:
    """``POST /servers/{id}/actions/disable_rescue``."""
    cloud = cloud_of(request)
    return reply_action(cloud.access.disable_rescue(cloud.servers.get(path_id(request))))


async def request_console(request: Request) -> Response:
    """``POST /servers/{id}/actions/request_console``."""
    cloud = cloud_of(request)
    action, address, password = cloud.access.request_console(cloud.servers.get(path_id(request)))
    return reply_action(action, wss_url=address, password=password)


async def reset_password(request: Request) -> Response:
    """``POST /servers/{id}/actions/reset_password``."""
    cloud = cloud_of(request)
    action, password = cloud.access.reset_password(cloud.servers.get(path_id(request)))
    return reply_action(action, root_password=password)
