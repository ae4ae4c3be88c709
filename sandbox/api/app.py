"""The Starlette application: every call passes authentication, rate limit and faults; every error has the API's form."""

from __future__ import annotations

import logging
import secrets
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Mount, Route

from sandbox.api.control import CONTROL_ROUTES
from sandbox.api.http import cloud_of, error_reply, projects_of
from sandbox.api.interference import interfere
from sandbox.api.limits import Bucket
from sandbox.api.recording import entry_of, json_or_nothing, note
from sandbox.cloud import Cloud
from sandbox.errors import CloudError
from sandbox.journal import Entry
from sandbox.projects import Projects
from sandbox.resources.access.routes import ROUTES as ACCESS
from sandbox.resources.actions.routes import ROUTES as ACTIONS
from sandbox.resources.backups.routes import ROUTES as BACKUPS
from sandbox.resources.catalogue.routes import ROUTES as CATALOGUE
from sandbox.resources.certificates.routes import ROUTES as CERTIFICATES
from sandbox.resources.faults.models import Call
from sandbox.resources.firewalls.routes import ROUTES as FIREWALLS
from sandbox.resources.floating_ips.routes import ROUTES as FLOATING_IPS
from sandbox.resources.images.routes import ROUTES as IMAGES
from sandbox.resources.isos.routes import ROUTES as ISOS
from sandbox.resources.load_balancers.routes import ROUTES as LOAD_BALANCERS
from sandbox.resources.metrics.routes import ROUTES as METRICS
from sandbox.resources.networks.routes import ROUTES as NETWORKS
from sandbox.resources.placement_groups.routes import ROUTES as PLACEMENT_GROUPS
from sandbox.resources.primary_ips.routes import ROUTES as PRIMARY_IPS
from sandbox.resources.servers.routes import ROUTES as SERVERS
from sandbox.resources.ssh_keys.routes import ROUTES as SSH_KEYS
from sandbox.resources.volumes.routes import ROUTES as VOLUMES
from sandbox.settings import Speed

Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)
READING = ("GET", "HEAD")


class Word(StringConvertor):
    """The name of an action, which no number is."""

    regex = "[A-Za-z_]+"


register_url_convertor("word", Word())


def make_app(projects: Projects) -> Starlette:
    """The API below /v1 and the control plane below /_sandbox."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await projects.open()
        yield
        await projects.close()

    of_servers = [*NETWORKS, *PLACEMENT_GROUPS, *ACCESS, *BACKUPS, *ISOS, *METRICS]  # first: servers take any action
    resources = [*ACTIONS, *of_servers, *SERVERS, *IMAGES, *SSH_KEYS, *FIREWALLS, *CATALOGUE]
    resources += [*LOAD_BALANCERS, *PRIMARY_IPS, *FLOATING_IPS, *VOLUMES, *CERTIFICATES]
    api = [Route(path, guarded(documented(path), handler), methods=[method]) for method, path, handler in resources]
    control = [Route(path, controlled(handler), methods=[method]) for method, path, handler in CONTROL_ROUTES]
    app = Starlette(
        routes=[Mount("/v1", routes=api), Mount("/_sandbox", routes=control)],
        lifespan=lifespan,
        exception_handlers={HTTPException: unknown_route},
    )
    app.state.projects, app.state.buckets = projects, defaultdict(Bucket)
    return app


def documented(path: str) -> str:
    """A route as faults and the journal name it: ``/servers/{id:int}`` -> ``/servers/{id}``."""
    return path.replace(":int}", "}").replace(":word}", "}")


def guarded(route: str, handler: Handler) -> Handler:
    """What every API call passes before its handler and after it."""

    async def endpoint(request: Request) -> Response:
        journal, began = projects_of(request).shared.journal, time.monotonic()
        entry = journal.begin(await entry_of(request, route))
        response = await answered(request, handler, entry)
        entry.status, entry.project = response.status_code if response else None, cloud_of(request).project
        entry.seconds = round(time.monotonic() - began, 4)
        journal.end(entry)
        if response is None:
            return Response()  # the connection is gone: nobody gets it
        cloud = cloud_of(request)
        limits = request.app.state.buckets[cloud.project].headers(cloud.conditions.now.rate)
        for name, value in {**limits, "X-Correlation-Id": secrets.token_hex(8)}.items():
            response.headers.setdefault(name, value)
        return response

    return endpoint


async def answered(request: Request, handler: Handler, entry: Entry) -> Response | None:
    """The answer of the handler, or what a fault makes of it; None when a fault reset the connection."""

    async def act() -> Response:
        response = await true_answer(request, handler)
        note(entry, response)
        if entry.fault:
            cloud_of(request).journal.end(entry)  # the client may have to wait, and we may be killed meanwhile
        return response

    try:
        cloud = authenticate(request)
        require_rate(request.app.state.buckets[cloud.project], cloud)
    except CloudError as error:
        response = error_reply(error)
        note(entry, response)
        return response
    body = await json_or_nothing(request)
    fields = body if isinstance(body, dict) else {}
    hit = cloud.faults.of_call(Call(entry.method, entry.path, entry.route, fields, entry.client))
    if hit is None:
        return await act()
    order, fault = hit
    entry.fault, entry.fault_id = order.fault.kind, order.id
    return await interfere(fault, request, act)


async def true_answer(request: Request, handler: Handler) -> Response:
    """What the handler says; an error has the API's form."""
    try:
        return await handler(request)
    except CloudError as error:
        return error_reply(error)
    except Exception:
        log.exception("%s %s", request.method, request.url.path)
        return error_reply(CloudError("server_error", "internal error, see daemon.log"))


def controlled(handler: Handler) -> Handler:
    """The control plane needs no token; its errors have the same form."""

    async def endpoint(request: Request) -> Response:
        try:
            return await handler(request)
        except CloudError as error:
            return error_reply(error)

    return endpoint


def authenticate(request: Request) -> Cloud:
    """The project that the token opens, from now on that of the request. Raises unauthorized, forbidden."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    given = token.strip() if scheme.lower() == "bearer" else ""
    request.scope["cloud"], only_read = projects_of(request).opened_by(given)
    if only_read and request.method not in READING:
        raise CloudError("forbidden", "insufficient permissions for this request: the token may only read")
    return cloud_of(request)


def require_rate(bucket: Bucket, cloud: Cloud) -> None:
    """Raises rate_limit_exceeded; unless the conditions say otherwise, at realistic speed only."""
    rate = cloud.conditions.now.rate
    enforced = cloud.actions.speed == Speed.realistic if rate.enforced is None else rate.enforced
    if not bucket.take(rate) and enforced:
        raise CloudError("rate_limit_exceeded", f"limit of {rate.limit} requests per hour reached")


async def unknown_route(request: Request, error: Exception) -> Response:  # noqa: ARG001
    """404 and 405 of the router."""
    journal = projects_of(request).shared.journal
    entry = journal.begin(await entry_of(request, ""))
    response = refused_route(request)
    note(entry, response)
    entry.status, entry.project = response.status_code, cloud_of(request).project
    journal.end(entry)
    return response


def refused_route(request: Request) -> Response:
    """The token is looked at first, as at Hetzner."""
    methods = methods_of(request)
    code = "method_not_allowed" if methods else "not_found"
    try:
        authenticate(request)
    except CloudError as refused:
        return error_reply(refused)
    response = error_reply(CloudError(code, f"{request.method} {request.url.path}: the sandbox has no such endpoint"))
    if methods:
        response.headers["Allow"] = ", ".join(methods)
    return response


def methods_of(request: Request) -> list[str]:
    """What may be done with this path; a route is for one method, so the router knows only the first."""
    mounts = {mount.path: mount for mount in request.app.routes}
    root = next((path for path in mounts if request.url.path.startswith(f"{path}/")), None)
    if root is None:
        return []
    scope = {"type": "http", "path": request.url.path.removeprefix(root), "method": request.method}
    fitting = [route for route in mounts[root].routes if route.matches(scope)[0] != Match.NONE]
    return sorted({method for route in fitting if isinstance(route, Route) for method in route.methods or ()})
