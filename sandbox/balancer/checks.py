"""Health checks of targets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from sandbox.balancer.sockets import connect
from sandbox.machines import Place

ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True)
class HttpQuestion:
    """What is asked for, and what the answer must be."""

    path: str
    domain: str | None
    response: str
    status_codes: tuple[str, ...]
    tls: bool


@dataclass(frozen=True)
class Check:
    """How the health of a target is found out. Without ``http`` a connection is enough."""

    port: int
    interval: float
    timeout: float
    retries: int
    http: HttpQuestion | None = None


async def passes(check: Check, place: Place) -> bool:
    """One try."""
    try:
        async with asyncio.timeout(check.timeout):
            made = await connect(place, check.port, check.timeout)
            if check.http is None:
                made.close()
                return True
            reader, writer = await asyncio.open_connection(sock=made, **tls_options(check.http))
            try:
                return await answers(reader, writer, check.http)
            finally:
                writer.close()
    except (OSError, TimeoutError, ssl.SSLError, asyncio.IncompleteReadError):
        return False


def tls_options(question: HttpQuestion) -> dict[str, Any]:
    """Certificates are not looked at."""
    if not question.tls:
        return {}
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return {"ssl": context, "server_hostname": question.domain or ""}


async def answers(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: HttpQuestion) -> bool:
    """Whether the answer has the status and the text."""
    writer.write(request_of(question))
    await writer.drain()
    answer = b""
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while len(answer) < ANSWER_BYTES and (part := await reader.read(ANSWER_BYTES)):
            answer += part
    status, _, _ = answer.decode(errors="replace").partition("\r\n")
    code = [*status.split(), "", ""][1]
    right = any(fnmatchcase(code, pattern) for pattern in question.status_codes)
    return right and question.response.encode() in answer


def request_of(question: HttpQuestion) -> bytes:
    """HTTP/1.1 wants a host, so without one it is HTTP/1.0."""
    host = f"Host: {question.domain}\r\nConnection: close\r\n" if question.domain else ""
    version = "1.1" if question.domain else "1.0"
    return f"GET {question.path} HTTP/{version}\r\n{host}\r\n".encode()
