"""What the state of a stack has of servers and images, whichever way it was read."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from images.names import Part, Role, build_of_worker, read_urn
from images.report import report_and_inventory, whole_report
from recipe.sbom import read_manifest

Outputs = Mapping[str, Mapping[str, Any]]
"""Of each resource by name."""


@dataclass(frozen=True)
class Facts:
    """What the tests of a published snapshot told: kept with its publication, also when their server is forgotten.

    `tests` is the digest of those tests, `report` what they printed, `manifest` that of the image, as JSON.
    """

    tests: str
    report: str
    manifest: str


@dataclass(frozen=True)
class Recorded:
    """`names` of all resources, and ids of all `servers` that a run made and came to know of.

    By key of the build: `facts` of those that were published, the `verifiers`' digests, and sha256 of `bills` of materials.
    """

    names: frozenset[str]
    servers: frozenset[int]
    facts: Mapping[str, Facts] = field(default_factory=dict)
    verifiers: Mapping[str, str] = field(default_factory=dict)
    bills: Mapping[str, str] = field(default_factory=dict)


def recorded(resources: Iterable[tuple[str, Mapping[str, Any]]]) -> Recorded:
    """From the URN and the outputs of each resource."""
    named = {read_urn(urn).name: outputs for urn, outputs in resources}
    servers = [outputs.get("server_id") for name, outputs in named.items() if Part.SERVER.owner(name)]
    published = [key for name in named if (key := Part.PUBLISHED.owner(name))]
    verifiers = dict(_verifiers(named))
    return Recorded(
        frozenset(named),
        frozenset(int(number) for number in servers if number),
        {key: facts for key in published if (facts := _facts(key, named, verifiers.get(key, "")))},
        verifiers,
        {key: bill for key in published if (bill := _bill(named.get(Part.BILL.of(key), {})))},
    )


def _facts(key: str, named: Outputs, verifier: str) -> Facts | None:
    """From its publication where that keeps them, as their commands are gone; else from the commands of the tests.

    `verifier` is the digest of the server that was tested.
    """
    kept = named[Part.PUBLISHED.of(key)]
    if "manifest" in kept:
        return Facts(kept["tests"], kept["report"], kept["manifest"])
    told = {part: str(named.get(part.of(key), {}).get("stdout") or "") for part in _TOLD}
    try:
        report, inventory = _first_tests(told)
        manifest = json.dumps(read_manifest(inventory))
    except ValueError:
        return None
    for part in (Part.TESTS_AFTER_RESTART, Part.MEET):
        report = whole_report(report, told[part])
    tests = kept.get("tests") or verifier.partition("-")[2]
    return Facts(str(tests), report, manifest)


_TOLD = (Part.TESTS, Part.INVENTORY, Part.TESTS_AFTER_RESTART, Part.MEET)


def _first_tests(told: Mapping[Part, str]) -> tuple[str, str]:
    """Report and inventory. When each step was a resource, the inventory was one, too. Raises ValueError."""
    if told[Part.INVENTORY]:
        return told[Part.TESTS], told[Part.INVENTORY]
    return report_and_inventory(told[Part.TESTS])


def _verifiers(named: Outputs) -> Iterator[tuple[str, str]]:
    for name, outputs in named.items():
        if key := build_of_worker(Part.SERVER.owner(name), Role.VERIFIER):
            yield key, str(outputs.get("digest") or "")


def _bill(outputs: Mapping[str, Any]) -> str:
    """A state that was made when the text was kept has no digest of it."""
    text = outputs.get("text")
    return hashlib.sha256(text.encode()).hexdigest() if text else str(outputs.get("sha256") or "")
