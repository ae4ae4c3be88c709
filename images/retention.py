"""Retention: which earlier snapshots stay beside the declared ones."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from images.labels import CAPH_IMAGE_NAME
from images.plan import Plan


@dataclass(frozen=True)
class ExistingSnapshot:
    """A snapshot of this stack as the API tells of it.

    `hcloud_architecture` is `x86` or `arm`; `in_use`: a server of the project was created from it.
    """

    id: int
    labels: Mapping[str, str]
    created: datetime
    available: bool
    hcloud_architecture: str = "x86"
    in_use: bool = False

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

    Of each declared version the last `keep_generations` published ones, and any that a server was created from.
    A snapshot that was never published counts for nothing.
    """
    declared = {image.name for image in plan.images}
    earlier = [item for item in existing if item.image and item.available and item.image not in declared]
    newest_first = sorted(earlier, key=lambda item: (item.created, item.id), reverse=True)
    kept_names = _newest_names(newest_first, {image.key for image in plan.images}, plan.keep_generations)
    return [item for item in newest_first if item.in_use or (item.key, item.image) in kept_names]


def _newest_names(
    newest_first: list[ExistingSnapshot], declared: Collection[str], keep_generations: int
) -> set[tuple[str, str]]:
    names: dict[str, list[str]] = {key: [] for key in declared}
    for item in newest_first:
        known = names.get(item.key)
        if known is not None and item.image not in known:
            known.append(item.image)
    return {(key, name) for key, known in names.items() for name in known[:keep_generations]}
