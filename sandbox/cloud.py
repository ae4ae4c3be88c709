"""The emulated cloud: state, actions and machines put together. Knows no HTTP."""

from __future__ import annotations

from sandbox.machines import Machines
from sandbox.machines.base_images import BaseImages
from sandbox.machines.instant import InstantMachines
from sandbox.machines.nspawn import NspawnMachines
from sandbox.resources.actions.models import Actions
from sandbox.resources.faults import Faults
from sandbox.resources.firewalls.models import Firewalls
from sandbox.resources.images.models import Images
from sandbox.resources.servers.models import Servers
from sandbox.resources.ssh_keys.models import SshKeys
from sandbox.settings import Home, MachineKind, Settings, cache_root
from sandbox.store import Store

SHUTDOWN_SECONDS = 8.0


class Cloud:
    """One project of the emulated cloud."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.settings = settings
        self.store = Store(home.state)
        self.base_images = BaseImages(cache_root() / "base-images")
        self.machines = self.make_machines(home)
        self.faults = Faults()
        self.actions = Actions(self.store, settings.speed)
        self.actions.disturb = self.faults.before_action
        self.ssh_keys = SshKeys(self.store)
        self.images = Images(self.store)
        self.firewalls = Firewalls(self.store)
        self.servers = Servers(self.store, settings, self.machines, self.actions, self.images, self.firewalls)

    def make_machines(self, home: Home) -> Machines:
        """Real ones or none, as settings say."""
        if self.settings.machines == MachineKind.none:
            return InstantMachines()
        return NspawnMachines(home, self.settings, self.base_images)

    async def open(self) -> None:
        """Take up what an earlier process left."""
        self.actions.interrupt()
        await self.servers.recover()

    async def close(self, grace: float = SHUTDOWN_SECONDS) -> None:
        """Stop everything, so that ``open`` can take it up again; machines have ``grace`` seconds to shut down."""
        await self.actions.close()
        self.machines.ended = lambda _machine: None  # the records keep who ran
        await self.servers.stop_all(grace)
        await self.machines.close()
        self.store.close()
