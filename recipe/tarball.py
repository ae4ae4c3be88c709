"""The tarball: an archive for Hetzner's installimage, packed on a server that was booted from the snapshot and is thrown away.

installimage partitions a bare-metal server, unpacks the archive, and runs the boot loader's programs that it finds in there.
"""

from pathlib import Path

from recipe.catalog import Catalog
from recipe.render import Node, Recipe, assignments, library
from recipe.texts import text_of

PARTS = Path(__file__).with_name("installimage")
SUFFIX = ".tar.gz"
"""The best compression that installimage and CAPH both take."""

STARTED = "packing started"
"""What the script says first."""

GRUB_PLATFORMS = {"amd64": "i386-pc x86_64-efi", "arm64": "arm64-efi"}


def archive_name(catalog: Catalog, os: str, architecture: str, image: str) -> str:
    """`Debian-1300-trixie-amd64-kube-1.36.4-0a1b2c3d`: installimage reads distribution, version and architecture out of it."""
    return f"{catalog.operating_systems[os].installimage}-{architecture}-{image.removeprefix(f'{os}-')}"


def pack_script(catalog: Catalog, node: Node, recipe: Recipe) -> str:
    """A script whose standard output is the archive; everything else, the archive's sha256 at last, it says on standard error."""
    steps = {step.name: step.text for step in recipe.steps}
    parts = [
        steps["first-boot"],
        steps.get("package-date", ""),
        _part("10-boot"),
        steps.get("package-sources", ""),
        _part("20-bare-metal"),
        steps["manifest"],
        steps["clean"],
        _part("90-pack"),
    ]
    metal = catalog.bare_metal[catalog.operating_systems[node.os].distribution]
    settings = {
        "KERNEL": metal.kernel[node.architecture],
        "BOOT_PACKAGES": " ".join([*metal.boot_loaders[node.architecture], *metal.packages]),
        "FIRMWARE": " ".join(metal.firmware),
        "GRUB_PLATFORMS": GRUB_PLATFORMS[node.architecture],
    }
    # After the library, which runs the script once more, under its time limit.
    head = [library(), "exec 3>&1 >&2", f"say {STARTED}", assignments(settings)]
    return "\n".join([*head, *(f"(\nSTEP_LEVEL=1\n{part}\n)" for part in parts if part)]) + "\n"


def _part(name: str) -> str:
    return text_of(PARTS / f"{name}.sh")
