"""What the API's answer says of a snapshot."""

from collections.abc import Sequence
from decimal import Decimal

from hcloud.images import Image

from images.snapshot import Snapshot


def read_snapshot(image: Image, servers: Sequence[str] = ()) -> Snapshot:
    """The snapshot of an answer; the API tells which `servers` were created from it only with the servers."""
    assert image.id and image.created and image.architecture, "the API sends these with every image"  # noqa: S101
    return Snapshot(
        id=image.id,
        labels=dict(image.labels or {}),
        created=image.created,
        available=image.status == "available",
        hcloud_architecture=image.architecture,
        servers=tuple(servers),
        disk_gb=int(image.disk_size or 0),
        size_gb=Decimal(str(image.image_size or 0)),
        protected=bool(image.protection and image.protection["delete"]),
        description=image.description or "",
    )
