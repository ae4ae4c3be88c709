"""From requests and answers to the entries of the journal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import json_of
from sandbox.errors import CloudError
from sandbox.journal import Entry, summary

STATUS_ERROR = 400


async def entry_of(request: Request, route: str) -> Entry:
    """The request as it arrived."""
    return Entry(
        at=datetime.now(UTC),
        client=request.headers.get("User-Agent", ""),
        method=request.method,
        path=request.url.path.removeprefix("/v1"),
        query=request.url.query,
        route=route,
        body=summary(await json_or_nothing(request)),
    )


async def json_or_nothing(request: Request) -> Any:
    """The body, also when it is none: who is to answer for it is decided later."""
    try:
        return await json_of(request)
    except CloudError:
        return {}


def note(entry: Entry, response: Response) -> None:
    """What the call did, whatever the client will be told."""
    succeeded = response.status_code < STATUS_ERROR
    entry.effect = succeeded and entry.method != "GET"
    content = json.loads(bytes(response.body) or b"{}") if entry.effect or not succeeded else {}
    entry.code = content.get("error", {}).get("code") if not succeeded else None
    entry.made = {
        name: item["id"] for name, item in content.items() if succeeded and isinstance(item, dict) and "id" in item
    }
