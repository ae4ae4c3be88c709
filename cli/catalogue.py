"""`./node-images catalogue`: one page of all images of a stack, made from its exports, for people who choose one.

What only the API knows, prices and servers, is on it where the API could be asked.
"""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from cli.bills import bill_and_scans, known_of
from cli.reasons import text
from images.bills import components_of, packages_of
from images.comparison import Comparison, Known, compare_images, generation_before
from images.disks import fitting
from images.exports import EarlierImage, Exports, ImageRecord
from images.findings import Scan, Severity
from images.names import build_key
from recipe import Catalog
from recipe.support import Ending, all_endings

SBOMS = "sboms"
DEFAULT_OUTPUT = Path("catalogue")
STALE_DAYS = 45


@dataclass(frozen=True)
class Live:
    """What the API says now: the price of a gigabyte for a month, and the servers that run from each snapshot."""

    gigabyte_month: float
    currency: str
    servers: Mapping[int, Sequence[str]]

    def running(self, snapshots: Mapping[str, int]) -> list[str]:
        return sorted({server for number in snapshots.values() for server in self.servers.get(number, ())})


@dataclass(frozen=True)
class Card:
    """An image on the page. `generation` is 0 for a declared one and counts backwards; `servers` is None where unknown.

    `since` compares it with the generation before, where there is one.
    """

    image: ImageRecord | EarlierImage
    generation: int
    servers: Sequence[str] | None
    known: Known = field(default_factory=Known)
    since: Comparison | None = None

    @property
    def scans(self) -> dict[str, Scan]:
        """One for each architecture: of the first scanner that has looked at it."""
        found = {architecture: scan for (architecture, _), scan in reversed(list(self.known.scans.items()))}
        return dict(sorted(found.items()))

    @property
    def counts(self) -> dict[Severity, int]:
        """Vulnerabilities by severity, each once, in whichever architecture it is."""
        return Scan("", tuple(item for scan in self.scans.values() for item in scan.findings)).counts

    @property
    def alarming(self) -> int:
        """What sorts images by their vulnerabilities."""
        weights = {"critical": 1_000_000, "high": 1_000, "medium": 1}
        return sum(weights.get(severity, 0) * number for severity, number in self.counts.items())

    @property
    def components(self) -> Mapping[str, str]:
        """As they were exported, or, of an earlier image, as its bill has them."""
        told: Mapping[str, str] = getattr(self.image, "components", {})
        return told or next((components_of(bill) for bill in self.known.bills.values()), {})

    @property
    def packages(self) -> dict[str, int]:
        """How many there are, by what the page's script calls their list."""
        counts = {architecture: len(packages_of(bill)) for architecture, bill in self.known.bills.items()}
        return {build_key(self.image.name, architecture): count for architecture, count in counts.items() if count}


@dataclass(frozen=True)
class Page:
    """What all images have in common on it. Declared images that are older than `stale` days are marked."""

    stack: str
    now: datetime
    catalog: Catalog
    live: Live | None = None
    sboms: Mapping[str, str] = field(default_factory=dict)
    stale: int = STALE_DAYS

    @property
    def today(self) -> date:
        return self.now.date()

    def age(self, created: datetime) -> str:
        return age(created, self.now)

    def is_stale(self, card: Card) -> bool:
        """Whether the packages of a declared image are of long ago: what `asOf` says, else when it was made."""
        return card.generation == 0 and (self.today - self.packages_of(card)).days > self.stale

    def packages_of(self, card: Card) -> date:
        """The day that an image's packages are of."""
        manifests = getattr(card.image, "manifests", {}).values()
        dates = [manifest.as_of for manifest in manifests if manifest.as_of]
        return datetime.strptime(min(dates)[:8], "%Y%m%d").date() if dates else card.image.created.date()

    def support(self, card: Card) -> list[Ending]:
        """Until when what is in an image is mended."""
        image = card.image
        return all_endings(self.catalog, image.os, image.kubernetes, card.components.get("containerd", ""))

    def monthly(self, size: float) -> str:
        return f"{size * self.live.gigabyte_month:.3f} {self.live.currency}" if self.live else ""


def copy_sboms(exports: Exports, checkout: Path, folder: Path) -> dict[str, str]:
    """Copy the bills of materials that are on this machine beside the page: path in the exports -> link.

    Those of earlier images stay there from when they were declared, so that the page can compare; nobody else keeps them.
    """
    paths = [path for image in exports.images for path in image.sboms.values() if (checkout / path).is_file()]
    (folder / SBOMS).mkdir(parents=True, exist_ok=True)
    for file in (folder / SBOMS).iterdir():
        if not file.name.startswith(tuple(f"{image.name}-" for image in (*exports.images, *exports.earlier))):
            file.unlink()
    for path in paths:
        for file in bill_and_scans(checkout / path):
            shutil.copyfile(file, folder / SBOMS / file.name)
    return {path: f"{SBOMS}/{Path(path).name}" for path in paths}


def cards(exports: Exports, live: Live | None, *bills: Path) -> list[Card]:
    """All images, those of a version together: the declared one first, then backwards in time. `bills`: where they may be."""
    every: list[ImageRecord | EarlierImage] = [*exports.images, *exports.earlier]
    known = {image.name: known_of(image.name, *bills) for image in every}
    found = [_card(exports, image, 0, known, live) for image in exports.images]
    generations: Counter[tuple[str, str]] = Counter()
    for image in sorted(exports.earlier, key=lambda item: item.created, reverse=True):
        version = (image.os, image.kubernetes)
        generations[version] += 1
        found.append(_card(exports, image, generations[version], known, live))
    return sorted(found, key=_place)


def _card(
    exports: Exports,
    image: ImageRecord | EarlierImage,
    generation: int,
    known: Mapping[str, Known],
    live: Live | None,
) -> Card:
    then = image.servers if isinstance(image, EarlierImage) else None
    servers = live.running(image.snapshots) if live else then
    before = generation_before(exports, image)
    since = compare_images((before, known[before.name]), (image, known[image.name])) if before else None
    return Card(image, generation, servers, known[image.name], since)


def render_page(shown: Sequence[Card], page: Page) -> str:
    """The whole page as HTML, with its style and script."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["fitting"] = fitting
    environment.filters["reason"] = text
    environment.filters["plural"] = plural
    sizes = [size for card in shown for size in card.image.sizes.values()]
    return environment.get_template("catalogue.html.j2").render(
        cards=shown,
        page=page,
        sizes=sizes,
        systems=list(dict.fromkeys(card.image.os for card in shown)),
        minors=list(dict.fromkeys(card.image.kubernetes.rpartition(".")[0] for card in shown)),
        data=package_data(shown),
    )


def package_data(shown: Sequence[Card]) -> dict[str, object]:
    """The packages of all images for the page's script, each name with its version once, as images share nearly all."""
    found: dict[tuple[str, str], int] = {}
    lists = {
        build_key(card.image.name, architecture): [
            found.setdefault(item, len(found)) for item in sorted(packages_of(bill).items())
        ]
        for card in shown
        for architecture, bill in card.known.bills.items()
    }
    return {"packages": list(found), "images": {key: numbers for key, numbers in lists.items() if numbers}}


def plural(number: int, one: str, many: str = "") -> str:
    """Such as `1 image` and `2 images`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def age(created: datetime, now: datetime) -> str:
    """In days, and in hours on the first one."""
    hours = max(0, int((now - created).total_seconds() // 3600))
    if hours == 0:
        return "less than an hour"
    return plural(hours, "hour") if hours < 24 else plural(hours // 24, "day")


def _place(card: Card) -> tuple[str, list[int], int]:
    newest_first = [-int(part) for part in card.image.kubernetes.split(".") if part.isdecimal()]
    return card.image.os, newest_first, card.generation
