"""The kept images: the registry's own storage, and a record of each image's origin, all below <cache>/registry.

An image without its record does not count as kept: the record is written last.
"""

import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import yaml

from mirror.images.recipes import Wanted
from mirror.store import Origin, Workplace
from recipe.files import write_atomically

# Where images are put together; deleted after each fill.
WORK_REPOSITORY = "node-images/work"


@dataclass(frozen=True)
class KeptImage:
    """A kept image of one architecture.

    digest: of its manifest; equal to upstream's where origin is "upstream". size: of its layers, as they are served.
    recipe: of the recipe it was made by; empty where it is upstream's. facts: how it was made.
    """

    name: str
    repository: str
    tag: str
    arch: str
    digest: str
    size: int
    origin: Origin
    recipe: str = ""
    kept: str = field(default_factory=lambda: datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    facts: dict[str, str] = field(default_factory=dict)


class ImageStore(Workplace):
    """The images kept in one cache."""

    def __init__(self, cache: Path) -> None:
        super().__init__(cache / "registry")
        self.programs = self.root / "programs"
        self.storage = self.root / "storage"
        self.repositories = self.storage / "docker" / "registry" / "v2" / "repositories"
        self._records = self.root / "records"

    def find(self, wanted: Wanted) -> KeptImage | None:
        """Return the kept image; None where there is none, or where today's recipe is another."""
        kept = self._read(self._record(wanted.repository, wanted.tag, wanted.arch))
        if kept and kept.origin == "built" and wanted.recipe and kept.recipe != wanted.recipe.digest:
            return None
        return kept

    def all(self) -> list[KeptImage]:
        """Return every kept image, by name."""
        records = sorted(self._records.rglob("*.yaml"))
        return [kept for record in records if (kept := self._read(record))]

    def of_tag(self, repository: str, tag: str) -> dict[str, KeptImage]:
        """Return the kept images of a tag, by architecture."""
        found = [self._read(record) for record in sorted(self._record(repository, tag, "x").parent.glob("*.yaml"))]
        return {kept.arch: kept for kept in found if kept}

    def keep(self, kept: KeptImage) -> KeptImage:
        """Record an image that is in the registry."""
        record = self._record(kept.repository, kept.tag, kept.arch)
        record.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(record, yaml.safe_dump(asdict(kept), sort_keys=False))
        return kept

    def leftovers(self) -> Iterator[Path]:
        """What a fill leaves in the storage, and one that was killed: images in the making and halves of uploads."""
        if (work := self.repositories / WORK_REPOSITORY).exists():
            yield work
        yield from self.repositories.rglob("_uploads/*")

    def delete_leftovers(self) -> None:
        """Delete them; what they referred to is left to the registry's own garbage collection."""
        for path in list(self.leftovers()):
            shutil.rmtree(path, ignore_errors=True)

    def _record(self, repository: str, tag: str, arch: str) -> Path:
        return self._records / repository / tag / f"{arch}.yaml"

    def _read(self, record: Path) -> KeptImage | None:
        try:
            kept = KeptImage(**yaml.safe_load(record.read_text()))
        except (FileNotFoundError, TypeError, yaml.YAMLError):
            return None
        digits = kept.digest.removeprefix("sha256:")
        blob = self.storage / "docker/registry/v2/blobs/sha256" / digits[:2] / digits / "data"
        return kept if blob.exists() else None
