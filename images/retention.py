"""Retention: which earlier snapshots stay beside the declared ones."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from images.labels import CAPH_IMAGE_NAME
from images.plan import ImagePlan, Plan


@dataclass(frozen=True)
class ExistingSnapshot:
    """A snapshot of this stack as the API tells of it.

    `hcloud_architecture` is `x86` or `arm`; `in_use`: a server of the project was created from it, `servers` are their names.
    """

    id: int
    labels: Mapping[str, str]
    created: datetime
    available: bool
    hcloud_architecture: str = "x86"
    in_use: bool = False
    servers: tuple[str, ...] = ()
    size_gb: float = 0

    @property
    def image(self) -> str:
        """Its published name, or nothing: an image that never passed its tests has none."""
        return self.labels.get(CAPH_IMAGE_NAME, "")

    @property
    def key(self) -> str:
        return f"{self.labels.get('os')}/{self.labels.get('kubernetes_version')}"

    @property
    def architecture(self) -> str:
        return self.labels.get("architecture", "")


def earlier_to_keep(plan: Plan, existing: Iterable[ExistingSnapshot]) -> list[ExistingSnapshot]:
    """The earlier snapshots to keep, newest first.

    Of each declared version the last `keep_generations` published ones, but never none while the declared image is not
    published itself: its build may fail, and the version would be left without any image. Also whatever a server was
    created from. A snapshot that was never published counts for nothing.
    """
    published = [item for item in existing if item.image and item.available]
    newest_first = sorted(published, key=lambda item: (item.created, item.id), reverse=True)
    names = {name for image in plan.images for name in _names_to_keep(image, newest_first, plan.keep_generations)}
    declared = {image.name for image in plan.images}
    return [item for item in newest_first if item.image not in declared and (item.in_use or item.image in names)]


def _names_to_keep(image: ImagePlan, newest_first: list[ExistingSnapshot], keep_generations: int) -> list[str]:
    names = list(dict.fromkeys(item.image for item in newest_first if item.key == image.key))
    floor = 0 if image.name in names else 1
    return [name for name in names if name != image.name][: max(keep_generations, floor)]
