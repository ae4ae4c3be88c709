"""Bundles on this machine, by their content: files that the engine copies to servers, and that can be made again at any time."""

from pathlib import Path

from recipe.bundle import Bundle

FOLDER = Path(".pulumi") / "bundles"


def kept(bundle: Bundle) -> str:
    """The file of a bundle. Its path is the same on every machine, as the state has it."""
    file = FOLDER / f"{bundle.digest}.tar.gz"
    if not file.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        part = file.with_name(f"{file.name}.part")
        part.write_bytes(bundle.packed)
        part.replace(file)
    return str(file)
