"""Backups over HTTP; they are listed with the other images."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import cloud_of, path_id
from sandbox.resources.actions.responses import reply_action


async def enable(request: Request) -> Response:
    """``POST /servers/{id}/actions/enable_backup``."""
    cloud = cloud_of(request)
    return reply_action(cloud.backups.enable(cloud.servers.get(path_id(request))))


async def disable(request: Request) -> Response:
    """``POST /servers/{id}/actions/disable_backup``."""
    cloud = cloud_of(request)
    return reply_action(cloud.backups.disable(cloud.servers.get(path_id(request))))
