"""Every YAML, JSON and bash block of the documents is sound: read by the model, or held against its definition."""

import json
import re
import subprocess
import textwrap
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from clusters.capi import install_image
from images.plan import make_plan
from images.stackfile import parse_stack_file
from recipe import load_lock
from recipe.catalog import CATALOG_FILE, Catalog
from recipe.problems import ProblemsError
from recipe.render import library
from tests.cli.test_manifests import check, crd, strict
from tests.docs.test_docs import DOCUMENTS

BLOCK = re.compile(r"^( *)```(yaml|json|bash)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
IMAGES = [{"os": "debian-13", "kubernetes": "1.36.4"}]
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
# Files that stack files of the documents name.
FILES = {
    "certs/company.pem": CERTIFICATE,
    "certs/harbor.pem": CERTIFICATE,
    "containerd/debug.toml": 'version = 3\n[debug]\nlevel = "debug"\n',
    "my-steps/first/10-sources.sh": "true\n",
    "my-steps/last/10-agent.sh": "true\n",
}


def blocks(kind: str) -> list[Any]:
    """The blocks of a kind, each with its place as its name."""
    found = [(document, *match.groups()) for document in DOCUMENTS for match in BLOCK.finditer(document.read_text())]
    named = [(f"{document}-{number}", language, text) for number, (document, _, language, text) in enumerate(found)]
    return [pytest.param(textwrap.dedent(text), id=name) for name, language, text in named if language == kind]


def added_systems() -> dict[str, Any]:
    """Operating systems that a document shows how to add."""
    documents = [yaml.safe_load(param.values[0]) for param in blocks("yaml")]
    return {name: entry for item in documents for name, entry in item.get("operatingSystems", {}).items()}


def with_added_support(support: dict[str, Any]) -> dict[str, Any]:
    """The ends of support, with those that a document shows how to add."""
    documents = [yaml.safe_load(param.values[0]) for param in blocks("yaml")]
    added = {name: entry["until"] for item in documents for name, entry in item.get("support", {}).items()}
    return {name: {**entry, "until": entry["until"] | added.get(name, {})} for name, entry in support.items()}


@pytest.fixture(scope="module")
def catalog() -> Catalog:
    document = yaml.safe_load(CATALOG_FILE.read_text())
    systems, support = document["operatingSystems"] | added_systems(), with_added_support(document["support"])
    return Catalog.model_validate({**document, "operatingSystems": systems, "support": support})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("checkout")
    for name, text in FILES.items():
        (made / name).parent.mkdir(parents=True, exist_ok=True)
        (made / name).write_text(text)
    return made


def check_stack_file(config: Mapping[str, Any], catalog: Catalog, folder: Path) -> None:
    """Merged into a minimal one, it is valid, and its images can be planned."""
    text = yaml.safe_dump({"config": {"node-images:images": IMAGES, **config}})
    settings = parse_stack_file(text, catalog, "the block", folder, date.today())
    make_plan("prod", settings, catalog, load_lock(), "the block")


def check_machine(kind: str, fields: Mapping[str, Any]) -> None:
    """What is below a template's `spec.template.spec`, in every version of its definition."""
    for version in crd(kind)["spec"]["versions"]:
        part = version["schema"]["openAPIV3Schema"]
        for name in ("spec", "template", "spec"):
            part = part["properties"][name]
        jsonschema.validate(fields, strict(part))


def check_block(document: Mapping[str, Any], catalog: Catalog, folder: Path) -> None:
    """Raises where a block is not valid, or is none of the kinds that are known here."""
    match document:
        case {"config": config}:
            check_stack_file(config, catalog, folder)
        case {"kubernetes": versions}:
            check_stack_file({"node-images:images": [{"os": "debian-13", "kubernetes": versions}]}, catalog, folder)
        case {"operatingSystems": systems}:
            for name in systems:
                check_stack_file({"node-images:images": [{"os": name, "kubernetes": "1.36.4"}]}, catalog, folder)
        case {"installImage": install}:
            whole = {**install_image("https://images.example.com", "a.tar.gz"), **install}
            check_machine("HetznerBareMetalMachineTemplate", {**document, "installImage": whole})
        case {"kind": _}:
            check(dict(document))
        case _:
            raise ValueError(f"a block of no known kind: {', '.join(document)}")


@pytest.mark.parametrize("text", blocks("yaml"))
def test_yaml_is_valid(text: str, catalog: Catalog, folder: Path) -> None:
    check_block(yaml.safe_load(text), catalog, folder)


@pytest.mark.parametrize("text", blocks("bash"))
def test_a_script_is_sound(text: str) -> None:
    """As a step: the functions of the library are at hand, and what it says of strictness holds."""
    checked = subprocess.run(["shellcheck", "-"], input=f"{library()}\n{text}", capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("text", blocks("json"))
def test_json_is_valid(text: str) -> None:
    json.loads(text)


@pytest.mark.parametrize(
    "block",
    [
        {"config": {"node-images:keepGeneration": 1}},
        {"config": {"node-images:images": [{"os": "debian-13", "kubernetes": "1.36.99"}]}},
        {"kubernetes": ["1.36"]},
        {"operatingSystems": {"debian-99": {}}},
        {"installImage": {"images": {}}},
        {"installImage": {"swraid": 2}},
        {"installImage": {}, "hostSelectors": {}},
        {"kind": "HCloudMachineTemplate", "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "spec": {}},
        {"something": "else"},
    ],
    ids=lambda block: next(iter(block)),
)
def test_a_block_that_is_wrong_is_found(block: dict[str, Any], catalog: Catalog, folder: Path) -> None:
    with pytest.raises((ProblemsError, jsonschema.ValidationError, ValueError)):
        check_block(block, catalog, folder)
