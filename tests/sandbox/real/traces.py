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
    return mounts | groups | runtime | stores | {f"process {line}" for line in processes_of(home)} | network_of(home)


def network_of(home: Path) -> set[str]:
    """The network of the sandbox itself, which stays until the sandbox stops, and those of its machines."""
    key = Home(home).key
    ways_out = {line for line in processes_of(home) if " slirp4netns " in f" {line}"}
    return {f"namespace {path}" for path in NAMESPACES.glob(f"*{key}*")} | {f"process {line}" for line in ways_out}


def its_own_network(home: Path) -> set[str]:
    """What is there of it while no machine runs."""
    own = {trace for trace in network_of(home) if not trace.startswith("namespace ")}
    return own | {f"namespace {NAMESPACES / f'sandbox-{Home(home).key}'}"}


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
