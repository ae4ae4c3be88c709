"""What goes on a node: catalogue, lock, steps, acceptance tests and their rendering. No Pulumi, network or clock."""

from recipe.catalog import Catalog, OperatingSystem, load_catalog
from recipe.lock import Lock, load_lock
from recipe.render import Node, Recipe, Step, render, steps_digest

__all__ = [
    "Catalog",
    "Lock",
    "Node",
    "OperatingSystem",
    "Recipe",
    "Step",
    "load_catalog",
    "load_lock",
    "render",
    "steps_digest",
]
