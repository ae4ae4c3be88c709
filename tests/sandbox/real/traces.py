"""What a machine could leave behind on the host."""

from __future__ import annotations

from pathlib import Path

from sandbox.machines.network import NAMESPACES
from sandbox.settings import Home


def traces(home: Path) -> set[str]:
    """Mounts, control groups, runtime files, processes and files of the sandbox with this home."""
    mounts = {f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if str(home) in line}
    groups = {f"group {path}" for path in Path("/sys/fs/cgroup").glob(f"*/sandbox-{Home(home).key}*/*")}
    runtime = {f"file {path}" for path in Path("/run/systemd/nspawn").glob(f"*/*{Home(home).key}*")}
    stores = {f"file {path}" for store in ("machines", "snapshots", "trash") for path in (home / store).glob("*")}
    runtime |= {f"namespace {path}" for path in NAMESPACES.glob(f"*{Home(home).key}*")}
    return mounts | groups | runtime | stores | {f"process {line}" for line in processes_of(home)}


def processes_of(home: Path) -> set[str]:
    """Those that have this home on their command line or their root below it, but for the daemon."""
    found = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text().replace("\0", " ")
            root = str((process / "root").readlink())
        except OSError:
            continue
        ours = str(home) in command or Home(home).key in command or root.startswith(str(home))
        if ours and " serve " not in command:
            found.add(f"{process.name} {command}")
    return found
