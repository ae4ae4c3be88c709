"""`./node-images lock`: the sums that publishers give for their files, added to recipe/lock.yaml."""

import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from recipe import Catalog, Lock
from recipe.problems import Problem, ProblemsError
from recipe.render import Artifact, artifacts_of
from recipe.sums import SumsError, sum_of

SECONDS = (5, 30)
REMEDY = "check the version and the network, then try again; nothing was written"


def add_to_lock(
    file: Path, lock: Lock, needed: Iterable[tuple[Artifact, str]], mirror: str, say: Callable[[str], None]
) -> None:
    """Read the published sum of every file, with the URL of its checksum file, and write those that the lock lacks.

    Raises ProblemsError, with nothing written, where a sum cannot be had or differs from the locked one.
    """
    with requests.Session() as session:
        session.mount(
            "http", HTTPAdapter(max_retries=Retry(3, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504)))
        )
        published: dict[str, str] = {}
        problems: list[Problem] = []
        for artifact, sums_url in needed:
            try:
                published[artifact.url] = _published(session, artifact, sums_url, mirror)
            except (SumsError, requests.RequestException) as error:
                problems.append(Problem(sums_url, f"{artifact.name} {artifact.version}", "", str(error), REMEDY))
    problems += [
        _changed(url, lock[url], digest) for url, digest in published.items() if lock.get(url, digest) != digest
    ]
    if problems:
        raise ProblemsError(problems)
    added = {url: digest for url, digest in published.items() if url not in lock}
    for url, digest in added.items():
        say(f"added {digest[:12]}  {url}")
    say(f"{len(added)} added, {len(published) - len(added)} there already and as published")
    if added:
        write_lock(file, {**lock, **added})


def needed_for(catalog: Catalog, lock: Lock, versions: Iterable[str]) -> list[tuple[Artifact, str]]:
    """Every file of Kubernetes versions, for all architectures, each once, with the URL of its checksum file."""
    files = {
        artifact.url: (artifact, catalog.sums_url(artifact.name, artifact.version, architecture))
        for version in versions
        for architecture in catalog.architectures
        for artifact in artifacts_of(catalog, lock, version, architecture)
    }
    return list(files.values())


def write_lock(file: Path, entries: Mapping[str, str]) -> None:
    """Replace the entries of a lock, in byte order below its own comments; readers see the old or the new file."""
    comments = [line for line in file.read_text().splitlines() if line.startswith("#")]
    text = "\n".join([*comments, *(f"{url}: {entries[url]}" for url in sorted(entries))]) + "\n"
    descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".lock-")
    with os.fdopen(descriptor, "w") as temporary:
        temporary.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(file)


def _published(session: requests.Session, artifact: Artifact, sums_url: str, mirror: str) -> str:
    url = f"{mirror}/{sums_url.removeprefix('https://')}" if mirror else sums_url
    response = session.get(url, timeout=SECONDS)
    response.raise_for_status()
    return sum_of(artifact.url.rpartition("/")[2], response.text)


def _changed(url: str, locked: str, published: str) -> Problem:
    rule = f"its project now publishes {published}, but the lock has {locked}: somebody changed a release"
    return Problem("recipe/lock.yaml", url, "", rule, "find out why before you trust either")
