"""ISOs over HTTP."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import Body, body_of, by_field, cloud_of, page, path_id, reply
from sandbox.cloud import Cloud
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.catalogue.models import server_type
from sandbox.resources.isos.models import ISOS, iso, require_fit
from sandbox.resources.servers.models import Server
from sandbox.resources.servers.responses import shape_iso

WILDCARD = ("include_architecture_wildcard", "include_wildcard_architecture")


class AttachBody(Body):
    """``.../actions/attach_iso``."""

    iso: str | int


async def list_all(request: Request) -> Response:
    """``GET /isos``."""
    kept = by_field(request, ISOS, "name")
    chosen = by_field(request, kept, "architecture", ("x86", "arm"))
    wildcard = any(request.query_params.get(name) == "true" for name in WILDCARD)
    return page(
        request, "isos", [item for item in kept if item in chosen or (wildcard and not item.architecture)], shape_iso
    )


async def get(request: Request) -> Response:
    """``GET /isos/{id}``."""
    return reply(iso=shape_iso(iso(str(path_id(request)))))


async def attach(request: Request) -> Response:
    """``POST /servers/{id}/actions/attach_iso``: instead of one that is attached."""
    body, cloud = await body_of(request, AttachBody), cloud_of(request)
    server, item = cloud.servers.get(path_id(request)), iso(str(body.iso))
    require_fit(item, server_type(server.server_type).architecture)
    return put_in(cloud, server, "attach_iso", item.id)


async def detach(request: Request) -> Response:
    """``POST /servers/{id}/actions/detach_iso``: no error when none is attached."""
    cloud = cloud_of(request)
    return put_in(cloud, cloud.servers.get(path_id(request)), "detach_iso", None)


def put_in(cloud: Cloud, server: Server, command: str, iso_id: int | None) -> Response:
    """Kept at once."""
    cloud.servers.require_unlocked(server)
    server.iso = iso_id
    cloud.servers.records.save(server)
    return reply_action(cloud.actions.done(command, ("server", server.id)))
