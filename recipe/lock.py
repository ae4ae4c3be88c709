"""The lock: the sha256 that a downloaded file must have.

`lock.yaml` holds what upstream publishes. `lock.local.yaml` (never committed) holds the sums of files that the artifact
mirror built itself, where upstream is out of reach; it counts only where a stack file says `localBuilds: true`.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import yaml

from recipe.catalog import Catalog
from recipe.files import write_atomically
from recipe.problems import Problem, ProblemsError, malformed

LOCK_FILE = Path(__file__).with_name("lock.yaml")
LOCAL_LOCK_FILE = Path(__file__).with_name("lock.local.yaml")

Lock = Mapping[str, str]
"""URL of upstream -> sha256 in hexadecimal."""


def load_lock(*, local_builds: bool = False, file: Path = LOCK_FILE, local_file: Path = LOCAL_LOCK_FILE) -> Lock:
    """Read the lock, with this machine's own builds laid over it if asked for. Raises ProblemsError."""
    return _read(file) | (_read(local_file) if local_builds and local_file.exists() else {})


def write_lock(file: Path, comments: Iterable[str], entries: Lock) -> None:
    """Replace a lock: comment lines, and below them its entries in byte order."""
    lines = [*comments, *(f"{url}: {entries[url]}" for url in sorted(entries))]
    write_atomically(file, "\n".join(lines) + "\n")


def locked_versions(catalog: Catalog, lock: Lock, minor: str) -> list[str]:
    """The patch releases of a minor such as `1.36` whose kubelet the lock has for every architecture, oldest first."""
    before, _, after = catalog.url("kubelet", f"{minor}.PATCH", "ARCHITECTURE").partition(f"{minor}.PATCH")
    found = [
        {
            url.removeprefix(start).removesuffix(end)
            for url in lock
            if url.startswith(start := f"{before}{minor}.")
            and url.endswith(end := after.replace("ARCHITECTURE", architecture))
        }
        for architecture in catalog.architectures
    ]
    return [f"{minor}.{patch}" for patch in sorted(filter(str.isdigit, set.intersection(*found)), key=int)]


def _read(file: Path) -> dict[str, str]:
    try:
        # Every scalar is text here: a sum of digits only must not become a number.
        text = file.read_text()
        entries = yaml.load(text, Loader=yaml.BaseLoader) or {}  # noqa: S506 - makes text, lists and maps only
    except (OSError, UnicodeDecodeError) as error:
        raise ProblemsError(
            [Problem(str(file), "", "", f"cannot be read ({error})", "restore it: git checkout recipe")]
        ) from error
    except yaml.YAMLError as error:
        raise malformed(str(file), error) from error
    if not isinstance(entries, dict):
        raise ProblemsError(
            [Problem(str(file), "", "", "not a map of URL to sha256", "restore it: git checkout recipe")]
        )
    # YAML takes the last of several silently, and a merge that went wrong leaves both.
    keys = Counter(line.partition(": ")[0] for line in text.splitlines() if ": " in line and not line.startswith("#"))
    double = [url for url, count in keys.items() if count > 1]
    if double:
        rule = "is there more than once: which of its sums counts?"
        raise ProblemsError([Problem(str(file), url, "", rule, "keep the published one") for url in double])
    wrong = [url for url, digest in entries.items() if not _is_sha256(digest)]
    if wrong:
        raise ProblemsError(
            [
                Problem(
                    str(file), url, repr(entries[url]), "not a sha256: 64 hexadecimal digits", "write the published sum"
                )
                for url in wrong
            ]
        )
    return dict(entries)


def _is_sha256(value: object) -> bool:
    return isinstance(value, str) and len(value) == 64 and set(value) <= set("0123456789abcdef")
