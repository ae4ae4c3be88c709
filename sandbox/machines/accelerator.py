"""How QEMU runs a machine: on the processor (KVM), or by translation (TCG).

Whether KVM works is seen by booting a kernel. There are hosts on which /dev/kvm can be opened and no ordinary kernel gets
through its start.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from pydantic import BaseModel

from sandbox.machines import host
from sandbox.process import CommandError, boot_id, run

KVM_DEVICE = Path("/dev/kvm")
TRIAL_SECONDS = 10.0  # a kernel needs about one
TRIAL_MEMORY = "256M"
# What a kernel says that has started everything and finds no root file system.
KERNEL_CAME_UP = "Unable to mount root fs"
EMULATORS = {"x86": "qemu-system-x86_64", "arm": "qemu-system-aarch64"}
BOARDS = {"x86": "q35", "arm": "virt,gic-version=3"}
"""Of arm, the one whose interrupt controller serves more than eight cores."""
PROCESSORS = {"x86": "max", "arm": "neoverse-n1"}
"""Where they are translated. Of arm, Hetzner's own: QEMU's `max` signs each return address, which takes most of its time."""
FIRMWARE = {"arm": Path("/usr/share/qemu-efi-aarch64/QEMU_EFI.fd")}
"""UEFI, for the boards that bring none. Debian package: qemu-efi-aarch64."""
CONSOLES = {"x86": "ttyS0", "arm": "ttyAMA0"}


class Accelerator(BaseModel):
    """The decision, and its reason in words."""

    name: Literal["kvm", "tcg"]
    why: str


class Trial(BaseModel):
    """What was seen of a kernel that was booted with KVM."""

    output: str
    timed_out: bool


class Remembered(BaseModel):
    """A decision that was made by a boot, and for what it holds."""

    circumstances: list[str]
    accelerator: Accelerator


async def choose(find_kernel: Callable[[], Path], cache: Path, architecture: str = "") -> Accelerator:
    """What a machine of the architecture (x86, arm; the host's) is run with.

    The first time after a boot of this host the kernel is tried, for ten seconds at most; then a file in ``cache`` says it.
    """
    architecture = architecture or host.architecture()
    if obstacle := kvm_obstacle(architecture):
        return Accelerator(name="tcg", why=obstacle)
    kernel = find_kernel()
    file = cache / f"accelerator-{architecture}.json"
    circumstances = [
        boot_id(),
        str(kernel),
        changed(kernel),
        changed(Path(shutil.which(EMULATORS[architecture]) or "/")),
    ]
    known = remembered(file, circumstances)
    if known is None:
        known = judge(await try_kvm(kernel, architecture))
        remember(file, Remembered(circumstances=circumstances, accelerator=known))
    return known


def kvm_obstacle(architecture: str, device: Path = KVM_DEVICE) -> str:
    """What stands against KVM before anything is booted; empty when nothing does."""
    if architecture != host.architecture():
        return f"the machine's processor ({architecture}) is another than this host's ({host.architecture()})"
    try:
        os.close(os.open(device, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        return f"{device} cannot be opened: {error.strerror}"
    return ""


def judge(trial: Trial) -> Accelerator:
    """The decision that follows from a trial."""
    if KERNEL_CAME_UP in trial.output:
        return Accelerator(name="kvm", why="a kernel that was booted with it came up")
    if trial.timed_out:
        return Accelerator(name="tcg", why=f"with {KVM_DEVICE} a kernel did not come up within {TRIAL_SECONDS:g} s")
    lines = trial.output.strip().splitlines() or ["no output"]
    reason = next((line for line in lines if line.startswith("qemu-system-")), lines[-1])
    return Accelerator(name="tcg", why=f"with {KVM_DEVICE} a kernel did not come up: {reason}")


async def try_kvm(kernel: Path, architecture: str) -> Trial:
    """Boot the kernel with two processors and without a disk."""
    lines: list[str] = []
    try:
        await asyncio.wait_for(run(*trial_command(kernel, architecture), on_line=lines.append), TRIAL_SECONDS)
    except TimeoutError:
        return Trial(output="\n".join(lines), timed_out=True)
    except CommandError:
        pass  # what it said is judged
    return Trial(output="\n".join(lines), timed_out=False)


def trial_command(kernel: Path, architecture: str) -> list[str]:
    """QEMU ends when the kernel, which finds no root file system, wants to reboot."""
    return [
        *(EMULATORS[architecture], "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *arguments(Accelerator(name="kvm", why=""), architecture),
        *("-smp", "2", "-m", TRIAL_MEMORY, "-serial", "stdio"),
        *("-kernel", str(kernel), "-append", f"console={CONSOLES[architecture]} panic=-1"),
    ]


def arguments(accelerator: Accelerator, architecture: str = "") -> list[str]:
    """QEMU's options for board, processor and accelerator."""
    architecture = architecture or host.architecture()
    board = ["-machine", BOARDS[architecture]]
    if accelerator.name == "kvm":
        return [*board, "-accel", "kvm", "-cpu", "host"]
    return [*board, "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", PROCESSORS[architecture]]


def firmware(architecture: str) -> list[str]:
    """QEMU's option for what starts the boot loader; none where the board has a BIOS."""
    return ["-bios", str(FIRMWARE[architecture])] if architecture in FIRMWARE else []


def changed(file: Path) -> str:
    """A word that is another one when the file is."""
    status = file.stat()
    return f"{status.st_size}-{status.st_mtime_ns}"


def remembered(file: Path, circumstances: list[str]) -> Accelerator | None:
    """A decision that was made under the same circumstances."""
    try:
        known = Remembered.model_validate_json(file.read_text())
    except (OSError, ValueError):
        return None
    return known.accelerator if known.circumstances == circumstances else None


def remember(file: Path, decision: Remembered) -> None:
    """Replace what the file says, at once."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(f".{os.getpid()}")
    part.write_text(decision.model_dump_json(indent=1))
    part.rename(file)
