"""Which projects mend what is on a node, until when, and what a version wants of its cluster."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

from recipe.catalog import Catalog, ClusterNeed, minor_of, numbers

NEAR_DAYS = 60


@dataclass(frozen=True)
class Ending:
    """Of what support ended, or ends soon: such as `Kubernetes 1.34`; `source` says so."""

    what: str
    until: date
    source: str

    def is_near(self, today: date) -> bool:
        """Whether it is over, or soon will be."""
        return (self.until - today).days <= NEAR_DAYS

    def told(self, today: date) -> str:
        """In words, with the day."""
        days = (self.until - today).days
        when = f"ended on {self.until}, {_count(-days)} ago" if days < 0 else f"ends on {self.until}, in {_count(days)}"
        return f"{self.what}: support {when} ({self.source})"


def all_endings(catalog: Catalog, os: str, kubernetes: str, containerd: str) -> list[Ending]:
    """Until when a node's Kubernetes, containerd (empty where unknown) and system are mended, as far as that is known."""
    system = catalog.operating_systems.get(os)
    lines = [("kubernetes", minor_of(kubernetes), "Kubernetes"), ("containerd", minor_of(containerd), "containerd")]
    lines += [(system.distribution, system.version, system.distribution.capitalize())] if system else []
    found = [_ending(catalog, product, line, f"{name} {line}") for product, line, name in lines]
    return [item for item in found if item]


def endings(catalog: Catalog, os: str, kubernetes: str, containerd: str, today: date) -> list[Ending]:
    """Those whose support is over or ends soon."""
    return [item for item in all_endings(catalog, os, kubernetes, containerd) if item.is_near(today)]


def support_warnings(catalog: Catalog, nodes: Iterable[tuple[str, str]], today: date) -> list[str]:
    """Of nodes by system and Kubernetes version: a line for each thing that is mended no longer, or not for long."""
    found: dict[Ending, list[str]] = {}
    for os, kubernetes in nodes:
        for item in endings(catalog, os, kubernetes, catalog.components(kubernetes)["containerd"], today):
            found.setdefault(item, []).append(f"{os}/{kubernetes}")
    return [f"{item.told(today)}: {_few(names)}" for item, names in found.items()]


def new_needs(catalog: Catalog, versions: Iterable[str], before: Iterable[str]) -> list[tuple[str, ClusterNeed]]:
    """What new versions want of their clusters that at least one of those of before does not want."""
    earlier = list(before)
    return [
        (version, need)
        for version in dict.fromkeys(versions)
        for need in catalog.cluster_needs
        if wants(version, need) and not all(wants(old, need) for old in earlier)
    ]


def wants(version: str, need: ClusterNeed) -> bool:
    """Whether a version of Kubernetes is at or behind the release that first wants it in its minor."""
    first = {numbers(minor_of(item)): numbers(item) for item in need.since}
    minor = numbers(minor_of(version))
    return numbers(version) >= first[minor] if minor in first else minor > max(first)


def _ending(catalog: Catalog, product: str, line: str, what: str) -> Ending | None:
    known = catalog.support.get(product)
    return Ending(what, known.until[line], known.source) if known and line in known.until else None


def _count(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
