"""Adoption: what exists of the declared content is taken up, whatever a lost or half-written state says of it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from images.names import Part, Role, worker_name
from images.plan import Build, Plan
from images.snapshot import Snapshot


@dataclass(frozen=True)
class Adoption:
    """A snapshot with the content of a build. `built_here`: the state has the records of its build.

    `verify`: it has to pass its tests again, or the state has the records of that.
    """

    snapshot: Snapshot
    built_here: bool
    verify: bool


def adoptions(plan: Plan, existing: Iterable[Snapshot], recorded: Collection[str]) -> dict[str, Adoption]:
    """By key of the build, for each that has a snapshot already. `recorded` are the names of all records in the state."""
    available = [item for item in existing if item.available]
    builds = [build for image in plan.images for build in image.builds]
    found = [(build, _best([item for item in available if _is_of(build, item)])) for build in builds]
    return {build.key: _adoption(build, item, recorded, reverify=plan.reverify) for build, item in found if item}


def _adoption(build: Build, item: Snapshot, recorded: Collection[str], *, reverify: str) -> Adoption:
    """Another name than its own is none that it was given after its tests."""
    verifier = Part.SERVER.of(worker_name(build.key, Role.VERIFIER))
    verify = bool(reverify) or item.image != build.image or verifier in recorded
    return Adoption(item, built_here=Part.POWERED_OFF.of(build.key) in recorded, verify=verify)


def _is_of(build: Build, item: Snapshot) -> bool:
    return build.content.items() <= item.labels.items()


def _best(items: list[Snapshot]) -> Snapshot | None:
    """A published one before any other, else the newest."""
    return max(items, key=lambda item: (bool(item.image), item.age), default=None)
