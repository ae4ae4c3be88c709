"""The documents of the exports and of cluster code say what the model and the commands say."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner

from cli.__main__ import app
from clusters import capi
from clusters.capi import Cluster, ClusterError, Pool, choose, manifests, rollover
from images.exports import (
    INTERFACE,
    AcceptanceReport,
    Component,
    EarlierImage,
    Exports,
    ImageRecord,
    KeptTarball,
    Manifest,
    Packages,
    Tarball,
    json_schema,
    read_exports,
)

EXAMPLE = Path("docs/exports.example.json")
CLUSTERS = Path("docs/clusters.md").read_text()


@pytest.fixture
def document() -> dict[str, Any]:
    return json.loads(EXAMPLE.read_text())


@pytest.mark.parametrize(
    "model", [Exports, ImageRecord, EarlierImage, AcceptanceReport, Manifest, Component, Packages, Tarball, KeptTarball]
)
def test_every_field_is_described(model: type) -> None:
    text = Path("docs/exports.md").read_text()
    missing = [name for name, field in model.model_fields.items() if f"`{field.alias or name}`" not in text]
    assert missing == []


def test_the_example_follows_the_schema(document: dict[str, Any]) -> None:
    jsonschema.validate(document, json_schema())
    found = read_exports(document, str(EXAMPLE))
    assert found.snapshots == {f"{image.os}/{image.kubernetes}": image.name for image in found.images}


def test_cluster_code_reads_the_interface_that_the_program_writes() -> None:
    assert capi.INTERFACE == INTERFACE


def test_json_of_the_documents_is_of_the_example(document: dict[str, Any]) -> None:
    (block,) = re.findall(r"```json\n(.*?)```", Path("docs/exports.md").read_text(), re.DOTALL)
    assert json.loads(block).items() <= document.items()


def documents(command: str) -> list[dict[str, Any]]:
    result = CliRunner().invoke(app, [*command.split(), "--exports", str(EXAMPLE)])
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.stdout))


def test_the_documented_commands_write_the_documented_manifests() -> None:
    commands = re.findall(r"^\./node-images (manifests --stack prod .*?)(?: \|)?$", CLUSTERS, re.MULTILINE)
    written = [document for command in commands for document in documents(command)]
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", CLUSTERS, re.DOTALL)]
    told = [block for block in blocks if "kind" in block]
    assert {block["kind"] for block in told} | {"Cluster", "KubeadmConfigTemplate"} == {
        document["kind"] for document in written
    }
    assert [block for block in told if block not in written] == []


@pytest.mark.parametrize("form", ["env", "tfvars"])
def test_the_documented_names_are_written(form: str) -> None:
    result = CliRunner().invoke(app, ["manifests", "--format", form, "--exports", str(EXAMPLE)])
    (told,) = re.findall(rf"`--format {form}` \|[^`]*`(.*?)`", CLUSTERS)
    for part in re.findall(r"[^{}]+", told):
        assert part.strip().removesuffix("=").strip() in result.stdout


def test_the_documented_rollover_is_told(document: dict[str, Any]) -> None:
    image = choose(document["snapshots"], [], "debian-13", "1.36")
    assert "\n".join(rollover(image, document["earlier"])) in CLUSTERS


def test_the_documented_refusal_is_told(document: dict[str, Any]) -> None:
    with pytest.raises(ClusterError) as error:
        choose(document["snapshots"], [], "debian-13", "1.33")
    assert str(error.value) in CLUSTERS


def test_the_documented_refusal_of_bare_metal_is_told(document: dict[str, Any]) -> None:
    cluster = Cluster("prod", [Pool("metal", "bare-metal")], tarballs_url="https://images.example.com")
    with pytest.raises(ClusterError) as error:
        manifests(cluster, choose(document["snapshots"], [], "debian-13", "1.36"))
    assert f"```\n{error.value}\n```" in CLUSTERS


def test_the_example_to_copy_pins_what_the_project_pins() -> None:
    own = Path("requirements.txt").read_text().splitlines()
    lines = Path("examples/cluster/requirements.txt").read_text().splitlines()
    assert [line for line in lines if not line.startswith("#") and line not in own] == []
