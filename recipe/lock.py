"""The lock: the sha256 that a downloaded file must have.

`lock.yaml` holds what upstream publishes. `lock.local.yaml` (never committed) holds the sums of files that the artifact
mirror built itself, where upstream is out of reach; it counts only where a stack file says `localBuilds: true`.
"""

from collections.abc import Mapping
from pathlib import Path

import yaml

from recipe.problems import Problem, ProblemsError

LOCK_FILE = Path(__file__).with_name("lock.yaml")
LOCAL_LOCK_FILE = Path(__file__).with_name("lock.local.yaml")

Lock = Mapping[str, str]
"""URL of upstream -> sha256 in hexadecimal."""


def load_lock(*, local_builds: bool = False, file: Path = LOCK_FILE, local_file: Path = LOCAL_LOCK_FILE) -> Lock:
    """Read the lock, with this machine's own builds laid over it if asked for. Raises ProblemsError."""
    return _read(file) | (_read(local_file) if local_builds and local_file.exists() else {})


def _read(file: Path) -> dict[str, str]:
    try:
        # Every scalar is text here: a sum of digits only must not become a number.
        entries = yaml.load(file.read_text(), Loader=yaml.BaseLoader) or {}  # noqa: S506 - makes text, lists and maps only
    except yaml.YAMLError as error:
        raise ProblemsError([Problem(str(file), "", "", f"not valid YAML ({error})", "mend the file")]) from error
    if not isinstance(entries, dict):
        raise ProblemsError(
            [Problem(str(file), "", "", "not a map of URL to sha256", "restore it: git checkout recipe")]
        )
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
