"""Every error code of the API document is sorted, and the table that people read is the one that is used."""

import re
from pathlib import Path

import pytest

from images.codes import CODES, Answer, answer_to, passes
from sandbox.api.http import OTHER_STATUS, STATUS
from tests.sandbox.openapi import document

GENERAL = {
    "json_error": 400, "unauthorized": 401, "token_readonly": 401, "forbidden": 403, "maintenance": 403,
    "resource_limit_exceeded": 403, "not_found": 404, "method_not_allowed": 405, "uniqueness_error": 409, "conflict": 409,
    "deprecated_api_endpoint": 410, "resource_unavailable": 412, "invalid_input": 422, "service_error": 422,
    "unsupported_error": 422, "locked": 423, "protected": 423, "rate_limit_exceeded": 429, "server_error": 500,
    "unavailable": 503, "timeout": 504,
}  # fmt: skip
"""The table "Error Codes" of the API's reference, which its OpenAPI document lacks."""

CALLED = (
    ("post", "/servers"), ("delete", "/servers/{id}"), ("put", "/servers/{id}"),
    ("post", "/servers/{id}/actions/create_image"), ("post", "/servers/{id}/actions/poweron"),
    ("post", "/servers/{id}/actions/poweroff"), ("post", "/servers/{id}/actions/shutdown"),
    ("post", "/firewalls"), ("delete", "/firewalls/{id}"), ("post", "/firewalls/{id}/actions/set_rules"),
    ("post", "/ssh_keys"), ("delete", "/ssh_keys/{id}"),
    ("put", "/images/{id}"), ("delete", "/images/{id}"), ("post", "/images/{id}/actions/change_protection"),
)  # fmt: skip
CODE = re.compile(r"\| `([a-z_]+)`\s*\|")


def codes_of(method: str, path: str) -> set[str]:
    """Those that the OpenAPI document gives for one operation."""
    return set(CODE.findall(document()["paths"][path][method]["description"]))


def test_every_code_of_the_reference_is_sorted() -> None:
    assert set(GENERAL) <= set(CODES)


@pytest.mark.parametrize(("method", "path"), CALLED)
def test_every_code_of_an_operation_that_is_called_is_sorted(method: str, path: str) -> None:
    assert codes_of(method, path) <= set(CODES)


def test_no_code_is_made_up() -> None:
    operations = {code for method, path in CALLED for code in codes_of(method, path)}
    example = document()["components"]["schemas"]["error"]["properties"]["code"]["example"]
    assert set(CODES) == set(GENERAL) | operations | {example, "bad_gateway"}, "bad_gateway is a proxy's, not the API's"


def test_the_sandbox_answers_with_the_statuses_of_the_reference() -> None:
    assert {code: STATUS.get(code, OTHER_STATUS) for code in GENERAL} == GENERAL


def test_the_page_has_the_same_table() -> None:
    page = Path("docs/trouble.md").read_text()
    rows = re.findall(r"^\| `([a-z_]+)` \| (elsewhere|wait|give up) \| (.+) \|$", page, re.MULTILINE)
    assert rows == [(name, code.answer, code.why) for name, code in CODES.items()]


@pytest.mark.parametrize(
    ("code", "fields", "answer"),
    [
        ("resource_limit_exceeded", [], "elsewhere"),
        ("invalid_input", [], "elsewhere"),
        ("invalid_input", ["server_type"], "elsewhere"),
        ("invalid_input", ["labels"], "give up"),
        ("invalid_input", ["labels", "image"], "elsewhere"),
        (503, [], "wait"),
        (403, [], "give up"),
        ("new_in_2030", [], "give up"),
    ],
)
def test_what_is_called_for(code: str | int, fields: list[str], answer: Answer) -> None:
    assert answer_to(code, {"fields": [{"name": name, "messages": ["no"]} for name in fields]}) == answer


@pytest.mark.parametrize("details", [None, {}, {"fields": None}, {"fields": ["labels"]}, "labels"])
def test_details_of_another_shape_say_nothing(details: object) -> None:
    assert answer_to("invalid_input", details) == "elsewhere"


@pytest.mark.parametrize(
    ("error", "wait"),
    [
        ("server is locked (locked, 1a2b3c)", True),
        ("Bad Gateway (502, 1a2b3c)", True),
        ("https://api.hetzner.cloud/v1: no (unavailable)", True),
        ("no such token (unauthorized, 1a)", False),
        ("exited with status 1 (a step)", False),
        ("(not) locked", False),
    ],
)
def test_a_message_that_passes_is_known_by_its_code(error: str, wait: bool) -> None:
    assert passes(error) == wait
