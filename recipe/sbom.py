"""The bill of materials of an image: CycloneDX, from what a server that was booted from it says of itself."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, Property, XsUri
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

SEPARATOR = "\n---\n"


@dataclass(frozen=True)
class Package:
    """A package of the operating system."""

    name: str
    version: str
    architecture: str


@dataclass(frozen=True)
class Inventory:
    """What is on a node: the manifest of its image, and its packages."""

    manifest: Mapping[str, Any]
    packages: tuple[Package, ...]


def read_inventory(text: str) -> Inventory:
    """Read what inventory.sh prints."""
    manifest, _, packages = text.partition(SEPARATOR)
    return Inventory(json.loads(manifest), tuple(Package(*line.split(" ")) for line in packages.splitlines() if line))


def sbom(image: str, inventory: Inventory) -> str:
    """CycloneDX 1.6 as JSON. The same inventory gives the same text, byte for byte."""
    manifest = inventory.manifest
    serial = uuid5(NAMESPACE_URL, f"{image}/{json.dumps(manifest, sort_keys=True)}/{inventory.packages}")
    bom = Bom(serial_number=serial, components=[*_files(manifest), *_packages(inventory)])
    bom.metadata.timestamp = None  # type: ignore[assignment]
    bom.metadata.component = image_component = Component(
        name=image,
        bom_ref=image,
        version=str(manifest.get("recipe", "")),
        type=ComponentType.OPERATING_SYSTEM,
        properties=[
            Property(name=f"node-images:{key}", value=str(manifest[key])) for key in ("os", "architecture", "asOf")
        ],
    )
    bom.register_dependency(image_component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _files(manifest: Mapping[str, Any]) -> Iterator[Component]:
    for name, item in manifest["components"].items():
        if "sha256" in item:
            yield Component(
                name=name,
                bom_ref=name,
                version=item["version"],
                type=ComponentType.APPLICATION,
                purl=PackageURL("generic", None, name, item["version"], {"download_url": item["url"]}),
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=item["sha256"])],
                external_references=[
                    ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(item["url"]))
                ],
            )


def _packages(inventory: Inventory) -> Iterator[Component]:
    distribution = str(inventory.manifest["os"])
    vendor = distribution.partition("-")[0]
    kind = "rpm" if vendor == "rocky" else "deb"
    for item in inventory.packages:
        qualifiers = {"arch": item.architecture, "distro": distribution}
        purl = PackageURL(kind, vendor, item.name, item.version, qualifiers)
        yield Component(
            name=item.name, version=item.version, type=ComponentType.LIBRARY, purl=purl, bom_ref=purl.to_string()
        )
