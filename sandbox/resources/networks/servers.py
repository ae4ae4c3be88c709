"""Servers in networks, over HTTP."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import Body, body_of, cloud_of, path_id
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.networks.responses import NetworkBody


class AliasBody(Body):
    """``.../actions/change_alias_ips``."""

    network: int
    alias_ips: list[str]


class DetachBody(Body):
    """``.../actions/detach_from_network``, also of load balancers."""

    network: int


async def attach(request: Request) -> Response:
    """``POST /servers/{id}/actions/attach_to_network``."""
    body, cloud = await body_of(request, NetworkBody), cloud_of(request)
    server, network = cloud.servers.get(path_id(request)), cloud.networks.get(body.network)
    return reply_action(cloud.connections.attach_server(server, network, body.wish()))


async def detach(request: Request) -> Response:
    """``POST /servers/{id}/actions/detach_from_network``."""
    body, cloud = await body_of(request, DetachBody), cloud_of(request)
    server, network = cloud.servers.get(path_id(request)), cloud.networks.get(body.network)
    return reply_action(cloud.connections.detach_server(server, network))


async def change_aliases(request: Request) -> Response:
    """``POST /servers/{id}/actions/change_alias_ips``."""
    body, cloud = await body_of(request, AliasBody), cloud_of(request)
    server, network = cloud.servers.get(path_id(request)), cloud.networks.get(body.network)
    return reply_action(cloud.connections.change_aliases(server, network, body.alias_ips))
