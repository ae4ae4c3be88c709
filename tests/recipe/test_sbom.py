"""The bill of materials: valid CycloneDX, complete, and the same for the same image."""

import json

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from recipe.sbom import read_inventory, sbom

MANIFEST = {
    "os": "debian-13",
    "architecture": "amd64",
    "asOf": None,
    "recipe": "a" * 64,
    "components": {
        "runc": {"version": "1.4.3", "sha256": "b" * 64, "url": "https://github.com/opencontainers/runc/x/runc.amd64"},
        "pause": {"version": "3.10.2"},
    },
}
TEXT = f"{json.dumps(MANIFEST)}\n\n---\njq 1.7.1-6+deb13u1 amd64\nlibc6 2.41-12 amd64\n"


def test_an_inventory_is_read() -> None:
    inventory = read_inventory(TEXT)
    assert inventory.manifest == MANIFEST
    assert [(item.name, item.version) for item in inventory.packages] == [
        ("jq", "1.7.1-6+deb13u1"),
        ("libc6", "2.41-12"),
    ]


def test_it_is_valid_and_names_everything() -> None:
    text = sbom("debian-13-kube-1.36.4-0a1b2c3d", read_inventory(TEXT))
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    document = json.loads(text)
    parts = {item["name"]: item for item in document["components"]}
    assert set(parts) == {"runc", "jq", "libc6"}
    assert parts["runc"]["hashes"] == [{"alg": "SHA-256", "content": "b" * 64}]
    assert parts["jq"]["purl"] == "pkg:deb/debian/jq@1.7.1-6%2Bdeb13u1?arch=amd64&distro=debian-13"
    assert document["metadata"]["component"]["version"] == "a" * 64


def test_the_same_image_gives_the_same_text() -> None:
    assert sbom("name", read_inventory(TEXT)) == sbom("name", read_inventory(TEXT))
    assert sbom("name", read_inventory(TEXT)) != sbom("other", read_inventory(TEXT))
