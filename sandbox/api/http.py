"""What every handler needs of HTTP: bodies, replies, errors, paging, sorting, filters."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sandbox.cloud import Cloud
from sandbox.errors import CloudError, invalid_input
from sandbox.projects import Projects
from sandbox.resources.labels import parse_selector

PER_PAGE, PER_PAGE_MAX = 25, 50
STATUS = {
    "json_error": 400,
    "unauthorized": 401,
    "token_readonly": 401,
    "forbidden": 403,
    "maintenance": 403,
    "resource_limit_exceeded": 403,
    "not_found": 404,
    "firewall_resource_not_found": 404,
    "method_not_allowed": 405,
    "uniqueness_error": 409,
    "conflict": 409,
    "deprecated_api_endpoint": 410,
    "resource_unavailable": 412,
    "invalid_input": 422,
    "locked": 423,
    "protected": 423,
    "rate_limit_exceeded": 429,
    "server_error": 500,
    "bad_gateway": 502,
    "unavailable": 503,
    "timeout": 504,
}
OTHER_STATUS = 422  # service_error, unsupported_error and the codes of single operations

T = TypeVar("T")
B = TypeVar("B", bound="Body")


class Body(BaseModel):
    """A request body; unknown fields are ignored, numbers are not taken for strings."""

    model_config = ConfigDict(extra="ignore", strict=True)


def projects_of(request: Request) -> Projects:
    """All projects behind this API."""
    projects: Projects = request.app.state.projects
    return projects


def cloud_of(request: Request) -> Cloud:
    """The project that the request's token opens; the first one where no token was looked at."""
    cloud: Cloud = request.scope.get("cloud") or projects_of(request).first
    return cloud


def path_id(request: Request, name: str = "id") -> int:
    """Id in the path (the route admits digits only)."""
    return int(request.path_params[name])


def reply(status: int = 200, /, **content: Any) -> Response:
    """A JSON object."""
    return JSONResponse(content, status)


def no_content() -> Response:
    """204."""
    return Response(status_code=204)


def error_reply(error: CloudError, status: int | None = None) -> Response:
    """An error as the API words it; ``status`` where an operation has another than the code has elsewhere."""
    content = {"code": error.code, "message": error.message, "details": error.details}
    return reply(status or STATUS.get(error.code, OTHER_STATUS), error=content)


async def json_of(request: Request) -> Any:
    """The body as it came; {} when there is none. Raises json_error."""
    raw = await request.body()
    try:
        return json.loads(raw) if raw.strip() else {}
    except ValueError as error:
        raise CloudError("json_error", f"malformed JSON: {error}") from error


async def body_of(request: Request, model: type[B]) -> B:
    """The body as a model. Raises invalid_input with every problem, json_error for a change that says nothing."""
    if request.method == "PUT" and not (await request.body()).strip():
        raise CloudError("json_error", "a body is required")
    content = await json_of(request)
    if not isinstance(content, dict):
        raise CloudError("json_error", "the body must be a JSON object")
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise invalid_input(*(problem(item) for item in error.errors())) from error


def problem(item: Any) -> tuple[str, str]:
    """Field and message of one validation error."""
    field = str(item["loc"][0]) if item["loc"] else "body"
    path = ".".join(str(part) for part in item["loc"][1:])
    message = (
        "missing data for required field" if item["type"] == "missing" else item["msg"].removeprefix("Value error, ")
    )
    return field, f"{path}: {message}" if path else message


def number_param(request: Request, name: str, default: int) -> int:
    """A positive number of the query. Raises invalid_input."""
    text = request.query_params.get(name, str(default))
    if not text.isdigit() or int(text) < 1:
        raise invalid_input((name, f"{name} must be a number greater than 0"))
    return int(text)


def page(request: Request, key: str, items: Sequence[T], shape: Callable[[T], dict[str, Any]]) -> Response:
    """One page of a list, with ``meta.pagination``."""
    number, size = number_param(request, "page", 1), number_param(request, "per_page", PER_PAGE)
    if size > PER_PAGE_MAX:
        raise invalid_input(("per_page", f"must be at most {PER_PAGE_MAX}"))
    last = max(1, -(-len(items) // size))
    pagination = {
        "page": number,
        "per_page": size,
        "previous_page": number - 1 if number > 1 else None,
        "next_page": number + 1 if number < last else None,
        "last_page": last,
        "total_entries": len(items),
    }
    shaped = [shape(item) for item in items[(number - 1) * size : number * size]]
    return reply(**{key: shaped, "meta": {"pagination": pagination}})


def by_labels(request: Request, items: Iterable[T]) -> list[T]:
    """Filter by ``label_selector``. Raises invalid_input."""
    selector = request.query_params.get("label_selector", "")
    try:
        tests = parse_selector(selector)
    except ValueError as error:
        raise invalid_input(("label_selector", str(error))) from error
    return [item for item in items if all(test(item.labels) for test in tests)]  # type: ignore[attr-defined]


def by_field(request: Request, items: Iterable[T], param: str, allowed: Sequence[str] = (), field: str = "") -> list[T]:
    """Filter by a query parameter that may be given several times. Raises invalid_input for what is not allowed."""
    wanted = request.query_params.getlist(param)
    for value in wanted:
        if allowed and value not in allowed:
            raise invalid_input((param, f"'{value}' is not one of: {', '.join(allowed)}"))
    return [item for item in items if not wanted or str(getattr(item, field or param)) in wanted]


def in_order(request: Request, items: Iterable[T], allowed: Sequence[str] = ("id", "name", "created")) -> list[T]:
    """Sort by ``sort``, for example ``name:desc``; several times: the first counts most. Raises invalid_input."""
    ordered = list(items)
    for term in reversed(request.query_params.getlist("sort")):
        field, _, direction = term.partition(":")
        if field not in allowed or direction not in ("", "asc", "desc"):
            raise invalid_input(("sort", f"'{term}' is not valid: use one of {', '.join(allowed)} with :asc or :desc"))
        # None (a snapshot has no name) comes first
        ordered.sort(
            key=lambda item: (getattr(item, field) is not None, getattr(item, field)), reverse=direction == "desc"
        )
    return ordered


def iso(moment: Any) -> str | None:
    """A time as the API writes it."""
    return moment.isoformat(timespec="seconds") if moment else None
