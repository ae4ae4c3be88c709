"""Put the content of an image into one archive, byte for byte the same from the same input."""

import io
import re
import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from mirror.errors import MirrorError
from mirror.images.recipes import Text

# Of Debian packages: what nothing in a container reads. Licences stay.
_LEFT_OUT = re.compile(
    r"(dev|proc|sys|run|tmp|var|boot)(/.*)?|etc/(apt|fstab|hostname|resolv\.conf)(/.*)?"
    r"|usr/share/(man|locale|info|lintian|bug|bash-completion|doc-base)(/.*)?|usr/share/doc/[^/]+/(?!copyright$).*"
)


@dataclass
class Layer:
    """The files of an image, by path."""

    entries: dict[str, tuple[tarfile.TarInfo, bytes]] = field(default_factory=dict)

    def add_file(self, path: str, content: bytes, mode: int) -> None:
        """Add a file, and the folders above it."""
        entry = tarfile.TarInfo(path)
        entry.size, entry.mode = len(content), mode
        self._add(entry, content)

    def add_text(self, text: Text) -> None:
        """Add a file of text."""
        self.add_file(text.path, text.text.encode(), text.mode)

    def add_link(self, path: str, target: str) -> None:
        """Add a symbolic link."""
        entry = tarfile.TarInfo(path)
        entry.type, entry.linkname, entry.mode = tarfile.SYMTYPE, target, 0o777
        self._add(entry, b"")

    def add_debian(self, archive: Path) -> None:
        """Add the files of unpacked Debian packages."""
        with tarfile.open(archive) as tar:
            for entry in tar:
                name = entry.name.removeprefix("./").rstrip("/")
                if name in ("", ".") or _LEFT_OUT.fullmatch(name):
                    continue
                file = tar.extractfile(entry) if entry.isreg() or entry.islnk() else None
                if file:  # a hard link becomes a file of its own
                    self.add_file(name, file.read(), entry.mode)
                elif entry.issym():
                    self.add_link(name, entry.linkname)

    def write(self, path: Path) -> None:
        """Write the archive: sorted, owned by root, without times."""
        self.entries.setdefault("tmp", (_folder("tmp", 0o1777), b""))
        with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
            for name in sorted(self.entries):
                entry, content = self.entries[name]
                tar.addfile(entry, io.BytesIO(content))

    def _add(self, entry: tarfile.TarInfo, content: bytes) -> None:
        for parent in [str(folder) for folder in PurePosixPath(entry.name).parents][:-1]:
            above = self.entries.setdefault(parent, (_folder(parent, 0o755), b""))[0]
            if not above.isdir():
                raise MirrorError(f"{entry.name}: {parent} is not a folder in this image")
        self.entries[entry.name] = (entry, content)


def _folder(path: str, mode: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(path)
    entry.type, entry.mode = tarfile.DIRTYPE, mode
    return entry
