"""What a reviewer has to know of a change before it costs money: changes, costs, quotas, warnings."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date

from images.bills import PackageChanges, compare
from images.causes import Cause, Reason
from images.changes import Change, changes, unchanged
from images.costs import Costs, Prices, Servers, costs
from images.disks import boots_on, too_large
from images.names import build_key, image_key, os_and_kubernetes
from images.preview import Preview
from images.snapshot import Snapshot
from images.stackfile import StackFile
from recipe.catalog import Catalog
from recipe.support import new_needs, support_warnings

DEFAULT_SNAPSHOT_LIMIT, DEFAULT_SERVER_LIMIT = 30, 5
"""What Hetzner grants an account at first; the API does not tell a project's own limits."""


@dataclass(frozen=True)
class Project:
    """What the API tells: the stack's snapshots, and how many snapshots and servers the whole project has."""

    snapshots: tuple[Snapshot, ...]
    snapshot_count: int
    server_count: int
    prices: Prices


@dataclass(frozen=True)
class Slots:
    """Places for snapshots and servers: now, at the most while the `up` runs, and after it. Without a limit none is known."""

    snapshots: int
    snapshots_while_building: int
    snapshots_after: int
    snapshot_limit: int
    servers: int
    servers_while_building: int
    server_limit: int | None


@dataclass(frozen=True)
class Review:
    """All that a report shows. Without the API, `costs`, `slots` and `disks` are not known."""

    stack: str
    changes: tuple[Change, ...]
    unchanged: tuple[str, ...]
    costs: Costs | None
    slots: Slots | None
    packages: tuple[PackageChanges, ...]
    warnings: tuple[str, ...]
    errors: tuple[str, ...]
    disks: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.changes and not self.errors


@dataclass(frozen=True)
class Circumstances:
    """What a review depends on beside the preview: the stack file, the catalogue, the project, bills, limits, the day.

    Instead of a project it may be why nothing is known of it.
    """

    settings: StackFile
    catalog: Catalog
    project: Project | str
    bills: Mapping[tuple[str, str], str]
    today: date
    snapshot_limit: int = DEFAULT_SNAPSHOT_LIMIT
    server_limit: int | None = None


def review(preview: Preview, around: Circumstances) -> Review:
    """Judge a preview. What the API knows of snapshots that stay adds to why they stay."""
    project = around.project if isinstance(around.project, Project) else None
    found = tuple(_with_disk(_with_users(change, project), around) for change in changes(preview))
    slots = _slots(found, around, project) if project else None
    unknown = [] if project else [f"costs and quotas are not known: {around.project}"]
    return Review(
        stack=preview.stack,
        changes=found,
        unchanged=tuple(unchanged(preview, found)),
        costs=_costs(found, around.settings, project) if project else None,
        slots=slots,
        packages=tuple(_packages(found, {**around.bills, **preview.bills})),
        warnings=(
            *_ends(around),
            *_needs(found, preview, around.catalog),
            *_warnings(found, project),
            *(_large(found, around, project) if project else []),
            *(_quota_warnings(slots) if slots else []),
            *unknown,
        ),
        errors=(),
        disks=tuple(_disks(project, found)) if project else (),
    )


def failed(preview: Preview) -> Review:
    """What is left to say of a preview that found errors."""
    return Review(preview.stack, (), (), None, None, (), (), preview.errors)


def first(names: Sequence[str]) -> str:
    """Three names, and how many more there are."""
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _with_users(change: Change, project: Project | None) -> Change:
    """Of an image that stays although it is not declared: the servers that it stays for, or that it is protected."""
    if change.kind != "kept" or project is None:
        return change
    servers = tuple(sorted(_servers_of(change.name, project)))
    users = [Reason(Cause.IN_USE, servers)] if servers else []
    is_protected = any(item.protected for item in project.snapshots if item.image == change.name)
    return replace(change, why=(*change.why, *users, *([Reason(Cause.PROTECTED)] if is_protected else [])))


def _with_disk(change: Change, around: Circumstances) -> Change:
    """Of an image that is built again because its snapshot, which is there, has too large a disk."""
    most, project = around.settings.max_disk, around.project
    if change.kind != "built again" or most is None or not isinstance(project, Project):
        return change
    disk = max((item.disk_gb for item in project.snapshots if item.image == change.name), default=0)
    return replace(change, why=(Reason(Cause.TOO_LARGE, (), str(disk), str(most)),)) if disk > most else change


def _disks(project: Project, found: Sequence[Change]) -> list[str]:
    """Of the published snapshots that stay, by size: which server types boot them."""
    groups: dict[str, list[str]] = {}
    for item in _staying(project, found):
        if item.disk_gb:
            groups.setdefault(boots_on(item.disk_gb, item.architecture), []).append(f"{item.image} {item.architecture}")
    return [f"{told} ({first(names)})" for told, names in groups.items()]


def _staying(project: Project, found: Sequence[Change]) -> list[Snapshot]:
    """The published snapshots that are there after the `up` as they are now."""
    gone = {change.name for change in found if change.kind in ("deleted", "built again")}
    return [item for item in project.snapshots if item.image and item.image not in gone]


def _large(found: Sequence[Change], around: Circumstances, project: Project) -> list[str]:
    types = {str(architecture): names for architecture, names in around.settings.server_types.items()}
    lines = [
        too_large(build_key(item.image, item.architecture), item.disk_gb, types.get(item.architecture, ()), {})
        for item in _staying(project, found)
    ]
    return [line for line in lines if line]


def _servers_of(name: str, project: Project | None) -> list[str]:
    snapshots = project.snapshots if project else ()
    return [server for item in snapshots if item.image == name for server in item.servers]


def _costs(found: Sequence[Change], settings: StackFile, project: Project) -> Costs:
    types = {str(name): kinds for name, kinds in settings.server_types.items()}
    return costs(found, project.snapshots, project.prices, Servers(types, settings.locations, settings.test_servers))


def _slots(found: Sequence[Change], around: Circumstances, project: Project) -> Slots:
    made = sum(len(change.architectures) for change in found if change.kind in ("added", "rebuilt", "built again"))
    tested = sum(len(change.architectures) for change in found if change.kind in ("tested again", "published again"))
    deleted = sum(len(change.architectures) for change in found if change.kind == "deleted")
    return Slots(
        snapshots=project.snapshot_count,
        snapshots_while_building=project.snapshot_count + made,
        snapshots_after=project.snapshot_count + made - deleted,
        snapshot_limit=around.snapshot_limit,
        servers=project.server_count,
        servers_while_building=project.server_count
        + around.settings.test_servers * min(made + tested, around.settings.max_parallel),
        server_limit=around.server_limit,
    )


def _packages(found: Sequence[Change], bills: Mapping[tuple[str, str], str]) -> list[PackageChanges]:
    compared = [
        compare(
            change.name,
            architecture,
            change.before,
            (bills.get((change.before, architecture), ""), bills.get((change.name, architecture), "")),
        )
        for change in found
        if change.before
        for architecture in change.architectures
    ]
    return [item for item in compared if item]


def _ends(around: Circumstances) -> list[str]:
    declared = [(item.os, version) for item in around.settings.images for version in item.kubernetes]
    return support_warnings(around.catalog, declared, around.today)


def _needs(found: Sequence[Change], preview: Preview, catalog: Catalog) -> list[str]:
    """What a version that is added wants of its clusters, where one that is there does not."""
    added = [os_and_kubernetes(change.key)[1] for change in found if change.kind == "added"]
    crossed = new_needs(catalog, added, [record.kubernetes for record in preview.records])
    return [
        f"Kubernetes {version} wants of its cluster {need.what}; without it {need.without}. {need.brought_by} ({need.source})"
        for version, need in crossed
    ]


def _warnings(found: Sequence[Change], project: Project | None) -> list[str]:
    gone = {change.name for change in found if change.kind == "deleted"}
    used = [
        f"{name} is deleted, but {first(servers)} {'was' if len(servers) == 1 else 'were'} created from it"
        for name in sorted(gone)
        if (servers := _servers_of(name, project))
    ]
    return [*used, *_undeclared(found), *_unpublished(project, gone)]


def _undeclared(found: Sequence[Change]) -> list[str]:
    """A version that goes is gone for every template that names it, also where no server runs at the moment."""
    keys = dict.fromkeys(
        image_key(change.name)
        for change in found
        if change.kind == "deleted" and any(reason.cause is Cause.UNDECLARED for reason in change.why)
    )
    return [f"templates that name an image of {key} get no more machines after this" for key in keys]


def _unpublished(project: Project | None, gone: set[str]) -> list[str]:
    snapshots = project.snapshots if project else ()
    nameless = sorted(item.description for item in snapshots if not item.image and item.description not in gone)
    return [
        f"unpublished, so CAPH does not find it: a snapshot of {name} whose tests did not pass" for name in nameless
    ]


def _quota_warnings(slots: Slots) -> list[str]:
    warnings = []
    if slots.snapshots_while_building > slots.snapshot_limit:
        warnings.append(
            f"{slots.snapshots_while_building} snapshots while it builds, but the limit is {slots.snapshot_limit}: "
            "earlier ones are deleted last"
        )
    if slots.server_limit is not None and slots.servers_while_building > slots.server_limit:
        warnings.append(
            f"{slots.servers_while_building} servers while it builds, but the limit is {slots.server_limit}: "
            "lower maxParallel"
        )
    return warnings
