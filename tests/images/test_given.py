"""Settings that only Pulumi reads: those of its ESC environments, and encrypted ones."""

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import yaml

from images.given import Given, environments
from images.stackfile import StackFile, parse_stack_file
from recipe.catalog import load_catalog
from recipe.problems import Problem, ProblemsError

CATALOG, LABEL = load_catalog(), "stacks/Pulumi.test.yaml"
IMAGES = [{"os": "debian-13", "kubernetes": "1.36.4"}]
ENCRYPTED = {"secure": "v1:abc:def"}


def parse(config: dict[str, Any] | None, given: Given | None = None, opened: Any = None) -> StackFile:
    document = {**({"environment": opened} if opened else {}), **({"config": config} if config is not None else {})}
    return parse_stack_file(yaml.safe_dump(document), CATALOG, LABEL, Path(), given=given)


def problems(config: dict[str, Any] | None, given: Given | None = None, opened: Any = None) -> tuple[Problem, ...]:
    with pytest.raises(ProblemsError) as caught:
        parse(config, given, opened)
    return caught.value.problems


def as_given(**values: Any) -> Given:
    """As the engine gives them: each value text, lists and mappings as JSON."""
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return Given({f"node-images:{key}": text for key, text in texts.items()})


@pytest.mark.parametrize("config", [None, {}, {"node-images:onFailure": "keep"}])
def test_settings_of_an_environment_are_those_of_the_stack(config: dict[str, Any] | None) -> None:
    given = as_given(images=IMAGES, keepGenerations=3, asOf="2026-03-01", node={"preloadImages": True}, reverify="2")
    settings = parse(config, given, ["prod/images"])
    assert [(item.os, item.kubernetes) for item in settings.images] == [("debian-13", ["1.36.4"])]
    assert (settings.keep_generations, settings.as_of, settings.reverify) == (3, "20260301T000000Z", "2")
    assert settings.node.preload_images


def test_the_engine_has_merged_mappings_of_file_and_environment() -> None:
    config = {"node-images:images": IMAGES, "node-images:timeouts": {"step": "5m"}}
    given = as_given(images=IMAGES, timeouts={"step": "5m", "boot": "9m"})
    timeouts = parse(config, given, ["prod/images"]).timeouts
    assert (timeouts.step, timeouts.boot) == (300, 540)


def test_a_date_of_the_file_is_read_as_it_stands_there() -> None:
    """The engine's text of it is Go's."""
    config = {"node-images:images": IMAGES, "node-images:asOf": date(2026, 3, 1)}
    given = as_given(images=IMAGES, asOf="2026-03-01 00:00:00 +0000 UTC")
    assert parse(config, given, ["prod/images"]).as_of == "20260301T000000Z"


def test_without_an_environment_the_file_goes_before_pulumi_yaml() -> None:
    settings = parse({"node-images:images": IMAGES, "node-images:maxParallel": 1}, as_given(maxParallel=5, sshPort=23))
    assert (settings.max_parallel, settings.ssh_port) == (1, 23)


@pytest.mark.parametrize(
    ("opened", "named"),
    [
        (["prod/images", "prod/token"], "prod/images, prod/token"),
        ({"imports": ["prod/images"], "values": {"pulumiConfig": {}}}, "prod/images, environment"),
    ],
)
@pytest.mark.parametrize("config", [None, {}])
def test_a_command_names_the_environment_that_it_cannot_open(opened: Any, named: str, config: Any) -> None:
    (problem,) = problems(config, opened=opened)
    assert (problem.key, problem.value) == ("environment", named)
    assert "node-images:images is not in config" in problem.rule
    assert "Pulumi ESC" in problem.rule


def test_what_the_program_lacks_with_an_environment_is_told_as_ever() -> None:
    (problem,) = problems({}, Given({}), ["prod/images"])
    assert (problem.key, problem.rule) == ("node-images:images", "this key is required")


@pytest.mark.parametrize("opened", [None, [], {}, {"values": {}}, "prod/images", 3])
def test_what_opens_no_environment(opened: Any) -> None:
    assert environments({"environment": opened}) == []


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"keepGenerations": ENCRYPTED}, "node-images:keepGenerations"),
        ({"images": ENCRYPTED}, "node-images:images"),
        ({"images": [{"os": ENCRYPTED, "kubernetes": "1.36.4"}]}, "node-images:images[0].os"),
        ({"node": {"registryMirrors": {"docker.io": [ENCRYPTED]}}}, "node-images:node.registryMirrors.docker.io[0]"),
    ],
)
def test_an_encrypted_setting_is_told_as_that_and_nothing_else_of_it(config: dict[str, Any], key: str) -> None:
    own = {f"node-images:{name}": value for name, value in {"images": IMAGES, **config}.items()}
    (problem,) = problems(own)
    assert (problem.key, problem.value) == (key, "(not shown)")
    assert "encrypted (secure:" in problem.rule


def test_a_secret_of_an_environment_is_told_without_its_value() -> None:
    given = Given(
        {"node-images:images": json.dumps(IMAGES), "node-images:node": '{"extraPackages": ["x y"]}'},
        ["node-images:node"],
    )
    (problem,) = problems({}, given, ["prod/images"])
    assert (problem.key, problem.value) == ("node-images:node", "(not shown)")


def test_an_encrypted_endpoint_is_the_providers() -> None:
    assert parse({"node-images:images": IMAGES, "hcloud:endpoint": ENCRYPTED}).images
