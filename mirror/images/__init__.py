"""Images of containers for machines that reach no registry: kept in an OCI registry beside the mirror, on loopback.

A kept copy, else upstream's image, else one that is made here of programs at the same versions. What was made here says
so in its labels and in its record.
"""

from mirror.images.fill import ensure_images
from mirror.images.store import KeptImage

__all__ = ["KeptImage", "ensure_images"]
