"""What an `up` would do to the images of a stack, from the engine's preview and the records that the last `up` exported."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from images.causes import Cause, Reason
from images.contents import Difference, reasons, side_by_side
from images.names import image_key
from images.preview import Image, Preview
from recipe.catalog import minor_of

Kind = Literal[
    "added", "rebuilt", "restored", "adopted", "built again", "tested again", "published again", "deleted", "kept"
]
_MAKES = {"create", "create-replacement", "replace", "update"}
_REPLACES = {"create-replacement", "replace", "delete-replaced"}
_WORK: Mapping[str, set[str]] = {"snapshot": {"create"} | _REPLACES, "test": _MAKES, "publication": set()}


@dataclass(frozen=True)
class Change:
    """What happens to one image. `before` is the image that it takes the place of, with the differences to it."""

    kind: Kind
    name: str
    architectures: tuple[str, ...]
    why: tuple[Reason, ...]
    before: str = ""
    components: tuple[Difference, ...] = ()

    @property
    def key(self) -> str:
        return image_key(self.name)


def changes(preview: Preview) -> list[Change]:
    """What happens to each image that anything happens to, the most important first."""
    found = [change for name in preview.names() for change in _of_image(preview, name)]
    return sorted(found, key=lambda change: (get_args(Kind).index(change.kind), change.name))


def unchanged(preview: Preview, found: Sequence[Change]) -> list[str]:
    """The images of the last `up` that stay as they are, earlier generations among them."""
    known = [name for image in preview.records for name in (image.name, *image.generations)]
    touched = {change.name for change in found}
    return [name for name in dict.fromkeys(known) if name not in touched]


def _of_image(preview: Preview, name: str) -> Iterator[Change]:
    made = preview.architectures(name, "snapshot", {"create"})
    again = preview.architectures(name, "snapshot", _REPLACES)
    deleted = preview.architectures(name, "snapshot", {"delete"})
    found = preview.architectures(name, "snapshot", {"import"})
    published = preview.architectures(name, "publication", _MAKES)
    tested = preview.architectures(name, "test", _MAKES)
    retired = tuple(architecture for image, architecture in sorted(preview.retired) if image == name)
    if made:
        yield _built(preview, name, made)
    if again:
        yield Change("built again", name, again, (Reason(Cause.SNAPSHOT_GONE),))
    if deleted:
        yield Change("deleted", name, deleted, (_why_deleted(preview, name),))
    if found and name in preview.new and name not in preview.begun:
        yield Change("adopted", name, found, (Reason(Cause.SNAPSHOT_FOUND),))
    if not (made or again or found) and _is_restored(preview, name):
        yield _restored(preview, preview.new[name])
    unproved = _without(preview.architectures(name, "publication", {"create"}), made, again, found)
    if unproved:
        yield Change("tested again", name, unproved, (Reason(Cause.NOT_TESTED),))
    if only := _without(published, made, again, found, unproved):
        yield Change("published again", name, only, (Reason(Cause.LABEL_GONE),))
    if only := _without(tested, made, again, _without(published, found)):
        yield Change("tested again", name, only, (Reason(Cause.NOT_TESTED if found else Cause.OTHER_TESTS),))
    # Of a build that failed before it had a snapshot nothing is left to keep.
    dropped = tuple(architecture for image, architecture in sorted(preview.dropped) if image == name)
    if only := _without((*retired, *(() if name in preview.new else found)), made, again, deleted, dropped):
        yield Change("kept", name, only, (_why_kept(preview, name),))


def _without(architectures: Sequence[str], *others: Sequence[str]) -> tuple[str, ...]:
    left_out = {item for other in others for item in other}
    return tuple(dict.fromkeys(item for item in architectures if item not in left_out))


def _built(preview: Preview, name: str, architectures: tuple[str, ...]) -> Change:
    recorded = next((image for image in preview.records if image.name == name), None)
    if recorded and set(architectures) <= set(recorded.architectures):
        return Change("built again", name, architectures, (Reason(Cause.SNAPSHOT_GONE),))
    if recorded:
        return Change("added", name, architectures, (Reason(Cause.NEW_ARCHITECTURE, (image_key(name),)),))
    before = _declared_as(preview, image_key(name))
    kind: Kind = "rebuilt" if before else "added"
    after = preview.new.get(name)
    if after is None:
        return Change(kind, name, architectures, (Reason(Cause.GOES_ON),))
    goes_on = (Reason(Cause.GOES_ON),) if name in preview.begun else ()
    news = goes_on if before else (*goes_on, Reason(Cause.NEW_VERSION, (after.key,)))
    before = before or _forerunner(preview, after)
    if before is None:
        return Change(kind, name, architectures, news)
    why = (*news, *reasons(before, after))
    return Change(kind, name, architectures, why, before.name, tuple(side_by_side(before, after)))


def _is_restored(preview: Preview, name: str) -> bool:
    """Whether an earlier build becomes the declared one again."""
    return name in preview.new and name in {item for image in preview.records for item in image.generations}


def _restored(preview: Preview, after: Image) -> Change:
    before = _declared_as(preview, after.key)
    news = Reason(Cause.DECLARED_AGAIN)
    if before is None:
        return Change("restored", after.name, after.architectures, (news,))
    why = (news, *reasons(before, after))
    return Change("restored", after.name, after.architectures, why, before.name, tuple(side_by_side(before, after)))


def _declared_as(preview: Preview, key: str) -> Image | None:
    """The image of a version that the last `up` exported."""
    return next((image for image in preview.records if image.key == key), None)


def _forerunner(preview: Preview, after: Image) -> Image | None:
    """Of a new patch release: the image of the same operating system and minor whose version is declared no longer."""
    declared = _declared(preview)
    return next(
        (image for image in reversed(preview.records) if _line(image) == _line(after) and image.key not in declared),
        None,
    )


def _line(image: Image) -> tuple[str, str]:
    return image.os, minor_of(image.kubernetes)


def _why_deleted(preview: Preview, name: str) -> Reason:
    key = image_key(name)
    if key not in _declared(preview):
        return Reason(Cause.UNDECLARED, (key,))
    if name in {item for image in preview.records for item in (image.name, *image.generations)}:
        return Reason(Cause.TOO_MANY, (key,))
    return Reason(Cause.NEVER_PASSED)


def _why_kept(preview: Preview, name: str) -> Reason:
    key = image_key(name)
    return Reason(Cause.EARLIER if key in _declared(preview) else Cause.UNDECLARED, (key,))


def _declared(preview: Preview) -> set[str]:
    """The keys that the stack has after the `up`, of builds that go on among them: only what is declared is built and tested."""
    retired = {name for name, _ in preview.retired}
    at_work = {image_key(name) for (name, _, part), done in preview.operations.items() if done & _WORK[part]}
    return at_work | {image.key for image in (*preview.records, *preview.new.values()) if image.name not in retired}
