"""Light machines: a root of their own and sshd on an address of their own, in namespaces, without systemd. Up in 0.1 s.

The root is an overlay: the base image, which all share, and a layer that holds what the machine changed. A disk and a
snapshot are such a layer and a link to its base image, so they are copied in no time.
Commands run for real. ``systemctl``, ``journalctl`` and ``cloud-init`` are small programs (light/commands.sh): unit files
are really enabled and masked, but no unit runs.
"""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from sandbox.machines import Boot, Progress
from sandbox.machines.base_images import BASE_IMAGES, BaseImages
from sandbox.machines.disks import used_bytes
from sandbox.machines.first_boot import archive, first_boot
from sandbox.machines.hosted import HostedMachines, Machine, runner_command, write_files
from sandbox.process import DIES_WITH_US
from sandbox.settings import Home, Settings

SCRIPTS = Path(__file__).parent / "light"
NAMESPACES = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL")

STAND_IN = "debian-13"


class LightMachines(HostedMachines):
    """A disk is a layer over a base image."""

    supervisor = "unshare"
    power_button = signal.SIGTERM
    reboot_signal = signal.SIGUSR1

    def __init__(self, home: Home, settings: Settings, base_images: BaseImages) -> None:
        super().__init__(home, settings, base_images)
        self.disks.quiet = 0.0  # layers are small: deleting them slows nothing down
        self.sizes: dict[Path, asyncio.Future[int]] = {}  # of base images

    def can_boot(self, architecture: str) -> bool:  # noqa: ARG002
        """Any. Gap: those of another architecture run the host's programs."""
        return True

    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:  # noqa: ARG002
        """A layer is small: some space must be left."""
        await self.disks.require(0)

    async def install(self, machine: int, base_image: str, progress: Progress) -> None:
        """An empty layer over the base image. Gap: other systems than Debian are Debian under another name."""
        known = base_image in BASE_IMAGES
        base = await self.base_images.ready(base_image if known else STAND_IN, progress)
        disk = self.machine(machine).disk
        self.disks.drop(disk)
        (disk / "upper").mkdir(parents=True)
        (disk / "upper").chmod(0o755)  # it is the machine's /
        (disk / "base").symlink_to(base)
        if not known:
            release = disk / "upper" / "usr" / "lib" / "os-release"
            release.parent.mkdir(parents=True)
            release.write_text(os_release(base_image))

    async def restore(self, machine: int, snapshot: int) -> None:
        """The layer of a snapshot."""
        await self.replace_disk(machine, self.snapshot(snapshot))

    async def capture(self, machine: int, snapshot: int) -> int:
        """Copy of the layer as it is now; the size is that of a whole disk."""
        await self.disks.copy(self.machine(machine).disk, self.snapshot(snapshot))
        base = (self.snapshot(snapshot) / "base").resolve()
        return await used_bytes(self.snapshot(snapshot)) + await self.size_of(base)

    async def size_of(self, base: Path) -> int:
        """Of a base image, which never changes: measured once."""
        if base not in self.sizes:
            self.sizes[base] = asyncio.ensure_future(used_bytes(base))
        return await asyncio.shield(self.sizes[base])

    def write_boot_files(self, machine: Machine, boot: Boot) -> None:
        """What light/init.sh does instead of cloud-init."""
        plan = first_boot(boot)
        options = f"-o ListenAddress={boot.address}:{self.settings.ssh_port} -o PidFile=none"
        options += " -o PermitRootLogin=yes -o PasswordAuthentication=yes" if boot.root_password else ""
        files = {"instance": f"{boot.machine}\n", "host-name": f"{boot.name}\n", "sshd.options": f"{options}\n"}
        scripts = {name: (SCRIPTS / name).read_text() for name in ("init.sh", "commands.sh", "fstab")}
        write_files(machine.run, {**files, **scripts, "early": plan.early, "late": plan.late})
        for program in ("commands.sh", "early", "late"):
            (machine.run / program).chmod(0o755)
        (machine.run / "first-boot.tar").write_bytes(archive(plan.files))

    def command(self, machine: Machine, boot: Boot) -> list[str]:
        """The runner, the namespaces, the root."""
        root = ["sh", str(SCRIPTS / "root.sh"), str(machine.directory), boot.name.partition(".")[0]]
        namespaces = [*DIES_WITH_US, *NAMESPACES]  # should its runner be killed, so is the machine
        return [*runner_command(machine, boot, []), *namespaces, *root, "yes" if boot.disk_full else "no"]


def os_release(name: str) -> str:
    """What a system says of itself, by the name of its image: ``ubuntu-24.04``."""
    flavor, _, version = name.partition("-")
    return (
        f'ID={flavor}\nVERSION_ID="{version}"\nNAME="{flavor}"\nPRETTY_NAME="{name} (light machine of the sandbox)"\n'
    )
