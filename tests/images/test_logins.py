"""Credentials of registries: encrypted in the stack file, and never shown."""

import json
from typing import Any

import pytest
import yaml

from images.given import Given
from images.logins import problems_of_logins
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from recipe.problems import ProblemsError

KEY = "node-images:registryCredentials"
ENCRYPTED = {"secure": "v1:abc"}


def parse(catalog: Catalog, value: Any, given: Given | None = None) -> Any:
    config = {"node-images:images": [{"os": "debian-13", "kubernetes": "1.36.4"}], **({KEY: value} if value else {})}
    return parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test", given=given).registry_credentials


@pytest.mark.parametrize("value", [{"harbor.example.com": ENCRYPTED, "ghcr.io": ENCRYPTED}, ENCRYPTED])
def test_encrypted_ones_are_taken_and_not_kept(catalog: Catalog, value: Any) -> None:
    assert set(parse(catalog, value).values()) <= {"(secret)"}
    given = Given({KEY: '{"harbor.example.com": "robot:let me in"}'}, [KEY])
    assert "let me in" not in str(parse(catalog, value, given))


def test_those_of_an_environment_of_esc_are_taken_and_not_kept(catalog: Catalog) -> None:
    assert parse(catalog, None, Given({KEY: '{"harbor.example.com": "robot:let me in"}'}, [KEY])) == {}


@pytest.mark.parametrize("value", [{"harbor.example.com": "robot:let me in"}, "robot:let me in", {"x": ["let me in"]}])
def test_one_in_the_clear_is_refused_and_not_shown(catalog: Catalog, value: Any) -> None:
    with pytest.raises(ProblemsError) as caught:
        parse(catalog, value)
    assert "let me in" not in str(caught.value)
    assert KEY in str(caught.value)


def test_its_remedy_is_the_command_that_encrypts_it(catalog: Catalog) -> None:
    with pytest.raises(ProblemsError, match="config set --secret --path"):
        parse(catalog, {"harbor.example.com": "robot:let me in"})


@pytest.mark.parametrize(
    ("found", "keys"),
    [
        ({"harbor.example.com:8443": "robot$a:pass:word"}, []),
        ({}, []),
        ({"harbor.example.com": "no password"}, [f'{KEY}["harbor.example.com"]']),
        ({"harbor.example.com": 5, "https://ghcr.io": "a:b"}, [KEY, f'{KEY}["harbor.example.com"]']),
        ("text", [KEY]),
    ],
)
def test_what_is_no_login_is_told_by_its_host_and_without_its_value(found: object, keys: list[str]) -> None:
    problems = problems_of_logins(json.dumps(found), "test")
    assert [problem.key for problem in problems] == keys
    assert {problem.value for problem in problems} <= {"(not shown)"}
