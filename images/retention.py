"""Retention: which earlier snapshots stay beside the declared ones, and why."""

from collections.abc import Iterable

from images.plan import ImagePlan, Plan
from images.snapshot import Snapshot


def earlier_to_keep(plan: Plan, existing: Iterable[Snapshot]) -> list[Snapshot]:
    """The earlier snapshots to keep, newest first.

    Of each declared version the last `keep_generations` published ones, but never none while the declared image is not
    published itself: its build may fail, and the version would be left without any image. Also whatever a server was
    created from, and whatever is protected. A snapshot that was never published counts for nothing.
    """
    newest_first = _published_newest_first(plan, existing)
    names = _generations(plan, newest_first)
    declared = {image.name for image in plan.images}
    earlier = [item for item in newest_first if item.image not in declared]
    return [item for item in earlier if item.in_use or item.protected or item.image in names]


def why_kept(plan: Plan, existing: Iterable[Snapshot]) -> list[str]:
    """A line for each kept snapshot that the declared generations alone would let go: why it stays, and until when."""
    existing = list(existing)
    names = _generations(plan, _published_newest_first(plan, existing))
    return [_why(item) for item in earlier_to_keep(plan, existing) if item.image not in names]


def _why(item: Snapshot) -> str:
    snapshot = f"snapshot {item.id} ({item.image}) stays, though nothing declares it any more"
    if item.in_use:
        servers = ", ".join(sorted(item.servers))
        return f"{snapshot}: servers run from it ({servers}). It goes with the first `up` after they are gone"
    lift = f"hcloud image disable-protection {item.id} delete"
    return f"{snapshot}: it is protected. To let it go: {lift}, then `up`"


def _published_newest_first(plan: Plan, existing: Iterable[Snapshot]) -> list[Snapshot]:
    """Without those of declared content whose name somebody changed: they are the declared ones, and get their names back."""
    names = {image.digest: image.name for image in plan.images}
    named = [item for item in existing if item.image == names.get(item.digest, item.image)]
    published = [item for item in named if item.image and item.available]
    return sorted(published, key=lambda item: item.age, reverse=True)


def _generations(plan: Plan, newest_first: list[Snapshot]) -> set[str]:
    return {name for image in plan.images for name in _names_to_keep(image, newest_first, plan.keep_generations)}


def _names_to_keep(image: ImagePlan, newest_first: list[Snapshot], keep_generations: int) -> list[str]:
    names = list(dict.fromkeys(item.image for item in newest_first if item.key == image.key))
    floor = 0 if image.name in names else 1
    return [name for name in names if name != image.name][: max(keep_generations, floor)]
