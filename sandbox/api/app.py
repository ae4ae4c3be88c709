"""The Starlette application: every call passes authentication, rate limit and faults; every error has the API's form."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from sandbox.api.control import CONTROL_ROUTES
from sandbox.api.http import cloud_of, error_reply
from sandbox.api.interference import interfere
from sandbox.api.limits import Bucket
from sandbox.api.recording import entry_of, json_or_nothing, note
from sandbox.cloud import Cloud
from sandbox.errors import CloudError
from sandbox.journal import Entry
from sandbox.resources.access.routes import ROUTES as ACCESS
from sandbox.resources.actions.routes import ROUTES as ACTIONS
from sandbox.resources.backups.routes import ROUTES as BACKUPS
from sandbox.resources.catalogue.routes import ROUTES as CATALOGUE
from sandbox.resources.faults.models import Call
from sandbox.resources.firewalls.routes import ROUTES as FIREWALLS
from sandbox.resources.images.routes import ROUTES as IMAGES
from sandbox.resources.isos.routes import ROUTES as ISOS
from sandbox.resources.metrics.routes import ROUTES as METRICS
from sandbox.resources.placement_groups.routes import ROUTES as PLACEMENT_GROUPS
from sandbox.resources.servers.routes import ROUTES as SERVERS
from sandbox.resources.ssh_keys.routes import ROUTES as SSH_KEYS
from sandbox.settings import Speed

Handler = Callable[[Request], Awaitable[Response]]

log = logging.getLogger(__name__)
TOKEN_LENGTH = 64


def make_app(cloud: Cloud) -> Starlette:
    """The API below /v1 and the control plane below /_sandbox."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        await cloud.open()
        yield
        await cloud.close()

    of_servers = [*PLACEMENT_GROUPS, *ACCESS, *BACKUPS, *ISOS, *METRICS]  # first: servers take any action
    resources = [*ACTIONS, *of_servers, *SERVERS, *IMAGES, *SSH_KEYS, *FIREWALLS, *CATALOGUE]
    api = [Route(path, guarded(documented(path), handler), methods=[method]) for method, path, handler in resources]
    control = [Route(path, controlled(handler), methods=[method]) for method, path, handler in CONTROL_ROUTES]
    app = Starlette(
        routes=[Mount("/v1", routes=api), Mount("/_sandbox", routes=control)],
        lifespan=lifespan,
        exception_handlers={HTTPException: unknown_route},
    )
    app.state.cloud, app.state.bucket = cloud, Bucket()
    return app


def documented(path: str) -> str:
    """A route as faults and the journal name it: ``/servers/{id:int}`` -> ``/servers/{id}``."""
    return path.replace(":int}", "}")


def guarded(route: str, handler: Handler) -> Handler:
    """What every API call passes before its handler and after it."""

    async def endpoint(request: Request) -> Response:
        cloud, began = cloud_of(request), time.monotonic()
        entry = cloud.journal.begin(await entry_of(request, route))
        response = await answered(request, handler, entry)
        entry.status = response.status_code if response else None
        entry.seconds = round(time.monotonic() - began, 4)
        cloud.journal.end(entry)
        if response is None:
            return Response()  # the connection is gone: nobody gets it
        limits = request.app.state.bucket.headers(cloud.conditions.now.rate)
        for name, value in {**limits, "X-Correlation-Id": secrets.token_hex(8)}.items():
            response.headers.setdefault(name, value)
        return response

    return endpoint


async def answered(request: Request, handler: Handler, entry: Entry) -> Response | None:
    """The answer of the handler, or what a fault makes of it; None when a fault reset the connection."""
    cloud = cloud_of(request)

    async def act() -> Response:
        response = await true_answer(request, handler)
        note(entry, response)
        if entry.fault:
            cloud.journal.end(entry)  # the client may have to wait, and we may be killed meanwhile
        return response

    try:
        authenticate(request)
        require_rate(request.app.state.bucket, cloud)
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


def authenticate(request: Request) -> None:
    """Any token of the right length will do."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer" or len(token.strip()) != TOKEN_LENGTH:
        raise CloudError("unauthorized", "unable to authenticate: the sandbox takes any token of 64 characters")


def require_rate(bucket: Bucket, cloud: Cloud) -> None:
    """Raises rate_limit_exceeded; unless the conditions say otherwise, at realistic speed only."""
    rate = cloud.conditions.now.rate
    enforced = cloud.actions.speed == Speed.realistic if rate.enforced is None else rate.enforced
    if not bucket.take(rate) and enforced:
        raise CloudError("rate_limit_exceeded", f"limit of {rate.limit} requests per hour reached")


async def unknown_route(request: Request, error: Exception) -> Response:
    """404 and 405 of the router."""
    cloud = cloud_of(request)
    entry = cloud.journal.begin(await entry_of(request, ""))
    response = refused_route(request, error)
    note(entry, response)
    entry.status = response.status_code
    cloud.journal.end(entry)
    return response


def refused_route(request: Request, error: Exception) -> Response:
    """The token is looked at first, as at Hetzner."""
    code = "method_not_allowed" if getattr(error, "status_code", 404) == STATUS_METHOD else "not_found"
    try:
        authenticate(request)
    except CloudError as refused:
        return error_reply(refused)
    return error_reply(CloudError(code, f"{request.method} {request.url.path}: the sandbox has no such endpoint"))


STATUS_METHOD = 405
