"""Machines that only pretend: power is a flag, disks do not exist. For fast tests of API clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sandbox.machines import Boot, Facts, Place, PrivateNet, Progress
from sandbox.machines.network import Filter
from sandbox.machines.volumes import WithoutVolumes

SNAPSHOT_BYTES = 700_000_000


class InstantMachines(WithoutVolumes):
    """Everything succeeds at once. After a restart of the sandbox, what ran before runs again."""

    def __init__(self) -> None:
        self.on: set[int] = set()
        self.ended: Callable[[int], None] = lambda _machine: None

    def can_boot(self, architecture: str) -> bool:  # noqa: ARG002
        """Any architecture."""
        return True

    def address_free(self, address: str) -> bool:  # noqa: ARG002
        """Nothing listens."""
        return True

    async def check_room(self, *, base_image: str = "", snapshot: int = 0, machine: int = 0) -> None:
        """Always room."""

    async def prepare(self, base_image: str, progress: Progress) -> None:
        """Nothing to do."""

    async def install(self, machine: int, base_image: str, architecture: str, progress: Progress) -> None:
        """Nothing to do."""

    async def restore(self, machine: int, snapshot: int) -> None:
        """Nothing to do."""

    async def capture(self, machine: int, snapshot: int) -> int:  # noqa: ARG002
        """A plausible size."""
        return SNAPSHOT_BYTES

    async def power_on(self, boot: Boot) -> None:
        """Set the flag."""
        self.on.add(boot.machine)

    def shut_down(self, machine: int) -> None:
        """The machine powers itself off at once."""
        self.on.discard(machine)
        self.ended(machine)

    def reboot(self, machine: int) -> None:
        """Nothing to do."""

    async def power_off(self, machine: int) -> None:
        """Clear the flag."""
        self.on.discard(machine)

    async def set_password(self, machine: int, password: str) -> None:
        """Nothing to do."""

    def hang_up(self, machine: int) -> None:
        """Nothing to do."""

    def running(self, machine: int) -> bool:
        """The flag."""
        return machine in self.on

    def ended_by_itself(self, machine: int) -> bool:  # noqa: ARG002
        """Never while the sandbox is down."""
        return False

    def delete_disk(self, machine: int) -> None:
        """Nothing to do."""

    def delete_snapshot(self, snapshot: int) -> None:
        """Nothing to do."""

    def forget_others(self, machines: set[int], snapshots: set[int]) -> None:
        """Nothing to do."""

    def facts(self, machine: int) -> Facts:  # noqa: ARG002
        """Nothing to tell."""
        return Facts(None, None, None)

    def reached_at(self, machine: int, address: str) -> Place:  # noqa: ARG002
        """On the host, where nothing of it listens."""
        return Place(address)

    def reached_in(self, network: int, machine: int, ip: str) -> Place | None:  # noqa: ARG002
        """There are no private networks."""
        return None

    def inner_places(self, address: str, network: int, ip: str) -> tuple[Place, ...]:  # noqa: ARG002
        """None but on the host."""
        return ()

    def connect(self, nets: Sequence[PrivateNet]) -> None:
        """Nothing to do."""

    def filter(self, filters: Mapping[int, Filter]) -> None:
        """Nothing to filter."""

    async def close(self) -> None:
        """Nothing to do."""
