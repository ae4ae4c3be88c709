"""Snapshots, and the label that publishes one: by it CAPH finds the image. What lacks this stack's labels is never touched."""

from collections.abc import Mapping, Sequence

from hcloud import APIException
from hcloud.images import BoundImage, Image

from adapters.hetzner.actions import wait_for
from adapters.hetzner.client import Api
from adapters.hetzner.errors import CloudError, is_missing
from adapters.hetzner.leftovers import ignore_missing
from adapters.hetzner.snapshots import read_snapshot
from images.labels import CAPH_IMAGE_NAME, MANAGED_BY, selector
from images.snapshot import Snapshot

LABELLED = ["snapshot", "backup"]
"""The types of images that can carry labels."""


class Publication(Api):
    """The snapshots of a project."""

    def snapshot(self, image_id: int) -> Snapshot | None:
        """The snapshot as it is now; nothing where it is gone."""
        with self.in_words():
            try:
                return read_snapshot(self.client.images.get_by_id(image_id))
            except APIException as error:
                if is_missing(error):
                    return None
                raise

    def servers_from(self, image_id: int) -> list[str]:
        """Names of the servers that were created from a snapshot, but for servers that this program made."""
        with self.in_words():
            servers = self.client.servers.get_all()
        made = [server for server in servers if server.image and server.image.id == image_id]
        return [str(server.name) for server in made if (server.labels or {}).get("managed-by") != MANAGED_BY]

    def publish(self, image_id: int, name: str, architecture: str) -> BoundImage:
        """Give the snapshot the name by which CAPH finds it. Raises CloudError where that name would be ambiguous."""
        with self.in_words():
            everything = self.client.images.get_all(type=LABELLED)
            _refuse_rivals(everything, image_id, name, architecture)
            image = next((item for item in everything if item.id == image_id), None)
            if image is None or image.status != "available":
                state = image.status if image else "deleted"
                raise CloudError(f"snapshot {image_id} is not complete ({state}): it gets no name; run `up` again")
            published = image.update(labels={**(image.labels or {}), CAPH_IMAGE_NAME: name})
            try:
                # Another stack may have published the same name at the same time: then neither of them keeps it.
                named = self.client.images.get_all(label_selector=f"{CAPH_IMAGE_NAME}={name}")
                _refuse_rivals(named, image_id, name, architecture)
            except CloudError:
                self.withdraw(image_id)
                raise
            for twin in _twins(published, everything):
                ignore_missing(twin.delete)
            return published

    def withdraw(self, image_id: int) -> None:
        """Take the name away again; a snapshot that is gone needs nothing."""

        def remove() -> None:
            image = self.client.images.get_by_id(image_id)
            if CAPH_IMAGE_NAME in (image.labels or {}):
                labels = {key: value for key, value in (image.labels or {}).items() if key != CAPH_IMAGE_NAME}
                image.update(labels=labels)

        with self.in_words():
            ignore_missing(remove)

    def withdraw_all(self, labels: Mapping[str, str]) -> list[int]:
        """Take the name away from every snapshot with these labels; returns their ids."""
        wanted = f"{selector(labels)},{CAPH_IMAGE_NAME}"
        with self.in_words():
            images = self.client.images.get_all(type=["snapshot"], label_selector=wanted)
        found = [int(image.id) for image in images if image.id]
        for image_id in found:
            self.withdraw(image_id)
        return found

    def protect(self, image_id: int, *, delete: bool) -> None:
        """Have Hetzner Cloud refuse to delete the snapshot, or let it be deleted again."""
        with self.in_words():
            image = self.client.images.get_by_id(image_id)
            if bool(image.protection and image.protection["delete"]) != delete:
                wait_for([image.change_protection(delete=delete)], f"snapshot {image_id}", self.timeouts.action)


def _refuse_rivals(images: Sequence[Image], image_id: int, name: str, architecture: str) -> None:
    rivals = [
        image.id
        for image in images
        if (image.labels or {}).get(CAPH_IMAGE_NAME) == name
        and image.id != image_id
        and image.architecture == architecture
    ]
    if rivals:
        raise CloudError(
            f"snapshot {rivals[0]} carries {CAPH_IMAGE_NAME}={name} for {architecture} already: with two of them CAPH\n"
            f"    makes no server. Remove the label or the snapshot, or build in another project."
        )


def _twins(published: BoundImage, images: Sequence[BoundImage]) -> list[BoundImage]:
    """Snapshots of the same content that a killed run made and never came to know of.

    One that is still being made cannot be deleted: `sweep` does that later.
    """
    content = {key: (published.labels or {})[key] for key in ("managed-by", "stack", "digest", "architecture")}
    same = [image for image in images if content.items() <= (image.labels or {}).items() and image.id != published.id]
    return [image for image in same if CAPH_IMAGE_NAME not in (image.labels or {}) and image.status == "available"]
