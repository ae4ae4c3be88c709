"""The Starlette application: every call passes authentication, rate limit and faults; every error has the API's form."""

from __future__ import annotations

import logging
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from sandbox.api.control import CONTROL_ROUTES
from sandbox.api.http import cloud_of, error_reply, json_of
from sandbox.api.limits import Bucket
from sandbox.cloud import Cloud
from sandbox.errors import CloudError
from sandbox.resources.actions.routes import ROUTES as ACTIONS
from sandbox.resources.catalogue.routes import ROUTES as CATALOGUE
from sandbox.resources.firewalls.routes import ROUTES as FIREWALLS
from sandbox.resources.images.routes import ROUTES as IMAGES
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

    resources = [*ACTIONS, *SERVERS, *IMAGES, *SSH_KEYS, *FIREWALLS, *CATALOGUE]
    api = [Route(path, guarded(handler), methods=[method]) for method, path, handler in resources]
    control = [Route(path, controlled(handler), methods=[method]) for method, path, handler in CONTROL_ROUTES]
    app = Starlette(
        routes=[Mount("/v1", routes=api), Mount("/_sandbox", routes=control)],
        lifespan=lifespan,
        exception_handlers={HTTPException: unknown_route},
    )
    app.state.cloud, app.state.bucket = cloud, Bucket()
    return app


def guarded(handler: Handler) -> Handler:
    """What every API call passes before its handler and after it."""

    async def endpoint(request: Request) -> Response:
        bucket: Bucket = request.app.state.bucket
        try:
            authenticate(request)
            require_rate(bucket, cloud_of(request).actions.speed)
            path = request.url.path.removeprefix("/v1")
            cloud_of(request).faults.before_call(request.method, path, await json_of(request))
            response = await handler(request)
        except CloudError as error:
            response = error_reply(error)
        except Exception:
            log.exception("%s %s", request.method, request.url.path)
            response = error_reply(CloudError("server_error", "internal error, see daemon.log"))
        response.headers.update(bucket.headers())
        response.headers["X-Correlation-Id"] = secrets.token_hex(8)
        return response

    return endpoint


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


def require_rate(bucket: Bucket, speed: Speed) -> None:
    """Raises rate_limit_exceeded, at realistic speed only."""
    if not bucket.take() and speed == Speed.realistic:
        raise CloudError("rate_limit_exceeded", "limit of 3600 requests per hour reached")


async def unknown_route(request: Request, error: Exception) -> Response:
    """404 and 405 of the router."""
    code = "method_not_allowed" if getattr(error, "status_code", 404) == STATUS_METHOD else "not_found"
    try:
        authenticate(request)
    except CloudError as refused:
        return error_reply(refused)
    return error_reply(CloudError(code, f"{request.method} {request.url.path}: the sandbox has no such endpoint"))


STATUS_METHOD = 405
