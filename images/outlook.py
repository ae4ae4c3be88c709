"""What a run will do, in one line of the program's own: for those who call the engine without ./pulumiw, which says it better."""

from collections.abc import Collection, Iterable, Sequence

from images.names import build_key
from images.plan import Build, Plan
from images.retention import earlier_to_keep
from images.review import first
from images.snapshot import Snapshot


def outlook(plan: Plan, to_build: Sequence[Build], existing: Iterable[Snapshot], recorded: Collection[str]) -> str:
    """Such as `images: 1 to build (debian-13-kube-1.36.4-…), 1 kept, nothing deleted`. What is not recorded is not deleted."""
    existing = list(existing)
    building = list(dict.fromkeys(build.image for build in to_build))
    declared = [image.name for image in plan.images]
    earlier = list(dict.fromkeys(item.image for item in earlier_to_keep(plan, existing)))
    kept = len([name for name in declared if name not in building]) + len(earlier)
    published = dict.fromkeys(item.image for item in existing if _is_recorded(item, recorded))
    deleted = [name for name in published if name not in (*declared, *earlier)]
    return f"images: {_some(building, 'to build')}, {kept} kept, {_some(deleted, 'deleted')}"


def _is_recorded(item: Snapshot, recorded: Collection[str]) -> bool:
    return bool(item.image) and build_key(item.image, item.architecture) in recorded


def _some(names: Sequence[str], what: str) -> str:
    return f"{len(names)} {what} ({first(names)})" if names else f"nothing {what}"
