"""Adoption: what exists of the declared content is taken up, whatever a lost or half-written state says of it."""

from collections.abc import Iterable
from dataclasses import dataclass

from images.names import Part, Role, worker_name
from images.plan import Build, Plan
from images.recorded import Facts, Recorded
from images.snapshot import Snapshot


@dataclass(frozen=True)
class Adoption:
    """A snapshot with the content of a build. `built_here`: the state has the records of its build.

    `verify`: it has to pass its tests again, or the state has the records of that. `verified`: it has passed these very tests.
    `facts` are what the state keeps of the tests that it passed, `bill` the sha256 of its bill of materials.
    """

    snapshot: Snapshot
    built_here: bool
    verify: bool
    verified: bool = False
    facts: Facts | None = None
    bill: str = ""


def adoptions(plan: Plan, existing: Iterable[Snapshot], state: Recorded) -> dict[str, Adoption]:
    """By key of the build, for each that has a snapshot already."""
    available = [item for item in existing if item.available]
    builds = [build for image in plan.images for build in image.builds]
    found = [(build, _best([item for item in available if _is_of(build, item)])) for build in builds]
    return {build.key: _adoption(build, item, state, reverify=plan.reverify) for build, item in found if item}


def _adoption(build: Build, item: Snapshot, state: Recorded, *, reverify: str) -> Adoption:
    """Another name than its own is none that it was given after its tests."""
    facts, published = state.facts.get(build.key), item.image == build.image
    return Adoption(
        item,
        built_here={_bundle(build, Role.BUILDER), Part.POWERED_OFF.of(build.key)} <= state.names,
        verify=not published or _has_to_pass(build, state, reverify=reverify),
        verified=published and _has_passed(build, state),
        facts=facts if published else None,
        bill=state.bills.get(build.key, ""),
    )


def _has_to_pass(build: Build, state: Recorded, *, reverify: str) -> bool:
    """Where the state knows which tests it has passed, others have to be; else those that are asked for."""
    if _bundle(build, Role.VERIFIER) in state.names:
        return True
    facts = state.facts.get(build.key)
    return facts.tests != build.tests_digest if facts else bool(reverify)


def _has_passed(build: Build, state: Recorded) -> bool:
    """The state has all of its verification, by the tests of today."""
    facts = state.facts.get(build.key)
    same_server = state.verifiers.get(build.key) == build.verifier_digest
    return same_server and (facts is None or facts.tests == build.tests_digest)


def _bundle(build: Build, role: Role) -> str:
    """A state that was made when each step was a resource has none."""
    return Part.BUNDLE.of(worker_name(build.key, role))


def _is_of(build: Build, item: Snapshot) -> bool:
    return build.content.items() <= item.labels.items()


def _best(items: list[Snapshot]) -> Snapshot | None:
    """A published one before any other, else the newest."""
    return max(items, key=lambda item: (bool(item.image), item.age), default=None)
