"""What all projects of a sandbox have in common: the state file, the machines, and what the control plane sets."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sandbox.journal import Journal
from sandbox.machines import Machines
from sandbox.machines.base_images import BaseImages
from sandbox.machines.hosted import HostedMachines
from sandbox.machines.instant import InstantMachines
from sandbox.machines.light import LightMachines
from sandbox.machines.mixed import MixedMachines
from sandbox.machines.nspawn import NspawnMachines
from sandbox.machines.vm import VmMachines
from sandbox.resources.answers import Answers
from sandbox.resources.conditions import ConditionsStore
from sandbox.resources.faults.models import Faults
from sandbox.resources.labels import matches
from sandbox.settings import Home, MachineKind, Settings, cache_root
from sandbox.store import Store

HOSTED: dict[MachineKind, type[HostedMachines]] = {
    MachineKind.vm: VmMachines,
    MachineKind.real: NspawnMachines,
    MachineKind.light: LightMachines,
}


class Shared:
    """Ids of servers and images are unique among all projects, so machines need not know of projects."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.settings = settings
        self.speed = settings.speed
        self.store = Store(home.state)
        self.base_images = BaseImages(cache_root() / "base-images")
        self.answers = Answers(self.store)
        self.labels_of: Callable[[int], Mapping[str, str] | None] = lambda _server: None
        self.changed: Callable[[], None] = lambda: None  # what firewalls are applied to, or the machines
        self.connected: Callable[[], None] = lambda: None  # what is in private networks
        self.taken: Callable[[], set[int]] = set  # numbers of addresses
        self.taken_floating: Callable[[], set[str]] = set  # addresses
        self.machines = self.make_machines(home)
        self.journal = Journal(self.store)
        self.conditions = ConditionsStore(self.store, settings.conditions)
        self.faults = Faults(self.store)

    def make_machines(self, home: Home) -> Machines:
        """As settings say."""
        if self.settings.machines == MachineKind.none:
            return InstantMachines()
        if self.settings.machines == MachineKind.instant:
            from sandbox.machines.scripted import ScriptedMachines  # noqa: PLC0415 - slow to load

            return ScriptedMachines(self.settings.ssh_port, self.answers.to)
        return self.hosted_machines(home)

    def hosted_machines(self, home: Home) -> Machines:
        """Processes of this host: all of one kind, or some with a kernel of their own beside the others."""
        first, settings = HOSTED[self.settings.machines](home, self.settings, self.base_images), self.settings
        if isinstance(first, VmMachines) or settings.kinds == {settings.machines}:
            return first
        vms = VmMachines(home, settings, self.base_images)
        of_snapshots = settings.from_snapshot == MachineKind.vm
        return MixedMachines(first, vms, self.wants_kernel, from_snapshot=of_snapshots)

    def wants_kernel(self, server_id: int) -> bool:
        """Whether a server is one of those that get a kernel of their own by their labels."""
        labels = self.labels_of(server_id)
        return bool(labels is not None and self.settings.vm_for and matches(self.settings.vm_for, labels))

    def reset(self) -> None:
        """What the control plane set, and the record of requests."""
        self.faults.clear()
        self.answers.clear()
        self.conditions.reset()
        self.journal.clear()
