"""Renovate finds every version that is pinned here. Its own schema is checked by `make lint`."""

import json
import re
from collections import Counter
from pathlib import Path

import pytest

from mirror.images.own_programs import CRANE, REGISTRY
from recipe import load_catalog

CONFIGURATION = json.loads(Path("renovate.json").read_text())
MANAGERS = CONFIGURATION["customManagers"]


def found(file: str) -> Counter[tuple[str, str]]:
    """Name and version of all that the managers of a file find in it, as often as they do."""
    text = Path(file).read_text()
    managers = [
        item for item in MANAGERS if any(re.search(pattern[1:-1], file) for pattern in item["managerFilePatterns"])
    ]
    expressions = [expression.replace("(?<", "(?P<") for item in managers for expression in item["matchStrings"]]
    matches = [match for expression in expressions for match in re.finditer(expression, text)]
    return Counter((match["depName"], match["currentValue"]) for match in matches)


def rules_for(dependency: str) -> list[dict[str, object]]:
    return [rule for rule in CONFIGURATION["packageRules"] if dependency in rule.get("matchDepNames", [])]


def test_every_component_of_the_catalogue_is_found_once() -> None:
    catalog = load_catalog()
    expected = Counter(
        (name, version)
        for entry in catalog.kubernetes.values()
        for name, version in entry.model_dump(by_alias=True).items()
        if "{minor}" not in version
    )
    assert found("recipe/catalog.yaml") == expected + Counter({("goss", catalog.goss): 1})


def test_every_pin_of_set_up_is_found_but_for_those_that_move_by_hand() -> None:
    pins = json.loads(Path("toolchain/pins.json").read_text())
    by_hand = {"minimum", "built", "python", "layout"}
    every = {**pins["engine"], **pins["plugins"], **pins}
    expected = {(name, value) for name, value in every.items() if isinstance(value, str) and name not in by_hand}
    assert found("toolchain/pins.json") == Counter(expected)


def test_the_registry_of_images_and_its_tool_are_found() -> None:
    expected = Counter((own.program.module, own.version) for own in (CRANE, REGISTRY))
    assert found("mirror/images/own_programs.py") == expected


def test_every_python_package_is_pinned_as_renovate_reads_it() -> None:
    for file in ("requirements.txt", "requirements-dev.txt"):
        lines = [line for line in Path(file).read_text().splitlines() if line and not line.startswith(("#", "-r "))]
        assert [line for line in lines if not re.fullmatch(r"[\w.-]+(\[[\w,-]+\])?==[\w.]+", line)] == []


@pytest.mark.parametrize(("dependency", "file"), [("pulumi-hcloud", "hcloud"), ("pulumi-command", "command")])
def test_a_plugin_moves_with_its_python_sdk(dependency: str, file: str) -> None:
    (manager,) = [item for item in MANAGERS if "pulumi-{{{depName}}}" in item.get("packageNameTemplate", "")]
    assert re.search(manager["matchStrings"][0].replace("(?<", "(?P<"), f'"{file}": "1.2.3"')
    (rule,) = [rule for rule in CONFIGURATION["packageRules"] if rule.get("matchPackageNames") == [dependency]]
    assert rule["groupName"] == dependency
    assert re.search(rf"^{dependency}==(\S+)$", Path("requirements.txt").read_text(), re.MULTILINE)


@pytest.mark.parametrize(
    ("dependency", "stays"), [("containerd", ["major", "minor"]), ("crictl", ["major", "minor"]), ("runc", ["major"])]
)
def test_a_component_moves_within_what_is_mended_long(dependency: str, stays: list[str]) -> None:
    (rule,) = rules_for(dependency)
    assert (rule["matchUpdateTypes"], rule["enabled"]) == (stays, False)


def test_what_renovate_runs_exists() -> None:
    (command,) = [
        command
        for rule in CONFIGURATION["packageRules"]
        for command in rule.get("postUpgradeTasks", {}).get("commands", [])
    ]
    assert Path(command.split()[0]).exists()
