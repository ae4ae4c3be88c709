"""The check of shapes must be able to fail, or it proves nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from jsonschema import ValidationError

from tests.sandbox.openapi import ValidatingClient, template_of, validator


@pytest.fixture
def answer(client: ValidatingClient) -> dict[str, Any]:
    body = {"name": "s", "server_type": "cx23", "image": "debian-13", "start_after_create": False}
    made: dict[str, Any] = client.post("/servers", json=body).json()
    return made


def change(answer: dict[str, Any], path: str, value: object) -> dict[str, Any]:
    changed = copy.deepcopy(answer)
    *parents, last = path.split(".")
    target = changed
    for key in parents:
        target = target[key]
    target[last] = value
    return changed


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("server.status", "sleeping"),
        ("server.created", None),
        ("server.public_net.ipv4.ip", 1),
        ("server.image.os_flavor", "plan9"),
        ("server.server_type.prices", [{}]),
        ("action.progress", "all of it"),
        ("action", {}),
    ],
)
def test_a_wrong_answer_is_refused(answer: dict[str, Any], path: str, value: object) -> None:
    check = validator("/servers", "post", 201)
    assert check is not None
    check.validate(answer)
    with pytest.raises(ValidationError):
        check.validate(change(answer, path, value))


def test_null_is_accepted_only_where_documented(answer: dict[str, Any]) -> None:
    check = validator("/servers", "post", 201)
    assert check is not None
    check.validate(change(answer, "server.iso", None))
    with pytest.raises(ValidationError):
        check.validate(change(answer, "server.name", None))


def test_fixed_path_parts_win() -> None:
    assert template_of("/servers/actions") == "/servers/actions"
    assert template_of("/servers/42") == "/servers/{id}"
