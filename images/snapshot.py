"""A snapshot as Hetzner Cloud tells of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from images.labels import CAPH_IMAGE_NAME, MANAGED_BY
from images.names import version_key


@dataclass(frozen=True)
class Snapshot:
    """A snapshot of the project, whoever made it; what its labels do not tell of it is empty.

    `hcloud_architecture` is `x86` or `arm`; `servers` are the names of those that were created from it, as far as somebody
    asked for them; `size_gb` is what it is billed by; no server with a disk of less than `disk_gb` can be made of it;
    `protected`: Hetzner Cloud refuses to delete it.
    """

    id: int
    labels: Mapping[str, str]
    created: datetime
    available: bool
    hcloud_architecture: str = "x86"
    servers: tuple[str, ...] = ()
    size_gb: Decimal = Decimal(0)
    disk_gb: int = 0
    protected: bool = False
    description: str = ""

    @property
    def image(self) -> str:
        """Its published name, or nothing: an image that never passed its tests has none."""
        return self.labels.get(CAPH_IMAGE_NAME, "")

    @property
    def os(self) -> str:
        return self.labels.get("os", "")

    @property
    def kubernetes(self) -> str:
        return self.labels.get("kubernetes_version", "")

    @property
    def key(self) -> str:
        return version_key(self.os, self.kubernetes)

    @property
    def digest(self) -> str:
        return self.labels.get("digest", "")

    @property
    def architecture(self) -> str:
        return self.labels.get("architecture", "")

    @property
    def maker(self) -> str:
        ours = self.labels.get("managed-by") == MANAGED_BY
        return f"stack {self.labels.get('stack')}" if ours else "nobody of this project"

    @property
    def in_use(self) -> bool:
        return bool(self.servers)

    @property
    def age(self) -> tuple[datetime, int]:
        """What sorts snapshots from the oldest to the newest."""
        return self.created, self.id
