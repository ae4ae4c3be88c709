"""Labels: how everything this project makes is known from what others made. What lacks them is never touched.

Hetzner Cloud's rules for a label value: at most 63 characters of `[A-Za-z0-9._-]`, beginning and ending alphanumeric.
"""

from collections.abc import Mapping

from recipe.catalog import OperatingSystem

MANAGED_BY = "node-images"
CAPH_IMAGE_NAME = "caph-image-name"
"""The label by which Cluster API Provider Hetzner finds a snapshot; only a verified one carries it."""


def build_labels(stack: str, digest: str) -> dict[str, str]:
    """On everything that a build makes; `role` is added by whoever makes it: builder, verifier or snapshot."""
    return {"managed-by": MANAGED_BY, "stack": stack, "digest": digest}


def snapshot_labels(  # noqa: PLR0913 - what a snapshot is known by
    stack: str, digest: str, os: str, system: OperatingSystem, kubernetes: str, architecture: str
) -> dict[str, str]:
    """On a snapshot from its creation on: ours, and those that image-builder sets."""
    return {
        **build_labels(stack, digest),
        "role": "snapshot",
        **content_labels(os, system, kubernetes, architecture),
    }


def content_labels(os: str, system: OperatingSystem, kubernetes: str, architecture: str) -> dict[str, str]:
    """What is in a snapshot, whoever made it."""
    return {
        "os": os,
        "architecture": architecture,
        "kubernetes_version": kubernetes,
        "distribution": system.distribution,
        "distribution_version": system.version,
    }


def selector(labels: Mapping[str, str]) -> str:
    """A label selector that asks for all of the labels."""
    return ",".join(f"{key}={value}" for key, value in labels.items())


def stack_selector(stack: str) -> str:
    """Selects everything that a stack made."""
    return selector({"managed-by": MANAGED_BY, "stack": stack})


def is_of_stack(labels: Mapping[str, str], stack: str) -> bool:
    """Whether a stack made what carries these labels."""
    return labels.get("managed-by") == MANAGED_BY and labels.get("stack") == stack
