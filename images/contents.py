"""What tells one image from another: the piece that reports, `diff` and the catalogue have in common."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from images.causes import Cause, Reason
from images.plan import PACKAGES, short_digest

_DIGEST = re.compile(r"[0-9a-f]{8}")


class Content(Protocol):
    """What an image is made of: versions of components, and by name all that its digest is of. Empty is not recorded."""

    @property
    def components(self) -> Mapping[str, str]: ...
    @property
    def inputs(self) -> Mapping[str, str]: ...


@dataclass(frozen=True)
class Difference:
    """A value before and after; empty where it was not there."""

    name: str
    old: str
    new: str


def side_by_side(before: Content, after: Content) -> list[Difference]:
    """All components, those that are the same among them."""
    names = list(dict.fromkeys([*after.components, *before.components]))
    return [Difference(name, before.components.get(name, ""), after.components.get(name, "")) for name in names]


def differences(old: Mapping[str, str], new: Mapping[str, str]) -> list[Difference]:
    """What differs between two maps, in the order of the new one, what is gone last."""
    names = list(dict.fromkeys([*new, *old]))
    return [Difference(name, old.get(name, ""), new.get(name, "")) for name in names if old.get(name) != new.get(name)]


def reasons(before: Content, after: Content) -> list[Reason]:
    """Why an image gets another digest, by the files that people edit."""
    versions = [
        Reason(Cause.VERSION, (item.name,), item.old, item.new)
        for item in differences(before.components, after.components)
    ]
    if not before.inputs:
        return [*versions, Reason(Cause.NOT_RECORDED)]
    changed = {item.name: item for item in differences(before.inputs, after.inputs) if not _is_told_anew(item)}
    versioned = {name for reason in versions for name in reason.names}
    causes = [*versions, *_files(changed, versioned), *_settings(changed), *_steps(changed)]
    return causes or [Reason(Cause.RENDERED, tuple(_named(changed, "step ")))]


def _files(changed: Mapping[str, Difference], versioned: set[str]) -> list[Reason]:
    """Other files of components whose version is the same."""
    programs = {"kubeadm", "kubelet", "kubectl"} if "kubernetes" in versioned else set()
    return [Reason(Cause.FILE, (name,)) for name in _named(changed, "file ") if name not in versioned | programs]


def _settings(changed: Mapping[str, Difference]) -> list[Reason]:
    date = changed.get("asOf")
    dates = [Reason(Cause.AS_OF, (), date.old, date.new)] if date else []
    packages = _packages(changed.get(PACKAGES))
    # Own steps are told one by one, and so are packages.
    names = [name for name in changed if name.startswith("node.") or name in ("packages", "lib.sh")]
    told = ("node.steps", *([PACKAGES] if packages else []))
    settings = tuple(name for name in names if name not in told)
    return [*dates, *packages, *([Reason(Cause.SETTINGS, settings)] if settings else [])]


def _packages(item: Difference | None) -> list[Reason]:
    """Which packages of the stack file came and went; nothing where an older program recorded a digest of them."""
    if item is None or _DIGEST.fullmatch(item.old):
        return []
    old, new = item.old.split(), item.new.split()
    names = [f"+{name}" for name in new if name not in old] + [f"-{name}" for name in old if name not in new]
    return [Reason(Cause.PACKAGES, tuple(names))] if names else []


def _is_told_anew(item: Difference) -> bool:
    """Whether only this program's way to record the packages is another."""
    return item.name == PACKAGES and item.old == short_digest(item.new.split())


def _steps(changed: Mapping[str, Difference]) -> list[Reason]:
    sources = {name: changed[f"source {name}"] for name in _named(changed, "source ") if f"step {name}" in changed}
    return [Reason(Cause.STEP, (name,), item.old, item.new) for name, item in sources.items()]


def _named(changed: Mapping[str, Difference], prefix: str) -> list[str]:
    return [name.removeprefix(prefix) for name in changed if name.startswith(prefix)]
