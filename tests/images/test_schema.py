"""The JSON Schema of stack files is the model's: it takes what the program takes, and refuses what people get wrong."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from images.given import WithoutDates
from images.schema import SCHEMA_FILE, schema_line, stack_file_schema
from images.stackfile import parse_stack_file
from recipe import load_catalog
from recipe.problems import ProblemsError
from tools.schema import PAGE, schema_text

STACK_FILES = sorted(Path("stacks").glob("Pulumi.*.yaml"))
IMAGES = [{"os": "debian-13", "kubernetes": ["1.36.4"]}]
SCHEMA = stack_file_schema(load_catalog(), PAGE.read_text())


def wrong(document: Any) -> list[str]:
    return [error.message for error in jsonschema.Draft7Validator(SCHEMA).iter_errors(document)]


def stack(**settings: Any) -> dict[str, Any]:
    return {"config": {f"node-images:{key}": value for key, value in {"images": IMAGES, **settings}.items()}}


def test_the_committed_schema_is_that_of_the_model() -> None:
    assert Path(SCHEMA_FILE).read_text() == schema_text(), "run: .venv/bin/python -m tools.schema"


def test_it_is_a_schema() -> None:
    jsonschema.Draft7Validator.check_schema(SCHEMA)


@pytest.mark.parametrize("file", STACK_FILES, ids=lambda file: file.stem)
def test_stack_files_name_it_and_follow_it(file: Path) -> None:
    text = file.read_text()
    assert text.startswith(f"{schema_line()}\n")
    assert (file.parent / schema_line().partition("$schema=")[2]).resolve() == Path(SCHEMA_FILE).resolve()
    assert wrong(yaml.load(text, WithoutDates)) == []


@pytest.mark.parametrize(
    "document",
    [
        stack(),
        stack(images=[{"os": "rocky-9", "kubernetes": "1.36.4", "architectures": ["amd64", "arm64"], "protect": True}]),
        stack(asOf="2026-11-01", reverify=3, maxDisk=40, serverTypes={"arm64": ["cax11"]}),
        stack(timeouts={"step": "30m", "boot": 90}, artifacts={"mirror": "http://127.0.0.1:8788", "localBuilds": True}),
        stack(kubeadm="stacks/kubeadm.emulated.yaml"),
        stack(kubeadm={"ClusterConfiguration": {"apiServer": {}}}, verification="join"),
        stack(
            node={"sysctls": {"net.core.somaxconn": 4096}, "kubeletArguments": {"max-pods": 200, "resolv-conf": None}}
        ),
        stack(node={"containerLimits": {"nofile": "1024:infinity"}, "steps": {"before": "my-steps/first"}}),
        {"config": {**stack()["config"], "hcloud:token": {"secure": "v1:abc"}, "pulumi:tags": {"a": "b"}}},
        {"environment": ["images/prod"], "config": {"node-images:maxParallel": 3}},
        stack(registryCredentials={"harbor.example.com:8443": {"secure": "v1:abc"}}),
        {"encryptionsalt": "v1:abc", "secretsprovider": "passphrase", **stack()},
    ],
)
def test_what_the_program_takes_passes(document: Any) -> None:
    assert wrong(document) == []


@pytest.mark.parametrize(
    "document",
    [
        stack(image=IMAGES),
        stack(images=[]),
        stack(images=[{"os": "debian-14", "kubernetes": "1.36.4"}]),
        stack(images=[{"os": "debian-13", "kubernetes": 1.36}]),
        stack(images=[{"os": "debian-13", "kubernetes": "v1.36.4"}]),
        stack(images=[{"os": "debian-13", "kubernetes": ["1.36"]}]),
        stack(images=[{"os": "debian-13", "kubernetes": "1.36.4", "architectures": ["arm"]}]),
        stack(images=[{"os": "debian-13", "kubernetes": "1.36.4", "protected": True}]),
        stack(images=[{"os": "debian-13"}]),
        stack(maxParallel=50),
        stack(keepGenerations=-1),
        stack(onFailure="delete"),
        stack(locations=[]),
        stack(asOf="yesterday"),
        stack(timeouts={"step": "an hour"}),
        stack(timeouts={"steps": 30}),
        stack(node={"extraPackages": ["htop; reboot"]}),
        stack(node={"sysctls": {"nodots": 1}}),
        stack(kubeadm={"JoinConfiguration": {}}),
        stack(serverTypes={"x86": ["cx23"]}),
        stack(registryCredentials={"harbor.example.com": "robot:in-the-clear"}),
        {"config": {**stack()["config"], "hcloud:tokn": "a"}},
        {"config": {**stack()["config"], "hcloud:token": "short"}},
        {"config": {**stack()["config"], "node-image:maxDisk": 40}},
        {"node-images:images": IMAGES, "config": stack()["config"]},
        {"config": {}},
        {},
    ],
)
def test_what_people_get_wrong_is_refused_by_both(document: Any) -> None:
    assert wrong(document) != []
    with pytest.raises(ProblemsError):
        parse_stack_file(yaml.safe_dump(document), load_catalog(), "test")


def test_every_setting_says_what_it_is_for() -> None:
    levels = [SCHEMA["properties"]["config"], *SCHEMA["$defs"].values()]
    inner = r"hcloud:|node-images:(timeouts|artifacts|node)$|steps$"
    untold = [
        name
        for level in levels
        for name, item in level["properties"].items()
        if "description" not in item and not re.match(inner, name)
    ]
    assert untold == []


def test_a_row_of_the_page_that_the_model_does_not_have_is_found() -> None:
    with pytest.raises(KeyError, match="lunch"):
        stack_file_schema(load_catalog(), PAGE.read_text() + "| `node-images:timeouts.lunch` | a | b | c |\n")


def test_the_text_is_json_of_one_kind() -> None:
    assert json.loads(schema_text()) == SCHEMA
