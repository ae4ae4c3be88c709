"""`./node-images catalogue`: one page of all images of a stack, made from its exports, for people who choose one.

What only the API knows, prices and servers, is on it where the API could be asked.
"""

import shutil
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from images.disks import boots_on
from images.exports import EarlierImage, Exports, ImageRecord
from recipe import Catalog
from recipe.support import endings

SBOMS = "sboms"


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
    """An image on the page. `generation` is 0 for a declared one and counts backwards; `servers` is None where unknown."""

    image: ImageRecord | EarlierImage
    generation: int
    servers: Sequence[str] | None


def copy_sboms(exports: Exports, checkout: Path, folder: Path) -> dict[str, str]:
    """Copy the bills of materials that are on this machine beside the page: path in the exports -> link."""
    paths = [path for image in exports.images for path in image.sboms.values() if (checkout / path).is_file()]
    (folder / SBOMS).mkdir(parents=True, exist_ok=True)
    for path in paths:
        shutil.copyfile(checkout / path, folder / SBOMS / Path(path).name)
    return {path: f"{SBOMS}/{Path(path).name}" for path in paths}


def cards(exports: Exports, live: Live | None) -> list[Card]:
    """All images, those of a version together: the declared one first, then backwards in time."""
    found = [Card(image, 0, live.running(image.snapshots) if live else None) for image in exports.images]
    generations: Counter[tuple[str, str]] = Counter()
    for image in sorted(exports.earlier, key=lambda item: item.created, reverse=True):
        version = (image.os, image.kubernetes)
        generations[version] += 1
        found.append(Card(image, generations[version], live.running(image.snapshots) if live else image.servers))
    return sorted(found, key=_place)


def render_page(  # noqa: PLR0913 - what is on it
    shown: Sequence[Card], sboms: Mapping[str, str], stack: str, now: datetime, live: Live | None, catalog: Catalog
) -> str:
    """The whole page as HTML, with its style and script. `sboms`: path in the exports -> link."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["boots_on"] = boots_on
    environment.filters["ends"] = lambda image: ends(image, catalog, now.date())
    environment.filters["age"] = lambda created: age(created, now)
    sizes = [size for card in shown for size in card.image.sizes.values()]
    return environment.get_template("catalogue.html.j2").render(
        cards=shown, sboms=sboms, stack=stack, now=now, live=live, sizes=sizes
    )


def ends(image: ImageRecord | EarlierImage, catalog: Catalog, today: date) -> list[str]:
    """What of an image is mended no longer, or not for long. What an earlier one has beside its versions was not recorded."""
    containerd = image.components.get("containerd", "") if isinstance(image, ImageRecord) else ""
    return [item.told(today) for item in endings(catalog, image.os, image.kubernetes, containerd, today)]


def age(created: datetime, now: datetime) -> str:
    """In days, and in hours on the first one."""
    hours = max(0, int((now - created).total_seconds() // 3600))
    count, unit = (hours, "hour") if hours < 24 else (hours // 24, "day")
    return f"{count} {unit}" if count == 1 else f"{count} {unit}s"


def _place(card: Card) -> tuple[str, list[int], int]:
    newest_first = [-int(part) for part in card.image.kubernetes.split(".") if part.isdecimal()]
    return card.image.os, newest_first, card.generation
