"""Two images side by side, as far as is known of each: what `diff` shows, and the catalogue of two generations."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from images.bills import PackageChanges, compare, components_of
from images.causes import Cause, Reason
from images.contents import Difference, reasons, side_by_side
from images.exports import Exports, Image, ImageRecord
from images.findings import Finding, Scan, counted, news
from images.names import version_key
from images.suggest import did_you_mean
from recipe.problems import Problem, ProblemsError

GENERATION = re.compile(r"(.+)~(\d+)")


@dataclass(frozen=True)
class Known:
    """What is known of one image beside its exports: bills of materials by architecture, and by that and scanner the scans."""

    bills: Mapping[str, str] = field(default_factory=dict)
    scans: Mapping[tuple[str, str], Scan] = field(default_factory=dict)


@dataclass(frozen=True)
class VulnerabilityChanges:
    """What a scanner found in one architecture of two images."""

    architecture: str
    scanner: str
    before: Scan
    after: Scan
    added: tuple[Finding, ...]
    gone: tuple[Finding, ...]

    @property
    def summary(self) -> str:
        """Such as `before 1 high, now 2 high; 1 new, 0 gone`."""
        counts = f"{counted(self.before.counts)} → {counted(self.after.counts)}"
        return f"{counts}; {len(self.added)} new, {len(self.gone)} gone"


@dataclass(frozen=True)
class Comparison:
    """The second image beside the first. `recipe` is what makes its content another one; `unknown` what cannot be told."""

    before: str
    after: str
    components: tuple[Difference, ...]
    recipe: tuple[Reason, ...]
    figures: tuple[Difference, ...]
    packages: tuple[PackageChanges, ...]
    vulnerabilities: tuple[VulnerabilityChanges, ...]
    unknown: tuple[str, ...]

    @property
    def changed(self) -> tuple[Difference, ...]:
        """The components that differ."""
        return tuple(item for item in self.components if item.old != item.new)

    @property
    def new_packages(self) -> int:
        return sum(len(item.added) + len(item.changed) + len(item.removed) for item in self.packages)


@dataclass(frozen=True)
class _Content:
    components: Mapping[str, str]
    inputs: Mapping[str, str]


def compare_images(first: tuple[Image, Known], second: tuple[Image, Known]) -> Comparison:
    """Compare two images of one stack."""
    (before, known_before), (after, known_after) = first, second
    old, new = _contents(first, second)
    architectures = [name for name in after.snapshots if name in before.snapshots]
    packages = [
        compare(
            after.name,
            architecture,
            before.name,
            (known_before.bills.get(architecture, ""), known_after.bills.get(architecture, "")),
        )
        for architecture in architectures
    ]
    recorded = bool(old.inputs and new.inputs)
    return Comparison(
        before=before.name,
        after=after.name,
        components=tuple(side_by_side(old, new)) if old.components and new.components else (),
        recipe=tuple(_recipe(old, new)) if recorded else (),
        figures=tuple(_figures(before, after)),
        packages=tuple(item for item in packages if item),
        vulnerabilities=tuple(_vulnerabilities(known_before, known_after, architectures)),
        unknown=tuple(_unknown(first, second, recorded=recorded)),
    )


def _contents(*sides: tuple[Image, Known]) -> list[_Content]:
    """Both as they are recorded, or, where one is not, both as their bills have them: of these some components are missing."""
    records = [image for image, _ in sides if isinstance(image, ImageRecord)]
    if len(records) == len(sides):
        return [_Content(record.components, record.inputs) for record in records]
    return [
        _Content(next((components_of(bill) for bill in known.bills.values()), {}), getattr(image, "inputs", {}))
        for image, known in sides
    ]


def _recipe(old: _Content, new: _Content) -> Iterable[Reason]:
    """Versions stand among the components."""
    found = reasons(old, new) if old.inputs != new.inputs else []
    return [reason for reason in found if reason.cause is not Cause.VERSION]


def _figures(before: Image, after: Image) -> list[Difference]:
    sizes = [
        Difference(f"size {name}", _gigabytes(before.sizes.get(name)), _gigabytes(after.sizes.get(name)))
        for name in dict.fromkeys([*after.sizes, *before.sizes])
    ]
    disks = [
        Difference(f"disk {name}", _disk(before.disks.get(name)), _disk(after.disks.get(name)))
        for name in dict.fromkeys([*after.disks, *before.disks])
    ]
    made = Difference("made", f"{before.created:%Y-%m-%d}", f"{after.created:%Y-%m-%d}")
    return [made, *sizes, *disks]


def _gigabytes(size: float | None) -> str:
    return "" if size is None else f"{size:.2f} GB"


def _disk(size: int | None) -> str:
    return f"{size} GB" if size else ""


def _vulnerabilities(before: Known, after: Known, architectures: Sequence[str]) -> Iterable[VulnerabilityChanges]:
    """By the scanner that has looked at both: two scanners know different things."""
    for key, scan in after.scans.items():
        if key in before.scans and key[0] in architectures:
            yield VulnerabilityChanges(*key, before.scans[key], scan, *news(before.scans[key], scan))


def _unknown(*sides: tuple[Image, Known], recorded: bool) -> Iterable[str]:
    without_bill = [image.name for image, known in sides if not known.bills]
    if without_bill:
        yield f"packages: the bill of materials of {' and of '.join(without_bill)} is not on this machine"
    if not recorded:
        unknown = [image.name for image, _ in sides if not getattr(image, "inputs", {})]
        yield f"parts of the recipe: not recorded of {' and of '.join(unknown)}"


def pick(exports: Exports, wanted: str, label: str) -> Image:
    """The image that somebody means. Raises ProblemsError.

    By its name, the digits at its end, or the id of a snapshot; `debian-13/1.36.4` is the declared image of that version, and
    `debian-13/1.36.4~1` that of one generation before.
    """
    every: list[Image] = [*exports.images, *exports.earlier]
    found = [image for image in every if wanted in _called(image)] or generation(exports, wanted)
    if len(found) == 1:
        return found[0]
    names = [image.name for image in every]
    rule = "several images of the stack are called that" if found else "no image of the stack is called that"
    versions = (
        f"{did_you_mean(wanted, [*exports.snapshots, *names])}; with ~1 behind a version for one generation before"
    )
    raise ProblemsError([Problem(label, "image", wanted, rule, versions)])


def generation(exports: Exports, wanted: str) -> list[Image]:
    """The image of `debian-13/1.36.4~1`, if there is one: 0 is the declared one."""
    match = GENERATION.fullmatch(wanted)
    version, back = (match[1], int(match[2])) if match else (wanted, 0)
    if back == 0:
        return [image for image in exports.images if _version(image) == version]
    earlier: list[Image] = [image for image in exports.earlier if _version(image) == version]
    return sorted(earlier, key=lambda item: item.created, reverse=True)[back - 1 : back]


def generation_before(exports: Exports, image: Image) -> Image | None:
    """The newest of the earlier builds of its version that is older than it."""
    older = [item for item in exports.earlier if _version(item) == _version(image) and item.created < image.created]
    return max(older, key=lambda item: item.created, default=None)


def _version(image: Image) -> str:
    return version_key(image.os, image.kubernetes)


def _called(image: Image) -> set[str]:
    return {image.name, image.name.rpartition("-")[2], *map(str, image.snapshots.values())}
