"""Make artifacts present: from upstream, or built where upstream does not answer."""

import errno
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Protocol, TypeVar

from mirror.errors import MirrorError, UnavailableError, join
from mirror.gobuild import FLAGS, Go
from mirror.programs import Build, is_outdated, is_program, plan
from mirror.progress import Progress, Silent, took
from mirror.store import Artifact, Store, Workplace
from mirror.sums import LOCAL_LOCK, LOCK, merge_local, read_lock
from toolchain.layout import cache_root

T = TypeVar("T")

DOWNLOADS_AT_ONCE = 4
# The go command uses all cores by itself; a second build fills the gaps of downloading and linking.
BUILDS_AT_ONCE = 2
LONGEST_WAIT = 0.5  # seconds


class Builder(Protocol):
    """What builds files, e.g. mirror.gobuild.Go."""

    def build(self, build: Build, work: Path, update: Callable[[str], None]) -> tuple[dict[str, Path], dict[str, str]]:
        """Build in the empty directory `work`; return URL -> file and facts to record."""

    def stop(self) -> None:
        """End running builds."""


def ensure(  # noqa: PLR0913 (each has a default, and tests replace them one by one)
    urls: Iterable[str],
    *,
    cache: Path | None = None,
    lock: Path = LOCK,
    local_lock: Path = LOCAL_LOCK,
    upstream: str | None = None,
    progress: Progress | None = None,
    builder: Builder | None = None,
) -> list[Artifact]:
    """Make every URL present in the cache, and write the sums of those built on this machine to `local_lock`.

    Kept copies are used as they are. What could be had stays kept when something else fails, so that the next call goes
    on from there. Safe for two processes at once: the second waits, then finds what the first made.

    upstream: base URL of another mirror to ask instead of the publishing hosts.
    Raises MirrorError, telling of every URL that could not be had.
    """
    store = Store(cache or cache_root())
    wanted = _wanted(urls, read_lock(lock), lock)
    try:
        if any(_find(store, url, digest) is None for url, digest in wanted.items()):
            _fill(store, wanted, upstream, progress or Silent(), builder or Go())
    except OSError as error:
        raise explain_os_error(error, store) from None
    finally:
        present = [artifact for url, digest in wanted.items() if (artifact := store.find(url, digest))]
        _write_local(local_lock, present)
    return present


def explain_os_error(error: OSError, store: Workplace) -> MirrorError:
    """Turn an error of the file system into one that names the place and the remedy."""
    if error.errno == errno.ENOSPC:
        return MirrorError(
            f"{store.root}: the disk is full", "free some space, or set NODE_IMAGES_CACHE to a larger disk"
        )
    return MirrorError(f"{error.filename or store.root}: {error.strerror or error}")


def _find(store: Store, url: str, published: str) -> Artifact | None:
    """Return the kept file, unless it was built in another way than today."""
    artifact = store.find(url, published)
    return None if artifact and is_outdated(url, artifact.facts.get(FLAGS, "")) else artifact


def _wanted(urls: Iterable[str], published: Mapping[str, str], lock: Path) -> dict[str, str]:
    """URL -> published sum; empty for a program without one, which can only be built."""
    wanted = list(dict.fromkeys(urls))
    if unknown := [url for url in wanted if url not in published and not is_program(url)]:
        lines = "\n".join(f"{url}: has no line in {lock}" for url in unknown)
        raise MirrorError(lines, "only files with a published sum are used; add the line, or mend the URL")
    return {url: published.get(url, "") for url in wanted}


def _write_local(local_lock: Path, present: list[Artifact]) -> None:
    built = {artifact.url: artifact.sha256 for artifact in present if artifact.origin == "built"}
    merge_local(
        local_lock, built=built, upstream={artifact.url for artifact in present if artifact.origin == "upstream"}
    )


def _fill(store: Store, wanted: Mapping[str, str], upstream: str | None, progress: Progress, builder: Builder) -> None:
    with store.filling(lambda: progress.say(f"waiting for another run that fills {store.root}")):
        missing = {url: digest for url, digest in wanted.items() if _find(store, url, digest) is None}
        unpublished = {url: UnavailableError("no sum of it is locked") for url, digest in missing.items() if not digest}
        locked = {url: digest for url, digest in missing.items() if digest}
        problems = {**_download(store, locked, upstream, progress), **unpublished}
        refused = [problem for problem in problems.values() if not isinstance(problem, UnavailableError)]
        builds, unknown = plan(url for url, problem in problems.items() if isinstance(problem, UnavailableError))
        refused += [problems[url] for url in unknown]
        for build in builds:
            progress.say(f"{build}: not from upstream, {problems[build.urls[0]].message}")
        failed = _build(store, builds, progress, builder)
        if refused or failed:
            raise join([*refused, *failed])


def _download(store: Store, missing: Mapping[str, str], base: str | None, progress: Progress) -> dict[str, MirrorError]:
    """Try upstream for each; return the errors of those it did not give."""
    from mirror.upstream import Upstream  # noqa: PLC0415 (httpx is slow to import, and seldom needed)

    upstream = Upstream(store, base)

    def fetch(url: str) -> None:
        start = time.monotonic()
        artifact = upstream.fetch(url, missing[url])
        progress.say(f"{url}: from upstream, {megabytes(artifact.size)}, {took(start)}")

    try:
        return each(fetch, list(missing), DOWNLOADS_AT_ONCE, upstream.stop)
    finally:
        upstream.close()


def _build(store: Store, builds: list[Build], progress: Progress, builder: Builder) -> list[MirrorError]:
    def make(build: Build) -> None:
        start = time.monotonic()
        with progress.task(f"building {build}") as update, store.workdir() as work:
            files, facts = builder.build(build, work, update)
            kept = [store.keep(path, url, "built", facts) for url, path in files.items()]
        progress.say(f"{build}: built from its Go module, {megabytes(sum(one.size for one in kept))}, {took(start)}")

    return list(each(make, builds, BUILDS_AT_ONCE, builder.stop).values())


def megabytes(size: int) -> str:
    """Return a size in bytes as "12.3 MB"."""
    return f"{size / 1e6:.1f} MB"


def each(work: Callable[[T], None], items: list[T], at_once: int, stop: Callable[[], None]) -> dict[T, MirrorError]:
    """Call `work` on each item in threads; return the user's errors by item.

    Anything else that is raised, Ctrl-C above all, calls `stop`, waits for the threads to end, and is raised on.
    """
    pool = ThreadPoolExecutor(at_once)
    try:
        futures = {item: pool.submit(work, item) for item in items}
        return {item: error for item, future in futures.items() if (error := _error(future))}
    except BaseException:
        stop()
        raise
    finally:
        pool.shutdown(cancel_futures=True)


def _error(future: Future[None]) -> MirrorError | None:
    # Python notices a Ctrl-C that came a moment before a wait began when the wait is over.
    while not future.done():
        wait([future], timeout=LONGEST_WAIT)
    try:
        future.result()
    except MirrorError as error:
        return error
    return None
