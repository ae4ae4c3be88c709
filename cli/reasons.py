"""Why something happens to an image, in words: for a comment, and for the terminal."""

from collections.abc import Callable, Mapping

from images.causes import Cause, Reason
from images.changes import Change
from images.labels import CAPH_IMAGE_NAME
from images.review import first

_WORDS: Mapping[Cause, str] = {
    Cause.NEW_VERSION: "{names} is new",
    Cause.NEW_ARCHITECTURE: "another architecture of {names}",
    Cause.GOES_ON: "its build goes on where an earlier run stopped",
    Cause.FILE: "another file of {names} at the same version",
    Cause.SETTINGS: "{names} changed",
    Cause.PACKAGES: "packages: {names}",
    Cause.RENDERED: "rendered differently: {names}",
    Cause.NOT_RECORDED: "what else changed is not known: an older program exported the last records",
    Cause.SNAPSHOT_GONE: "its snapshot is gone",
    Cause.SNAPSHOT_FOUND: "the project has a snapshot of this content",
    Cause.DECLARED_AGAIN: "an earlier build is the declared one again",
    Cause.NOT_TESTED: "it did not pass its tests yet",
    Cause.OTHER_TESTS: "other tests than it passed: the recipe's changed, or verification, kubeadm or reverify",
    Cause.LABEL_GONE: f"its label {CAPH_IMAGE_NAME} is not there",
    Cause.UNDECLARED: "{names} is no longer declared",
    Cause.TOO_MANY: "more than keepGenerations earlier builds of {names}",
    Cause.NEVER_PASSED: "it never passed its tests",
    Cause.EARLIER: "earlier build of {names}",
    Cause.PROTECTED: "it is protected",
}


def lines(change: Change) -> tuple[str, ...]:
    """All reasons of a change, one a line; of an image that stays, all in one line."""
    found = tuple(map(text, change.why))
    return ("; ".join(found),) if change.kind == "kept" else found


def text(reason: Reason) -> str:
    """A reason in words."""
    special = _SPECIAL.get(reason.cause)
    return special(reason) if special else _WORDS[reason.cause].format(names=", ".join(reason.names))


def _version(reason: Reason) -> str:
    return f"{reason.names[0]} {reason.old or 'none'} → {reason.new or 'none'}"


def _as_of(reason: Reason) -> str:
    return f"asOf {_date(reason.old)} → {_date(reason.new)}"


def _step(reason: Reason) -> str:
    fate = "edited" if reason.old and reason.new else "removed" if reason.old else "added"
    return f"step {reason.names[0]} {fate}"


def _in_use(reason: Reason) -> str:
    count = "a server was" if len(reason.names) == 1 else f"{len(reason.names)} servers were"
    return f"{count} created from it: {first(reason.names)}"


def _too_large(reason: Reason) -> str:
    return f"its disk of {reason.old} GB is larger than maxDisk: {reason.new}"


def _date(time: str) -> str:
    """`20261101T000000Z` -> `2026-11-01`."""
    day = f"{time[:4]}-{time[4:6]}-{time[6:8]}"
    return "none" if not time else day if time.endswith("T000000Z") else f"{day} {time[9:11]}:{time[11:13]}"


_SPECIAL: Mapping[Cause, Callable[[Reason], str]] = {
    Cause.VERSION: _version,
    Cause.AS_OF: _as_of,
    Cause.STEP: _step,
    Cause.IN_USE: _in_use,
    Cause.TOO_LARGE: _too_large,
}
