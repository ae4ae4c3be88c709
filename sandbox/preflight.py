"""What must hold before a sandbox can start. All problems at once, each with its remedy."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Collection, Mapping
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.machines import host, translate
from sandbox.machines.accelerator import EMULATORS, FIRMWARE
from sandbox.machines.network import KUBERNETES_API
from sandbox.settings import SBIN, Home, MachineKind, Settings

LOWEST_PORT, HIGHEST_PORT = 1024, 65535
STORE_MINIMUM = 256 << 20
# program -> Debian package
LIGHT_PROGRAMS = {"mmdebstrap": "mmdebstrap", "setpriv": "util-linux", "unshare": "util-linux"}
NETWORK_PROGRAMS = {
    "ip": "iproute2",
    "nft": "nftables",
    "nsenter": "util-linux",
    "slirp4netns": "slirp4netns",
    "sysctl": "procps",
    "systemd-socket-activate": "systemd",
}
VM_PROGRAMS = {
    "debugfs": "e2fsprogs",
    "mcopy": "mtools",
    "mkfs.vfat": "dosfstools",
    "qemu-img": "qemu-utils",
    "qemu-system-x86_64": "qemu-system-x86",
    "sfdisk": "fdisk",
    "xorriso": "xorriso",
}
EMULATOR_PACKAGES = {"x86": "qemu-system-x86", "arm": "qemu-system-arm"}
FIRMWARE_PACKAGE = "qemu-efi-aarch64"
PROGRAMS: dict[MachineKind, dict[str, str]] = {
    MachineKind.light: LIGHT_PROGRAMS,
    MachineKind.real: {"systemd-nspawn": "systemd-container", **LIGHT_PROGRAMS, **NETWORK_PROGRAMS},
    MachineKind.vm: {**LIGHT_PROGRAMS, **NETWORK_PROGRAMS, **VM_PROGRAMS},
}


def problems(home: Home, settings: Settings) -> list[SandboxError]:
    """Everything that stands against a start; empty when nothing does."""
    found = [*port_problems(settings.port, "--port"), *ssh_port_problems(settings), *store_problems(home)]
    if settings.machines.hosted:
        found += [*root_problems(settings.machines), *overlay_problems(home)]
        found += program_problems(settings.kinds, settings.emulate)
    if MachineKind.vm in settings.kinds and host.architecture() != "x86":
        found.append(SandboxError("machines of the kind vm run on x86 hosts alone", "use --machines real"))
    return found


def port_problems(port: int, option: str) -> list[SandboxError]:
    """The API's port: in range and free."""
    if not LOWEST_PORT <= port <= HIGHEST_PORT:
        message = f"{option} {port} is out of range"
        return [SandboxError(message, f"choose a port from {LOWEST_PORT} to {HIGHEST_PORT}")]
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError as error:
            holder = holder_of(port)
            message = f"port {port} of 127.0.0.1 is taken{f' by {holder}' if holder else ''} ({error.strerror})"
            return [SandboxError(message, f"end that process, or start with another {option}")]
    return []


def ssh_port_problems(settings: Settings) -> list[SandboxError]:
    """The machines' port: in range (whether it is free is asked per address)."""
    if settings.ssh_port == KUBERNETES_API:
        message = f"--ssh-port {KUBERNETES_API} leads to the Kubernetes API of each machine"
        return [SandboxError(message, "choose another port")]
    if 1 <= settings.ssh_port <= HIGHEST_PORT:
        return []
    return [SandboxError(f"--ssh-port {settings.ssh_port} is out of range", f"choose a port from 1 to {HIGHEST_PORT}")]


def root_problems(machines: MachineKind) -> list[SandboxError]:
    """Machines need root; where sudo works, the command line has used it before this is asked."""
    if os.geteuid() == 0:
        return []
    message = f"{machines} machines need root, and sudo cannot be used without a password here"
    return [
        SandboxError(
            message, "run as root, or set up sudo, or start with --machines none (API only) or instant (scripted SSH)"
        )
    ]


def program_problems(kinds: Collection[MachineKind], emulate: str | None = None) -> list[SandboxError]:
    """Programs and files that are missing, and the packages they are in."""
    programs = {program: package for kind in kinds for program, package in PROGRAMS[kind].items()}
    programs |= emulator_programs(kinds, emulate) if emulate else {}
    missing = missing_programs(programs)
    if not missing:
        return []
    packages = " ".join(dict.fromkeys(missing.values()))
    return [SandboxError(f"missing: {', '.join(missing)}", f"apt-get install {packages}")]


def emulator_programs(kinds: Collection[MachineKind], architecture: str) -> dict[str, str]:
    """What machines of another architecture need besides: program, or path of a file -> Debian package."""
    needed = translate.programs(architecture)
    if MachineKind.vm in kinds:
        needed[EMULATORS[architecture]] = EMULATOR_PACKAGES[architecture]
        needed |= {str(FIRMWARE[architecture]): FIRMWARE_PACKAGE} if architecture in FIRMWARE else {}
    return needed


def missing_programs(programs: Mapping[str, str]) -> dict[str, str]:
    """Those that are not here, of program, or path of a file -> Debian package."""
    path = f"{os.environ.get('PATH', '')}:{SBIN}"
    return {
        program: package
        for program, package in programs.items()
        if not (Path(program).is_file() if program.startswith("/") else shutil.which(program, path=path))
    }


def store_problems(home: Home) -> list[SandboxError]:
    """The image store must be writable and not full."""
    existing = next(path for path in (home.path, *home.path.parents) if path.exists())
    if not existing.is_dir() or (os.geteuid() != 0 and not os.access(existing, os.W_OK)):
        return [SandboxError(f"cannot write to {existing}", "choose another --home")]
    free = shutil.disk_usage(existing).free
    if free < STORE_MINIMUM:
        message = f"the image store {home.path} has {free >> 20} MB free, at least {STORE_MINIMUM >> 20} MB are needed"
        return [SandboxError(message, "free some space, or choose a --home on a larger disk")]
    return []


def overlay_problems(home: Home, mounts: Path = Path("/proc/mounts")) -> list[SandboxError]:
    """A disk is an overlay over layers in the store, which must not lie on one itself (as the root of a container does)."""
    rows = [line.split()[1:3] for line in mounts.read_text().splitlines()]
    above = [(point, kind) for point, kind in rows if home.path.is_relative_to(point.replace("\\040", " "))]
    point, kind = max(above, key=lambda row: len(row[0]), default=("/", ""))
    if kind != "overlay":
        return []
    message = f"the image store {home.path} lies on an overlay file system ({point}), which cannot hold disks"
    return [SandboxError(message, "put it on a volume or a tmpfs: --home, or SANDBOX_HOME in the environment")]


def holder_of(port: int) -> str:
    """``name (pid N)`` of the process that listens on a TCP port; empty when it cannot be told."""
    inodes = listening_inodes(port)
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(str(fd.readlink()) in inodes for fd in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:  # gone, or not ours to look at
            continue
    return ""


def listening_inodes(port: int) -> set[str]:
    """Sockets that listen on the port, as /proc/PID/fd links name them."""
    rows = [
        line.split() for table in ("tcp", "tcp6") for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]
    ]
    return {f"socket:[{row[9]}]" for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}")}
