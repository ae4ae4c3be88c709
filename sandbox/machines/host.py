"""What this host has: an own control group for each machine, whichever way the host does it."""

from __future__ import annotations

import platform
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm"}


def architecture() -> str:
    """In the API's words: x86 or arm."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def has_systemd() -> bool:
    """Whether systemd is the host's first process and hands out control groups."""
    return Path("/run/systemd/system").is_dir()


def cgroup_roots() -> list[Path]:
    """The hierarchies that systemd-nspawn places a machine in, on a host without systemd."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [root for root in (CGROUPS / "systemd", CGROUPS / "unified") if root.is_dir()]


def scope(unit: str) -> list[str]:
    """Command prefix that runs a command in a control group of its own, on a host with systemd."""
    return ["systemd-run", "--quiet", "--scope", "--collect", "--property=Delegate=yes", f"--unit={unit}"]


def make_cgroups(name: str) -> list[Path]:
    """Make a control group in each hierarchy, on a host without systemd."""
    groups = [root / name for root in cgroup_roots()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    return groups


def remove_cgroups(name: str) -> None:
    """Remove it with all below, and its parent when that was the last."""
    for root in cgroup_roots():
        group = root / name
        if not group.is_dir():
            continue
        for directory in sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True):
            directory.rmdir()
        group.rmdir()
        if not any(path.is_dir() for path in group.parent.iterdir()):
            group.parent.rmdir()
