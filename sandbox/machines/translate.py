"""Programs of another architecture than this host's, run by QEMU's translation of single programs (qemu-user)."""

from __future__ import annotations

from pathlib import Path

from sandbox.machines import host

SCRIPT = Path(__file__).parent / "translate.sh"
DEBIAN_NAMES = {"x86": "amd64", "arm": "arm64"}
"""Architecture in the API's words -> in Debian's."""
API_NAMES = {debian: name for name, debian in DEBIAN_NAMES.items()}
PROGRAMS = {
    "x86": {"qemu-x86_64-static": "qemu-user-static"},
    "arm": {"qemu-aarch64-static": "qemu-user-static"},
}
"""Architecture -> program that runs its programs -> Debian package."""
REGISTERS = {"update-binfmts": "binfmt-support", "arch-test": "arch-test"}
"""What tells the kernel of the program, and what mmdebstrap asks whether it did: program -> Debian package."""


def programs(architecture: str) -> dict[str, str]:
    """What this host needs for programs of the architecture: program -> Debian package. Nothing for its own."""
    return {} if architecture == host.architecture() else {**PROGRAMS[architecture], **REGISTERS}


def is_translated(pid: int) -> bool:
    """Whether a process of this host is a program of another architecture."""
    try:
        return Path(f"/proc/{pid}/exe").readlink().name.startswith("qemu-")
    except OSError:
        return False


def translated(architecture: str) -> list[str]:
    """What begins a command line, in a mount namespace of its own, that runs programs of the architecture."""
    return [] if architecture == host.architecture() else ["sh", str(SCRIPT), DEBIAN_NAMES[architecture]]
