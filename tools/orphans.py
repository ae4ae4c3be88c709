"""End the engine's plugins that outlived an engine which was killed: nothing else ever would."""

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
HOST_OF_DYNAMIC_RESOURCES = "pulumi.dynamic"
PLUGIN = "pulumi-resource-"
ENGINE = "pulumi"


def orphans(root: Path, proc: Path = Path("/proc")) -> list[int]:
    """Process ids of this checkout's plugins with no engine above them."""
    return [pid for pid in _plugins(root, proc) if ENGINE not in _ancestors(pid, proc)]


def end_orphans() -> int:
    """End them all; return how many there were."""
    found = orphans(ROOT)
    for pid in found:
        os.kill(pid, signal.SIGTERM)
    return len(found)


def _plugins(root: Path, proc: Path) -> Iterator[int]:
    for entry in proc.glob("[0-9]*"):
        arguments = _read(entry / "cmdline").split("\0")
        is_plugin = HOST_OF_DYNAMIC_RESOURCES in arguments or PLUGIN in arguments[0]
        if is_plugin and arguments[0].startswith(f"{root}/"):
            yield int(entry.name)


def _ancestors(pid: int, proc: Path) -> list[str]:
    """Names of the processes above, the nearest first."""
    names = []
    while pid > 1:
        status = dict(line.split(":", 1) for line in _read(proc / str(pid) / "status").splitlines())
        pid = int(status.get("PPid", "0"))
        names.append(_read(proc / str(pid) / "comm").strip())
    return names


def _read(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""  # it has just ended


if __name__ == "__main__":
    end_orphans()
    sys.exit(0)
