"""What this host has: an own control group for each machine, whichever way the host does it."""

from __future__ import annotations

import contextlib
import platform
import secrets
import socket
import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
BUSY_TRIES, LAST_TRIES, BUSY_SECONDS = 10, 2000, 0.005
ARCHITECTURES = {"x86_64": "x86", "aarch64": "arm"}


def architecture() -> str:
    """In the API's words: x86 or arm."""
    return ARCHITECTURES.get(platform.machine(), platform.machine())


def can_listen(address: str, port: int) -> bool:
    """Whether nobody listens there."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address, port))
        except OSError:
            return False
    return True


def has_systemd() -> bool:
    """Whether systemd is the host's first process and hands out control groups."""
    return Path("/run/systemd/system").is_dir()


def cgroup_roots() -> list[Path]:
    """The hierarchies that systemd-nspawn places a machine in, on a host without systemd."""
    if (CGROUPS / "cgroup.controllers").exists():
        return [CGROUPS]
    return [root for root in (CGROUPS / "systemd", CGROUPS / "unified") if root.is_dir()]


def scope(unit: str) -> list[str]:
    """Command prefix that runs a command in a control group of its own, on a host with systemd.

    The name differs each time: systemd may still be busy forgetting the last one.
    """
    name = f"{unit}-{secrets.token_hex(3)}"
    return ["systemd-run", "--quiet", "--scope", "--collect", "--property=Delegate=yes", f"--unit={name}"]


def make_cgroups(name: str) -> list[Path]:
    """Make a control group in each hierarchy, on a host without systemd."""
    groups = [root / name for root in cgroup_roots()]
    for group in groups:
        group.mkdir(parents=True, exist_ok=True)
    return groups


def remove_cgroups(name: str, tries: int = BUSY_TRIES) -> None:
    """Remove it with all below, and its parent when that was the last.

    A process that was just killed may be in it for a moment yet; what is still in use then stays for the next time.
    """
    for group in (root / name for root in cgroup_roots()):
        for _ in range(tries):
            below = sorted((path for path in group.rglob("*") if path.is_dir()), reverse=True)
            try:
                for directory in (*below, group):
                    directory.rmdir()
                break
            except FileNotFoundError:
                break
            except OSError:
                time.sleep(BUSY_SECONDS)
        with contextlib.suppress(OSError):
            group.parent.rmdir()
