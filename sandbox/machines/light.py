"""Light machines: a root of their own and sshd on an address of their own, in namespaces, without systemd. Up in 0.1 s.

Commands run for real. ``systemctl``, ``journalctl`` and ``cloud-init`` are small programs (light/commands.sh): unit files
are really enabled and masked, but no unit runs.
"""

from __future__ import annotations

import signal
from collections.abc import Mapping
from pathlib import Path

from sandbox.machines import Boot, Progress
from sandbox.machines.base_images import BASE_IMAGES
from sandbox.machines.first_boot import archive, first_boot
from sandbox.machines.hosted import HostedMachines, Machine, runner_command, with_disk, write_files
from sandbox.machines.network import Filter
from sandbox.process import DIES_WITH_US

SCRIPTS = Path(__file__).parent / "light"
NAMESPACES = ("unshare", "--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child=KILL")

STAND_IN = "debian-13"


class LightMachines(HostedMachines):
    """Machines of unshare."""

    programs = ("unshare",)
    power_button = signal.SIGTERM
    reboot_signal = signal.SIGUSR1

    def can_boot(self, architecture: str) -> bool:  # noqa: ARG002
        """Any. Gap: those of another architecture run the host's programs."""
        return True

    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:  # noqa: ARG002
        """They change little: some space must be left."""
        await self.disks.require(0)

    async def install(self, machine: int, base_image: str, architecture: str, progress: Progress) -> None:  # noqa: ARG002
        """Nothing but the base image. Gap: other systems than Debian are Debian under another name."""
        known = base_image in BASE_IMAGES
        self.new_disk(machine, await self.base_images.ready(base_image if known else STAND_IN, progress))
        if not known:
            upper = self.machine(machine).disk / "upper"
            upper.mkdir(mode=0o755)
            release = upper / "usr" / "lib" / "os-release"
            release.parent.mkdir(parents=True)
            release.write_text(os_release(base_image))

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

    def filter(self, filters: Mapping[int, Filter]) -> None:
        """Gap: they share the host's network and take everything."""

    def command(self, machine: Machine, boot: Boot) -> list[str]:
        """The runner, the namespaces, the root."""
        disk = with_disk(machine, boot)
        root = ["sh", str(SCRIPTS / "root.sh"), str(machine.directory), boot.name.partition(".")[0], disk[-1]]
        namespaces = [*DIES_WITH_US, *NAMESPACES]  # should its runner be killed, so is the machine
        return [*runner_command(machine, boot, []), *namespaces, *disk, *root]


def os_release(name: str) -> str:
    """What a system says of itself, by the name of its image: ``ubuntu-24.04``."""
    flavor, _, version = name.partition("-")
    return (
        f'ID={flavor}\nVERSION_ID="{version}"\nNAME="{flavor}"\nPRETTY_NAME="{name} (light machine of the sandbox)"\n'
    )
