"""What the steps of a build said, taken from its server before that is deleted: a file for each step, beside the program."""

import tarfile
import tempfile
from contextlib import suppress
from pathlib import Path, PurePosixPath

from components.logins import Login
from components.ssh import run
from images.failure import failed_step
from images.names import key_and_step
from recipe.bundle import OUTPUT

FOLDER = Path("logs")
CLUSTER_LOG = "/var/log/node-image-cluster.log"
"""Where recipe/acceptance/cluster.sh puts all logs of a cluster that could not be made."""

SECONDS = 60


def keep_output(stack: str, resource: str, error: str, login: Login | None) -> Path | None:
    """The file with all that the step said which failed; where its server does not tell, with what the error has of it.

    Nothing where the resource is no step, or no file can be written.
    """
    key, phase = key_and_step(resource)
    if not key:
        return None
    folder = FOLDER / stack / key
    file = folder / f"{failed_step(error) or phase}.log"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if login is None or file.name not in _take_all(login, folder):
            file.write_text(f"{error.strip()}\n")
    except OSError:
        return None
    return file


def _take_all(login: Login, folder: Path) -> set[str]:
    """Take the logs of all steps on a server; the names of those that came."""
    files = " ".join(path.lstrip("/") for path in (OUTPUT, CLUSTER_LOG))
    script = f"tar --directory=/ --create --gzip --file=- --ignore-failed-read {files} 2>/dev/null"
    keys = {"login_private_key": login.private_key, "host_public_key": login.host_key}
    with tempfile.TemporaryFile() as archive, suppress(TimeoutError, tarfile.TarError, EOFError):
        run(login.host, login.port, keys, script, "", archive.write, SECONDS)
        archive.seek(0)
        return _unpack(tarfile.open(fileobj=archive, mode="r:gz"), folder)
    return set()


def _unpack(archive: tarfile.TarFile, folder: Path) -> set[str]:
    """Write the logs of an archive: no other file, and none elsewhere, whatever the server calls them."""
    names = set()
    for member in archive:
        name = PurePosixPath(member.name).name
        if member.isfile() and name.endswith(".log") and (content := archive.extractfile(member)):
            (folder / name).write_bytes(content.read())
            names.add(name)
    return names
