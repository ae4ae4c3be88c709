"""The oracle for shapes: Hetzner's OpenAPI document, turned into JSON Schema, checks every response of a client."""

from __future__ import annotations

import gzip
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import httpx
from jsonschema import Draft202012Validator

DOCUMENT = Path(__file__).parent.parent / "data" / "hcloud-openapi.json.gz"
METHODS = ("get", "post", "put", "delete")
ACTION = {"type": "object", "required": ["action"], "properties": {"action": {"$ref": "#/components/schemas/action"}}}
NEWER = {("/load_balancers/{id}", "delete"): {"201": {"content": {"application/json": {"schema": ACTION}}}}}
"""What Hetzner's own clients ask for, and the document does not have yet."""


def as_json_schema(node: Any) -> Any:
    """OpenAPI 3.0's ``nullable`` is JSON Schema's ``null`` beside the rest; references point into the document."""
    if isinstance(node, list):
        return [as_json_schema(item) for item in node]
    if not isinstance(node, dict):
        return node
    converted = {key: as_json_schema(value) for key, value in node.items() if key != "nullable"}
    return {"anyOf": [{"type": "null"}, converted]} if node.get("nullable") is True else converted


@cache
def document() -> dict[str, Any]:
    with gzip.open(DOCUMENT) as file:
        loaded: dict[str, Any] = json.load(file)
    return loaded


@cache
def components() -> Any:
    return as_json_schema(document()["components"])


def template_of(path: str) -> str:
    """``/servers/42`` -> ``/servers/{id}``; fixed parts win over variable ones."""
    candidates: list[str] = [t for t in document()["paths"] if re.fullmatch(re.sub(r"\{[^}]+\}", r"[^/]+", t), path)]
    assert candidates, f"{path} is not in the OpenAPI document"
    return min(candidates, key=lambda t: t.count("{"))


@cache
def validator(template: str, method: str, status: int) -> Draft202012Validator | None:
    """For the body of a response; None where there must be no body."""
    responses = document()["paths"][template][method]["responses"] | NEWER.get((template, method), {})
    response = responses.get(str(status)) or responses.get(f"{status // 100}xx")
    assert response, f"{method} {template}: status {status} is not in the OpenAPI document"
    if "content" not in response:
        return None
    schema = as_json_schema(response["content"]["application/json"]["schema"])
    return Draft202012Validator({**schema, "components": components()})


class ValidatingClient(httpx.Client):
    """Refuses any response that is not as documented, and remembers which operations it has seen."""

    def __init__(self, base_url: str, token: str) -> None:
        super().__init__(
            base_url=base_url, headers={"Authorization": f"Bearer {token}"}, trust_env=False, verify=False, timeout=30
        )
        self.seen: set[tuple[str, str]] = set()

    def request(self, method: str, url: Any, **options: Any) -> httpx.Response:
        response = super().request(method, url, **options)
        path = response.request.url.path.removeprefix("/v1")
        template = template_of(path)
        self.seen.add((method, template))
        check = validator(template, method.lower(), response.status_code)
        if check is None:
            assert not response.content, f"{method} {path} must have no body"
        else:
            check.validate(response.json())
        return response
