"""Packages of two images side by side, from their bills of materials (CycloneDX JSON, as recipe/sbom.py writes them)."""

import json
from dataclasses import dataclass

from images.contents import Difference, differences
from images.names import image_key
from recipe.catalog import KUBERNETES_PROGRAMS

GO_MODULE = "pkg:golang/"
NO_EPOCH = "0:"
"""What earlier bills have before the version of each RPM package."""


@dataclass(frozen=True)
class PackageChanges:
    """What another build has in packages of the operating system, for one architecture of an image."""

    name: str
    architecture: str
    before: str
    added: tuple[Difference, ...]
    removed: tuple[Difference, ...]
    changed: tuple[Difference, ...]

    @property
    def key(self) -> str:
        return image_key(self.name)

    @property
    def is_something(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @property
    def summary(self) -> str:
        """Such as `2 changed, 1 added`."""
        counts = (("changed", self.changed), ("added", self.added), ("removed", self.removed))
        return ", ".join(f"{len(found)} {what}" for what, found in counts if found) or "none changed"


def packages_of(bill: str) -> dict[str, str]:
    """Version by name of a bill's packages of the operating system; nothing where it is no such bill."""
    versions: dict[str, set[str]] = {}
    try:
        for item in json.loads(bill)["components"]:
            if item["type"] == "library" and not item.get("purl", "").startswith(GO_MODULE):
                versions.setdefault(item["name"], set()).add(item["version"].removeprefix(NO_EPOCH))
    except (ValueError, KeyError, TypeError):
        return {}
    return {name: ", ".join(sorted(found)) for name, found in versions.items()}


def components_of(bill: str) -> dict[str, str]:
    """Version by name of the components that came as files; nothing where it is no such bill. Kubernetes' programs are one."""
    try:
        found = {
            item["name"]: item["version"]
            for item in json.loads(bill)["components"]
            if item["type"] == "application" and "version" in item
        }
    except (ValueError, KeyError, TypeError):
        return {}
    programs = {found.pop(name) for name in KUBERNETES_PROGRAMS if name in found}
    return {**({"kubernetes": ", ".join(sorted(programs))} if programs else {}), **found}


def compare(name: str, architecture: str, before: str, bills: tuple[str, str]) -> PackageChanges | None:
    """Compare the bills of the image before and of the new one; nothing where one of them is not known."""
    old, new = (packages_of(bill) for bill in bills)
    if not old or not new:
        return None
    found = differences(old, new)
    return PackageChanges(
        name,
        architecture,
        before,
        added=tuple(item for item in found if not item.old),
        removed=tuple(item for item in found if not item.new),
        changed=tuple(item for item in found if item.old and item.new),
    )
