"""Images: the system images that always exist, and snapshots made from servers.

Gap: no backups and no app images. ``image_size`` of a snapshot is an estimate of its compressed size.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

from sandbox.errors import CloudError, not_found
from sandbox.store import Collection, Record, Store

COMPRESSION = 0.4  # of an installed Debian, by zstd -1: good enough for an estimate
SYSTEM_DATE = datetime(2025, 8, 11, 13, 0, tzinfo=UTC)


class CreatedFrom(Record):
    """The server a snapshot was made from, as it was named then."""

    name: str


class Image(Record):
    """A system image (has a name), a snapshot or a backup (have none)."""

    type: Literal["system", "snapshot", "backup"]
    status: Literal["creating", "available"]
    name: str | None = None
    description: str
    architecture: str = "x86"
    os_flavor: str = "debian"
    os_version: str | None
    image_size: float | None = None  # GB
    disk_size: float  # GB
    created: datetime
    created_from: CreatedFrom | None = None
    bound_to: int | None = None  # the server of a backup, with which it goes
    labels: dict[str, str] = {}
    protected: bool = False


def system_image(image_id: int, version: str, architecture: str, flavor: str = "debian") -> Image:
    """A release of a distribution for one architecture."""
    return Image(
        id=image_id,
        type="system",
        status="available",
        name=f"{flavor}-{version}",
        description=f"{flavor.capitalize()} {version}",
        architecture=architecture,
        os_flavor=flavor,
        os_version=version,
        disk_size=5,
        created=SYSTEM_DATE,
    )


SYSTEM_IMAGES = {
    image.id: image
    for image in (
        system_image(114690387, "12", "x86"),
        system_image(114690389, "12", "arm"),
        system_image(310557660, "13", "x86"),
        system_image(310557661, "13", "arm"),
    )
}


# Only where no machine boots from them: there is no base image of theirs.
OTHER_SYSTEM_IMAGES = {
    image.id: image
    for image in (
        system_image(67794396, "22.04", "x86", "ubuntu"),
        system_image(103908130, "22.04", "arm", "ubuntu"),
        system_image(161547269, "24.04", "x86", "ubuntu"),
        system_image(161547270, "24.04", "arm", "ubuntu"),
        system_image(391547269, "26.04", "x86", "ubuntu"),
        system_image(391547270, "26.04", "arm", "ubuntu"),
        system_image(103907373, "9", "x86", "rocky"),
        system_image(103907374, "9", "arm", "rocky"),
        system_image(299574031, "10", "x86", "rocky"),
        system_image(299574032, "10", "arm", "rocky"),
    )
}


class Images:
    """System images and the project's snapshots."""

    def __init__(self, store: Store, *, with_others: bool = False) -> None:
        self.systems = {**SYSTEM_IMAGES, **(OTHER_SYSTEM_IMAGES if with_others else {})}
        self.snapshots = Collection(store, "image", Image)

    @property
    def all(self) -> list[Image]:
        """Every image, by id."""
        return sorted([*self.systems.values(), *self.snapshots], key=lambda image: image.id)

    def get(self, image_id: int) -> Image:
        """Raises not_found."""
        if image := self.systems.get(image_id) or self.snapshots.get(image_id):
            return image
        raise not_found("image", image_id)

    def now(self, image: Image) -> Image:
        """As it is now; as it was, when it has been deleted."""
        return self.systems.get(image.id) or self.snapshots.get(image.id) or image

    def find(self, ref: str, architecture: str) -> Image:
        """By id, or by name and architecture, as a server names its image."""
        if ref.isdigit():
            return self.get(int(ref))
        for image in self.systems.values():
            if (image.name, image.architecture) == (ref, architecture):
                return image
        raise not_found("image", ref)

    def begin_snapshot(
        self, image: Image, server: CreatedFrom, description: str, labels: dict[str, str], disk: float
    ) -> Image:
        """A snapshot that is being made; ``image`` is what the server was made from."""
        snapshot = Image(
            id=self.snapshots.next_id(),
            type="snapshot",
            status="creating",
            description=description,
            architecture=image.architecture,
            os_flavor=image.os_flavor,
            os_version=image.os_version,
            disk_size=disk,
            created=datetime.now(UTC),
            created_from=server,
            labels=labels,
        )
        return self.snapshots.save(snapshot)

    def bind(self, image: Image, server: int) -> None:
        """Make it a backup of the server."""
        image.type, image.bound_to = "backup", server
        self.snapshots.save(image)

    def convert(self, image: Image) -> None:
        """Make it a snapshot, which stays when the server goes; no error when it is one."""
        require_snapshot(image)
        image.type, image.bound_to = "snapshot", None
        self.snapshots.save(image)

    def finish_snapshot(self, image: Image, used_bytes: int) -> None:
        """From now on servers can be made from it."""
        image.image_size = round(used_bytes * COMPRESSION / 1e9, 3)
        image.status = "available"
        self.snapshots.save(image)

    def update(self, image: Image, description: str | None, labels: dict[str, str] | None) -> Image:
        """Change what is given; system images are not the project's."""
        require_snapshot(image)
        image.description = image.description if description is None else description
        image.labels = image.labels if labels is None else labels
        return self.snapshots.save(image)

    def protect(self, image: Image, delete: bool | None) -> None:
        """Set or clear the protection against deletion."""
        require_snapshot(image)
        image.protected = image.protected if delete is None else delete
        self.snapshots.save(image)


def require_snapshot(image: Image) -> None:
    """System images can be neither changed nor deleted."""
    if image.type == "system":
        raise CloudError("forbidden", f"image {image.id} is a system image: it can be neither changed nor deleted")


def require_deletable(image: Image) -> None:
    """A snapshot that is complete and not protected."""
    require_snapshot(image)
    if image.protected:
        raise CloudError("protected", "image deletion is protected")
    if image.status == "creating":
        raise CloudError("locked", "image is being created")
