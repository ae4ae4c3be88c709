"""`./node-images lock`: the sums that publishers give for their files, added to recipe/lock.yaml."""

from collections.abc import Callable, Sequence
from pathlib import Path

from adapters.checksums import published_sums
from recipe import Lock
from recipe.lock import write_lock
from recipe.problems import Problem, ProblemsError
from recipe.render import PublishedFile


def add_to_lock(
    file: Path, lock: Lock, needed: Sequence[PublishedFile], mirror: str, say: Callable[[str], None]
) -> None:
    """Read the published sum of every file, and write those that the lock lacks.

    Raises ProblemsError, with nothing written, where a sum cannot be had or differs from the locked one.
    """
    published = published_sums(needed, mirror)
    changed = [_changed(url, lock[url], digest) for url, digest in published.items() if lock.get(url, digest) != digest]
    if changed:
        raise ProblemsError(changed)
    added = {url: digest for url, digest in published.items() if url not in lock}
    for url, digest in added.items():
        say(f"added {digest[:12]}  {url}")
    say(f"{len(added)} added, {len(published) - len(added)} there already and as published")
    if added:
        comments = [line for line in file.read_text().splitlines() if line.startswith("#")]
        write_lock(file, comments, {**lock, **added})


def _changed(url: str, locked: str, published: str) -> Problem:
    rule = f"its project now publishes {published}, but the lock has {locked}: somebody changed a release"
    return Problem("recipe/lock.yaml", url, "", rule, "find out why before you trust either")
