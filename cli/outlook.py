"""What an `up` does to the images of a stack, in one line."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from cli.reasons import lines
from images.changes import Change, changes, unchanged
from images.preview import read_preview

MOST_REASONS = 2


def outlook(document: Mapping[str, object]) -> str:
    """Of what the engine would do or has done, such as `1 image rebuilt (step kernel edited), 1 kept, nothing deleted`."""
    preview = read_preview(document, "the engine's event log")
    found = changes(preview)
    kept = sum(change.kind == "kept" for change in found) + len(unchanged(preview, found))
    return ", ".join(_parts([change for change in found if change.kind != "kept"], kept))


def _parts(found: Sequence[Change], kept: int) -> Iterator[str]:
    noun = "image"
    for kind, group in groupby(found, lambda change: change.kind):
        same = list(group)
        yield f"{len(same)} {_plural(noun, len(same))}{kind}{_why(same)}"
        noun = ""
    if not found:
        yield "no image changes"
    if kept:
        yield f"{kept} kept"
    if all(change.kind != "deleted" for change in found):
        yield "nothing deleted"


def _plural(noun: str, count: int) -> str:
    return f"{noun}{'' if count == 1 else 's'} " if noun else ""


def _why(same: Sequence[Change]) -> str:
    told = list(dict.fromkeys(line for change in same for line in lines(change)))
    more = f" and {len(told) - MOST_REASONS} more" if len(told) > MOST_REASONS else ""
    return f" ({'; '.join(told[:MOST_REASONS])}{more})" if told else ""
