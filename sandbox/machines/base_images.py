"""Base images: what Hetzner offers as debian-13 and debian-12, made with mmdebstrap on first use and cached for good.

The cache is shared by all sandboxes of a user. An image appears there complete or not at all; where two want the same
one at once, one makes it and the other waits.
"""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.machines import Progress, host
from sandbox.machines.translate import API_NAMES, DEBIAN_NAMES, translated
from sandbox.machines.vm_disk import make_disk, maker_digest
from sandbox.process import CommandError, run

SCRIPT = Path(__file__).parent / "base_image.sh"
NATIVE = Path(__file__).parent / "native.sh"
MIRROR = "http://deb.debian.org"
PACKAGES = (
    *(
        "apt-utils",
        "ca-certificates",
        "cloud-init",
        "curl",
        "dbus",
        "gnupg",
        "iproute2",
        "iputils-ping",
        "kmod",
        "less",
    ),
    *("netbase", "openssh-server", "procps", "sudo", "systemd", "systemd-sysv", "wget"),
    # What a server boots with. busybox and zstd are what initramfs-tools recommends; cloud-init grows the root with the others.
    *("busybox", "cloud-guest-utils", "dosfstools", "e2fsprogs", "fdisk", "initramfs-tools", "udev", "zstd"),
    # As in Debian's own images for clouds since Debian 12. cloud-init prefers netplan where it is there; with ifupdown it
    # could set name servers only through a further package.
    *("netplan.io", "systemd-resolved"),
)
# architecture -> Debian's kernel for clouds, and the boot loaders
BOOT_PACKAGES = {
    "amd64": ("linux-image-cloud-amd64", "grub-pc", "grub-efi-amd64-bin"),
    "arm64": ("linux-image-cloud-arm64", "grub-efi-arm64"),
}
# mmdebstrap's own words for its phases -> percent done
PHASES = {
    "running apt-get update": 3,
    "downloading packages": 8,
    "extracting archives": 15,
    "installing essential": 20,
}
SET_UP_FROM, SET_UP_SPAN, PACKAGES_SET_UP = 25, 65, 240  # percent, percent, about as many packages


@dataclass(frozen=True)
class BaseImage:
    """One Debian release."""

    name: str
    suite: str
    architecture: str  # as Debian calls it

    def packages(self) -> tuple[str, ...]:
        """All that are asked for; apt adds what they depend on."""
        return (*PACKAGES, *BOOT_PACKAGES[self.architecture])

    def sources(self) -> list[str]:
        """Lines of sources.list: release, updates, security."""
        suites = (
            ("debian", self.suite),
            ("debian", f"{self.suite}-updates"),
            ("debian-security", f"{self.suite}-security"),
        )
        return [f"deb {MIRROR}/{archive} {suite} main" for archive, suite in suites]

    def command(self, target: Path) -> list[str]:
        """What makes it. In namespaces of its own: when it is killed, no process and no mount of it is left."""
        translate = translated(API_NAMES[self.architecture])
        isolate = ["unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"]
        options = ["--verbose", "--variant=minbase", "--format=directory", f"--architectures={self.architecture}"]
        return [
            *isolate,
            *translate,
            "mmdebstrap",
            *options,
            f"--include={','.join(self.packages())}",
            "--dpkgopt=force-unsafe-io",
            *([f'--essential-hook=sh "{NATIVE}" begin "$1"'] if translate else []),
            self.hook("essential", "before"),
            self.hook("customize", "after"),
            *([f'--customize-hook=sh "{NATIVE}" end "$1"'] if translate else []),
            self.suite,
            str(target),
            *self.sources(),
        ]

    def hook(self, phase: str, stage: str) -> str:
        """The option by which mmdebstrap runs our script in one of its phases."""
        return f'--{phase}-hook=sh "{SCRIPT}" {stage} "$1" {self.suite} {self.architecture}'

    def digest(self) -> str:
        """Of all that shapes it: another recipe is another image."""
        recipe = [self.suite, self.architecture, *self.sources(), *self.packages(), SCRIPT.read_text()]
        return hashlib.sha256("\n".join(recipe).encode()).hexdigest()[:12]


SUITES = {"debian-13": "trixie", "debian-12": "bookworm"}
BASE_IMAGES = {name: BaseImage(name, suite, DEBIAN_NAMES[host.architecture()]) for name, suite in SUITES.items()}
"""Those of this host's own architecture."""


def base_image(name: str, architecture: str = "") -> BaseImage:
    """One of an architecture (x86, arm); without one it is the host's."""
    image = BASE_IMAGES[name]
    return replace(image, architecture=DEBIAN_NAMES[architecture]) if architecture else image


BASE_DISK_GB = 5
"""Size of a base image's disk, as of Hetzner's own. A machine's disk is as large as its server type says."""


class BaseImages:
    """The cache directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.making: dict[str, str] = {}  # name -> what is being done

    def path(self, name: str, architecture: str = "") -> Path:
        """Where the image lies, or will. Architectures are x86 and arm; without one it is the host's."""
        image = base_image(name, architecture)
        return self.directory / f"{name}-{image.architecture}-{image.digest()}"

    async def ready(self, name: str, progress: Progress, architecture: str = "") -> Path:
        """The image's directory; makes it first if need be (a minute; ten for another architecture than the host's)."""
        path = self.path(name, architecture)
        if not path.exists():
            self.directory.mkdir(parents=True, exist_ok=True)
            progress(1, f"waiting for another sandbox that makes {name}")
            async with locked(path.with_suffix(".lock")):
                if not path.exists():
                    await self.make(base_image(name, architecture), path, progress)
        return path

    def kernel(self) -> Path:
        """The newest of any image of the host's architecture that is there. Raises SandboxError."""
        images = f"*-{DEBIAN_NAMES[host.architecture()]}-*"
        kernels = self.directory.glob(f"{images}/boot/vmlinuz-*")
        whole = [path for path in kernels if path.parent.parent.suffix != ".part"]
        found = sorted(whole, key=lambda path: path.stat().st_mtime)
        if not found:
            raise SandboxError("no base image with a kernel is there", "start the sandbox with --prepare debian-13")
        return found[-1]

    def disk_path(self, name: str, architecture: str = "") -> Path:
        """Where the image lies as a disk, or will."""
        tree = self.path(name, architecture)
        return tree.with_name(f"{tree.name}-{maker_digest()}.qcow2")

    async def disk_ready(self, name: str, progress: Progress, architecture: str = "") -> Path:
        """The image as a disk to boot from; makes it first if need be (about 10 s, once the image is there)."""
        tree = await self.ready(name, progress, architecture)
        path = self.disk_path(name, architecture)
        if not path.exists():
            progress(95, f"waiting for another sandbox that makes the disk of {name}")
            async with locked(path.with_suffix(".lock")):
                if not path.exists():
                    progress(96, f"making the disk of {name}")
                    await make_disk(tree, path, BASE_DISK_GB)
        return path

    async def make(self, image: BaseImage, path: Path, progress: Progress) -> None:
        """Make it beside its place, then rename."""
        part = path.with_suffix(".part")
        await asyncio.to_thread(shutil.rmtree, part, ignore_errors=True)  # left by one that was killed

        def tell(percent: int, phase: str) -> None:
            self.making[image.name] = phase
            progress(percent, f"making {image.name}: {phase}")

        try:
            await run(*image.command(part), on_line=Follower(tell))
            part.rename(path)
        except CommandError as failure:
            raise SandboxError(
                f"could not make base image {image.name}: {failure.message}", f"is {MIRROR} reachable?"
            ) from failure
        finally:
            self.making.pop(image.name, None)
            shutil.rmtree(part, ignore_errors=True)


class Follower:
    """Reads mmdebstrap's output and tells how far it is."""

    def __init__(self, tell: Progress) -> None:
        self.tell = tell
        self.set_up = 0

    def __call__(self, line: str) -> None:
        """Take one line."""
        for phase, percent in PHASES.items():
            if phase in line:
                self.tell(percent, phase)
        if line.startswith("Setting up"):
            self.set_up += 1
            self.tell(
                SET_UP_FROM + min(SET_UP_SPAN, SET_UP_SPAN * self.set_up // PACKAGES_SET_UP), "setting up packages"
            )


@asynccontextmanager
async def locked(path: Path) -> AsyncIterator[None]:
    """Hold a lock file; waits for other processes without blocking the loop. The kernel frees it if we are killed."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        while True:
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                await asyncio.sleep(0.3)
        yield
    finally:
        os.close(fd)
