"""The promotion gate: a name that CAPH could not resolve to exactly one image is seen before anything is built."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from images.labels import CAPH_IMAGE_NAME, MANAGED_BY
from images.plan import Build, Plan
from images.stackfile import PROJECT
from recipe.problems import Problem


@dataclass(frozen=True)
class NamedImage:
    """An image of the Hetzner project that carries `caph-image-name`, whoever made it."""

    id: int
    name: str
    hcloud_architecture: str
    labels: Mapping[str, str]

    @property
    def maker(self) -> str:
        ours = self.labels.get("managed-by") == MANAGED_BY
        return f"stack {self.labels.get('stack')}" if ours else "nobody of this project"


def ambiguous_names(plan: Plan, named: Iterable[NamedImage], label: str) -> list[Problem]:
    """A problem for each declared image whose name CAPH would find more than once for an architecture."""
    named = list(named)
    return [
        _problem(build, rivals, label)
        for image in plan.images
        for build in image.builds
        if (rivals := _rivals(build, named))
    ]


def _rivals(build: Build, named: Sequence[NamedImage]) -> list[NamedImage]:
    """Who carries the name beside the one snapshot that may: the oldest of this content that the stack made."""
    found = [
        item for item in named if (item.name, item.hcloud_architecture) == (build.image, build.hcloud_architecture)
    ]
    ours = [item for item in found if build.content.items() <= item.labels.items()]
    return [item for item in found if item not in ours] + sorted(ours, key=lambda item: item.id)[1:]


def _problem(build: Build, rivals: Sequence[NamedImage], label: str) -> Problem:
    who = ", ".join(f"snapshot {item.id}, made by {item.maker}," for item in rivals)
    name = f"{CAPH_IMAGE_NAME}={build.image} for {build.architecture}"
    rule = f"{who} carries {name} already: with two of them CAPH makes no server"
    lift = f"hcloud image remove-label {rivals[0].id} {CAPH_IMAGE_NAME}"
    remedy = f"{lift}; or build what another stack has in another Hetzner project"
    return Problem(label, f"{PROJECT}:images", build.image, rule, remedy)
