"""What a fault does to a call: in HTTP, down to the connection."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import error_reply
from sandbox.errors import CloudError
from sandbox.resources.faults.kinds import (
    GATEWAY_CODES,
    INJECTED,
    CallFault,
    ErrorFault,
    MalformedFault,
    RateLimitFault,
    ResetFault,
    SlowFault,
    StatusFault,
)

Act = Callable[[], Awaitable[Response]]
RESET_AT_ONCE = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST, not FIN


async def interfere(fault: CallFault, request: Request, act: Act) -> Response | None:
    """The answer under a fault; None when the connection was reset instead. ``act`` has the call's effect."""
    if isinstance(fault, SlowFault):
        return await answer_late(fault, act)
    if isinstance(fault, MalformedFault):
        return malformed(await act(), fault)
    if getattr(fault, "when", "before") == "after":
        await act()
    if isinstance(fault, ResetFault):
        await reset_connection(request)
        return None
    return refusal(fault)


async def answer_late(fault: SlowFault, act: Act) -> Response:
    """Seconds before or after the effect."""
    if fault.when == "before":
        await asyncio.sleep(fault.seconds)
        return await act()
    response = await act()
    await asyncio.sleep(fault.seconds)
    return response


def refusal(fault: CallFault) -> Response:
    """An error instead of the true answer."""
    if isinstance(fault, ErrorFault):
        return error_reply(CloudError(fault.code, fault.message))
    if isinstance(fault, RateLimitFault):
        response = error_reply(CloudError("rate_limit_exceeded", INJECTED))
        reset = str(int(time.time() + fault.seconds))
        response.headers.update({"RateLimit-Remaining": "0", "RateLimit-Reset": reset})
        return response
    if isinstance(fault, StatusFault) and fault.form == "json":
        return error_reply(CloudError(GATEWAY_CODES[fault.status], INJECTED))
    return Response(page(INJECTED), fault.status if isinstance(fault, StatusFault) else 500, media_type="text/html")


def page(text: str) -> str:
    """What a gateway shows to people."""
    return f"<html><body><h1>{text}</h1></body></html>"


def malformed(response: Response, fault: MalformedFault) -> Response:
    """The true answer with a body that cannot be read. An answer without a body stays as it is."""
    body = bytes(response.body)
    if not body:
        return response
    bodies = {"cut": body[: len(body) // 2], "empty": b"", "html": page(INJECTED).encode()}
    return Response(bodies[fault.form], response.status_code, media_type="application/json")


async def reset_connection(request: Request) -> None:
    """Send RST. ASGI has no word for it, so this reaches for uvicorn's transport."""
    transport: Any = request.receive.__self__.transport  # type: ignore[attr-defined]
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
    transport.abort()
    await asyncio.sleep(0)  # by now uvicorn knows that nobody is there to answer
