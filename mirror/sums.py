"""The two files of sums: recipe/lock.yaml (published by upstream) and recipe/lock.local.yaml (built on this machine).

Both are flat maps of URL to SHA-256. The first is committed and only ever read here; the second is git-ignored, true
for this machine's cache alone, and written here.
"""

import fcntl
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import yaml

from mirror.errors import MirrorError
from recipe.lock import write_lock

RECIPE = Path(__file__).resolve().parents[1] / "recipe"
LOCK = RECIPE / "lock.yaml"
LOCAL_LOCK = RECIPE / "lock.local.yaml"

_URL = re.compile(r"https://[a-z0-9][a-z0-9.-]*(/[A-Za-z0-9_+~-][A-Za-z0-9._+~-]*)+")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_LOCAL_COMMENTS = (
    "# SHA-256 of files that the artifact mirror built on this machine, because upstream did not answer. Not upstream's sums:",
    "# never commit this file. Written by `python -m mirror ensure`.",
)


def read_lock(path: Path) -> Mapping[str, str]:
    """Read a map of URL to lower-case hex SHA-256. Cheap when the file has not changed since the last call.

    Raises MirrorError naming every line that is not of that form; a URL that passes is safe to use as a path.
    """
    try:
        return _parse(path, path.stat().st_mtime_ns)
    except FileNotFoundError:
        raise MirrorError(f"{path}: no such file", "name the lock with --lock FILE") from None


@lru_cache(maxsize=8)
def _parse(path: Path, _mtime_ns: int) -> Mapping[str, str]:
    try:
        # Every scalar is text here: a sum of digits only must not become a number.
        content = yaml.load(path.read_text(), Loader=getattr(yaml, "CBaseLoader", yaml.BaseLoader))  # noqa: S506 (safe)
    except yaml.YAMLError as error:
        raise MirrorError(f"{path}: not YAML: {error}") from None
    if content in (None, ""):
        return {}
    if not isinstance(content, dict):
        raise MirrorError(f"{path}: must be a map of URL to SHA-256")
    problems = [problem for url, digest in content.items() if (problem := _problem(url, str(digest)))]
    if problems:
        raise MirrorError("\n".join(f"{path}: {problem}" for problem in problems))
    return content


def _problem(url: str, digest: str) -> str:
    if not _URL.fullmatch(url):
        return f"{url}: must be a plain https URL without query, '..' or encoded characters"
    if not _SHA256.fullmatch(digest):
        return f"{url}: {digest!r} is not a SHA-256 (64 lower-case hex digits)"
    return ""


def merge_local(path: Path, *, built: Mapping[str, str], upstream: Collection[str]) -> None:
    """Record the sums of built files in the local lock, and drop those of files that are now upstream's.

    Other entries stand. Atomic, and safe for two at once; an empty local lock is no file at all.
    """
    with _directory_locked(path.parent):
        current = read_lock(path) if path.exists() else {}
        merged = {**{url: digest for url, digest in current.items() if url not in upstream}, **built}
        if not merged:
            path.unlink(missing_ok=True)
        elif merged != current:
            write_lock(path, _LOCAL_COMMENTS, merged)


@contextmanager
def _directory_locked(directory: Path) -> Iterator[None]:
    # The directory itself is locked, so that no lock file lies about beside the recipe.
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
