"""Where things lie: in the checkout, and in the cache that all checkouts of a user share."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]
KEY_DIGITS = 16

# What shapes the toolchain, relative to the checkout. ./pulumiw computes the same key from the same files.
PINNED_FILES = ("requirements.lock", "toolchain/pins.json", "toolchain/virtualenv.py")
PINNED_FOLDER = "toolchain/go/plugins"
PINNED_NAMES = ("*.go", "go.mod", "go.sum")


def cache_root() -> Path:
    """Return the folder of everything that outlives a checkout."""
    if own := os.environ.get("NODE_IMAGES_CACHE"):
        return Path(own).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base).absolute() / "node-images"


def pinned_files(checkout: Path) -> list[str]:
    """List the files that shape the toolchain, relative to the checkout, in byte order."""
    folder = checkout / PINNED_FOLDER
    sources = {path for name in PINNED_NAMES for path in folder.rglob(name)}
    names = {*PINNED_FILES, *(path.relative_to(checkout).as_posix() for path in sources)}
    return sorted(names, key=os.fsencode)


def toolchain_key(checkout: Path) -> str:
    """Hash the pinned files: the digest of what `sha256sum FILES...` prints, shortened."""
    listing = "".join(f"{_sha256(checkout / name)}  {name}\n" for name in pinned_files(checkout))
    return hashlib.sha256(listing.encode()).hexdigest()[:KEY_DIGITS]


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@dataclass(frozen=True)
class Layout:
    """The folders of one set-up. Parts are shared by all keys that need the same; a key's folder puts them together."""

    checkout: Path
    cache: Path
    key: str

    @classmethod
    def of(cls, checkout: Path = CHECKOUT) -> "Layout":
        """Return the layout for a checkout with the pins that it has now."""
        return cls(checkout, cache_root(), toolchain_key(checkout))

    @property
    def toolchain(self) -> Path:
        """The folder of all keys."""
        return self.cache / "toolchain"

    @property
    def parts(self) -> Path:
        """Finished and half-finished parts, each named after what shapes it."""
        return self.toolchain / "parts"

    @property
    def ready(self) -> Path:
        """The folder of this key. Exists only when all of it is there."""
        return self.toolchain / self.key

    @property
    def settings(self) -> Path:
        """What ./pulumiw reads: shell assignments."""
        return self.ready / "settings.sh"

    @property
    def virtualenv_link(self) -> Path:
        """The checkout's link to its Python environment."""
        return self.checkout / ".venv"

    def go_environment(self) -> dict[str, str]:
        """Return the variables that keep Go's caches in ours, and its builds the same everywhere."""
        return {
            "GOMODCACHE": str(self.toolchain / "go" / "modules"),
            "GOCACHE": str(self.toolchain / "go" / "build"),
            # Nobody debugs these programs, and they wait for networks: without debug information and inlining they
            # build in two thirds of the time.
            "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false -modcacherw '-gcflags=all=-dwarf=false -l'",
            # Collecting garbage less often saves a sixth of the compiler's time; the limit spares a small machine.
            "GOGC": "400",
            "GOMEMLIMIT": "1GiB",
            "GOWORK": "off",
            "CGO_ENABLED": "0",
        }
