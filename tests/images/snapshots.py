"""Snapshots of the stack `prod`, as the API tells of them."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from images.names import image_key, os_and_kubernetes
from images.snapshot import Snapshot


def stored(image: str, architecture: str = "amd64", size_gb: str = "0.5", **details: Any) -> Snapshot:
    """A published snapshot with the labels of its image; `labels` are more of them."""
    os, kubernetes = os_and_kubernetes(image_key(image))
    labels = {"os": os, "kubernetes_version": kubernetes, "architecture": architecture, "caph-image-name": image}
    labels |= details.pop("labels", {})
    shown = {"description": image, "available": True, "size_gb": Decimal(size_gb), **details}
    return Snapshot(**{"id": 1, "labels": labels, "created": datetime(2026, 1, 1, tzinfo=UTC), **shown})


def unpublished(image: str, architecture: str = "amd64") -> Snapshot:
    """One whose tests did not pass: only its description has the name."""
    return stored(image, architecture, labels={"caph-image-name": ""})
