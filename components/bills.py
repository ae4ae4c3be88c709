"""Bills of materials: files beside the program, of which the state has path and sha256."""

import hashlib
from pathlib import Path

import pulumi

from recipe.sbom import Inventory, sbom


def write_bill(path: str, image: str, inventory: Inventory) -> str:
    """Write the bill of an image, unless this is a preview; return its sha256."""
    text = sbom(image, inventory)
    if not pulumi.runtime.is_dry_run():
        file = Path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return hashlib.sha256(text.encode()).hexdigest()
