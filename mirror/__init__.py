"""Artifact mirror: a pull-through cache for the files that node images are made of.

A kept copy, else upstream's file checked against recipe/lock.yaml, else (for open-source Go programs) built from its Go
module at the same version. What was built here is never passed off as upstream's.
"""

from mirror.errors import MirrorError
from mirror.fill import ensure
from mirror.store import Artifact

__all__ = ["Artifact", "MirrorError", "ensure"]
