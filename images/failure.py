"""What a failed operation tells people, and whether to try it again."""

import json
import re
from collections.abc import Sequence
from typing import Literal

from images.codes import passes
from images.names import SNAPSHOT, Part, Record, key_and_step

LAST_LINES, MOST_ERRORS = 12, 4
_ERROR = re.compile(
    r"\s*(\[(error|fatal)|(error|failed|fatal|panic)[: ]|E:|E\d{4} )|.*level=(error|fatal)", re.IGNORECASE
)
"""What tools mark as an error; recipe/runner.sh has the same."""

RETRIES = 2
PATIENT_RETRIES = 20
"""Some eight minutes, for what passes by its code: pulumi-hcloud itself waits for half a minute, or not at all."""
PAUSE_SECONDS = 3
LONGEST_PAUSE_SECONDS = 30

Answer = Literal["again", "wait", "fail"]

# What the SSH client and the command provider say when the way to the server broke, not the script on it.
_TRANSIENT = (
    "connection refused",
    "connection reset",
    "connection lost",
    "broken pipe",
    "i/o timeout",
    "unable to connect",
    "failed to dial",
    "exited without exit status",
    "does not answer (",
)
_LOCKED = "(locked"
_LIMITED = "rate_limit_exceeded"
_QUOTA = "resource_limit_exceeded"
_CANCELED = "context canceled"
_LATE = "context deadline exceeded"
_TESTS_FAILED = "acceptance tests failed"


def answer(kind: str, errors: list[str]) -> Answer:
    """What to do about an operation on a resource of this kind that failed, with the errors of all tries, newest first.

    `wait`: a quota that our own builds may free again. Failing twice more is enough for everything else, but for what passes:
    a lock, as by an action whose answer was lost, and the limit of requests.
    """
    if is_quota(errors[0]):
        return "wait" if kind == Record.SERVER.type else "fail"
    if is_late_snapshot(kind, errors[0]):
        return "fail"
    real = [error for error in errors if not is_quota(error) and not is_limited(kind, error) and _LOCKED not in error]
    if kind == SNAPSHOT and passes(errors[0]):
        return (
            "again" if _LOCKED in errors[0] or is_limited(kind, errors[0]) or len(errors) <= PATIENT_RETRIES else "fail"
        )
    worth_it = is_transient(errors[0]) or _LOCKED in errors[0] or kind == SNAPSHOT
    return "again" if worth_it and len(real) <= RETRIES else "fail"


def pause(tries: int) -> float:
    """How many seconds to wait before the next try."""
    return min(PAUSE_SECONDS * tries, LONGEST_PAUSE_SECONDS)


def is_transient(error: str) -> bool:
    """Whether the connection failed; a script that failed would only fail again, as its downloads retry by themselves."""
    text = error.lower()
    return "exited with status" not in text and any(sign in text for sign in _TRANSIENT)


def is_quota(error: str) -> bool:
    """Whether the Hetzner project may have no more of something: servers, primary IPs, snapshots."""
    return _QUOTA in error


def is_limited(kind: str, error: str) -> bool:
    """Whether the provider of snapshots met the limit of requests: it waits for half a minute, our own records for long."""
    return kind == SNAPSHOT and _LIMITED in error


def is_late_snapshot(kind: str, error: str) -> bool:
    """Whether a snapshot ran out of its time limit, which the engine gives to the provider."""
    return kind == SNAPSHOT and _LATE in error


def late_snapshot(seconds: float) -> str:
    """What was waited for, how long, and what to look at."""
    return (
        f"waited {seconds:.0f} s for Hetzner Cloud to finish the snapshot (node-images:timeouts.snapshot). Look at\n"
        "status.hetzner.com; a disk with much on it takes longer. Then run `up` again, with a higher limit if need be"
    )


def is_verdict(error: str) -> bool:
    """Whether the acceptance tests ran and failed: not that they could not run."""
    return _TESTS_FAILED in error


def summary(resource: str, error: str, fate: str, output: str = "") -> str:
    """The step's name, its errors and last lines, the file with all of it, and what becomes of its server.

    An interruption is no failure.
    """
    image, phase = key_and_step(resource)
    lines = [line for line in error.strip().splitlines() if line.strip()]
    step = failed_step(error)
    what = f"step {step or phase} of {image}" if image else resource
    if is_interruption(error):
        return f"{what} was interrupted.\n{fate}"
    tail = "\n".join(f"    {line}" for line in telling_lines(lines[: -1 if step else None]))
    kept = f"\nAll of its output: {output}" if output else ""
    return f"{what} failed:\n{tail}{kept}\n{fate}"


def telling_lines(lines: Sequence[str]) -> list[str]:
    """Errors that have many lines after them, the first and the last of them, and then the last lines."""
    errors = list(dict.fromkeys(line for line in lines[:-LAST_LINES] if _ERROR.match(line)))
    if len(errors) > MOST_ERRORS:
        errors = errors[: MOST_ERRORS // 2] + errors[-MOST_ERRORS // 2 :]
    return [*errors, *lines[len(errors) - LAST_LINES :]]


def is_interruption(error: str) -> bool:
    """Whether the engine ended the operation, as after a Ctrl-C."""
    return _CANCELED in error


def failed_step(error: str) -> str:
    """The step that recipe/runner.sh names in its last line; nothing where that is another one."""
    try:
        return str(json.loads(error.strip().splitlines()[-1])["failed"])
    except (ValueError, KeyError, TypeError, IndexError):
        return ""


def outcome(resource: str) -> str:
    """What a failed operation means for the image: a tarball is packed from a snapshot that is published already."""
    return "The snapshot itself is published." if Part.TARBALL.owner(resource) else "Nothing of it is published."
