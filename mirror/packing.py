"""Pack built binaries in upstream's layout, byte for byte the same from the same input."""

import gzip
import io
import tarfile
from pathlib import Path

from mirror.programs import Build


def pack(build: Build, url: str, binaries: list[Path], source: Path, work: Path) -> Path:
    """Return the file to serve at `url`: an archive of the binaries, or the one binary itself."""
    if build.program.prefix is None:
        return binaries[0]
    archive = work / url.rsplit("/", 1)[1]
    members = {f"{build.program.prefix}{path.name}": (path, 0o755) for path in binaries}
    members |= {f"{build.program.prefix}{name}": (source / name, 0o644) for name in build.program.texts}
    # No names, owners, times or order of this machine. Level 6 is half the time of 9 for the same size within 1 %.
    with (
        archive.open("wb") as file,
        gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name in sorted(members):
            path, mode = members[name]
            _add(tar, name, path, mode)
    return archive


def _add(tar: tarfile.TarFile, name: str, path: Path, mode: int) -> None:
    content = path.read_bytes()
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(content), mode, 0
    tar.addfile(entry, io.BytesIO(content))
