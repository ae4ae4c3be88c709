"""The promotion gate: a name that CAPH could not resolve to exactly one image is seen before anything is built."""

from collections.abc import Iterable, Sequence

from images.labels import CAPH_IMAGE_NAME
from images.plan import Build, Plan
from images.snapshot import Snapshot
from images.stackfile import PROJECT
from recipe.problems import Problem


def ambiguous_names(plan: Plan, named: Iterable[Snapshot], label: str) -> list[Problem]:
    """A problem for each declared image whose name CAPH would find more than once for an architecture."""
    named = list(named)
    return [
        _problem(build, rivals, label)
        for image in plan.images
        for build in image.builds
        if (rivals := _rivals(build, named))
    ]


def _rivals(build: Build, named: Sequence[Snapshot]) -> list[Snapshot]:
    """Who carries the name beside the one snapshot that may: the oldest of this content that the stack made."""
    found = [
        item for item in named if (item.image, item.hcloud_architecture) == (build.image, build.hcloud_architecture)
    ]
    ours = [item for item in found if build.content.items() <= item.labels.items()]
    return [item for item in found if item not in ours] + sorted(ours, key=lambda item: item.id)[1:]


def _problem(build: Build, rivals: Sequence[Snapshot], label: str) -> Problem:
    who = ", ".join(f"snapshot {item.id}, made by {item.maker}," for item in rivals)
    name = f"{CAPH_IMAGE_NAME}={build.image} for {build.architecture}"
    rule = f"{who} carries {name} already: with two of them CAPH makes no server"
    lift = f"hcloud image remove-label {rivals[0].id} {CAPH_IMAGE_NAME}"
    remedy = f"{lift}; or build what another stack has in another Hetzner project"
    return Problem(label, f"{PROJECT}:images", build.image, rule, remedy)
