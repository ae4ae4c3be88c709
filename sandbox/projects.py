"""All projects of a sandbox: which token opens which, and what has to be done for all of them together."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from sandbox.cloud import Cloud
from sandbox.errors import CloudError, not_found
from sandbox.machines.network import Filter
from sandbox.resources.tokens import TOKEN_LENGTH, Tokens, digest_of
from sandbox.settings import BOOTED, TOKEN, Home, Settings, Speed
from sandbox.shared import Shared

log = logging.getLogger(__name__)
SHUTDOWN_SECONDS = 8.0
LOOK_SECONDS = 1.0
"""How soon load balancers see what nobody told them of, as labels of servers."""


class Projects:
    """The projects are known by name; the first has none, and is there always."""

    def __init__(self, home: Home, settings: Settings) -> None:
        self.shared = shared = Shared(home, settings)
        self.tokens = Tokens(shared.store)
        names = shared.store.projects() | {token.project for token in self.tokens.valid}
        self.all = {name: Cloud(shared, name) for name in sorted({"", *names})}
        shared.labels_of, shared.changed, shared.taken = self.labels_of, self.filter, self.taken
        shared.connected, shared.taken_floating = self.connect, self.taken_floating
        shared.machines.ended = self.machine_ended
        self.watching: asyncio.Task[None] | None = None

    @property
    def first(self) -> Cloud:
        """The one that `env` leads to."""
        return self.all[""]

    def get(self, name: str) -> Cloud:
        """Raises not_found."""
        if cloud := self.all.get(name):
            return cloud
        raise not_found("project", name)

    def opened_by(self, token: str) -> tuple[Cloud, bool]:
        """The project of a token, and whether it may only be read. Raises unauthorized for what is no token."""
        if len(token) != TOKEN_LENGTH:
            raise unauthorized(f"a token has {TOKEN_LENGTH} characters")
        if token == TOKEN:
            return self.first, False
        known = self.tokens.find(token)
        if known is None and not self.shared.settings.known_tokens:
            return self.made(f"token-{digest_of(token)[:12]}"), False
        if known is None or known.revoked:
            raise unauthorized("no such token")
        return self.made(known.project), known.read_only

    def made(self, name: str) -> Cloud:
        """That project; there is one for every name."""
        if name not in self.all:
            self.all[name] = Cloud(self.shared, name)
            self.all[name].actions.speed = self.shared.speed
        return self.all[name]

    # Across projects

    def labels_of(self, server_id: int) -> Mapping[str, str] | None:
        """Of a server, whosever it is."""
        found = (cloud.servers.records.get(server_id) for cloud in self.all.values())
        return next((server.labels for server in found if server), None)

    def taken(self) -> set[int]:
        """Numbers of the addresses that are somebody's."""
        return {number for cloud in self.all.values() for number in cloud.numbers}

    def taken_floating(self) -> set[str]:
        """Floating IPs that are somebody's."""
        return {ip for cloud in self.all.values() for ip in cloud.floating_ips.addresses()}

    def connect(self) -> None:
        """Have machines in the private networks of their projects."""
        self.shared.machines.connect([net for cloud in self.all.values() for net in cloud.connections.nets()])

    async def watch(self) -> None:
        """Have load balancers look again and again."""
        while True:
            for cloud in list(self.all.values()):
                try:
                    cloud.connections.balance()
                except Exception:
                    log.exception("load balancers")
            await asyncio.sleep(LOOK_SECONDS)

    def machine_ended(self, machine: int) -> None:
        """Whosever it was."""
        for cloud in self.all.values():
            cloud.servers.machine_ended(machine)

    def filter(self) -> None:
        """Have the machines' network do what the firewalls say, where there is one that filters."""
        if self.shared.settings.kinds.isdisjoint(BOOTED):
            return
        filters: dict[int, Filter] = {}
        for cloud in self.all.values():
            filters |= cloud.filters()
        self.shared.machines.filter(filters)

    def set_speed(self, speed: Speed) -> None:
        """Of actions that start from now on and those that run."""
        self.shared.speed = speed
        for cloud in self.all.values():
            cloud.actions.speed = speed

    # From start to end

    async def open(self) -> None:
        """Take up what an earlier process left."""
        clouds = list(self.all.values())
        for cloud in clouds:
            cloud.actions.interrupt()
            cloud.servers.drop_half_made_images()
        servers = {server.id for cloud in clouds for server in cloud.servers.records}
        images = {image.id for cloud in clouds for image in cloud.images.snapshots}
        self.shared.machines.forget_others(servers, images)
        self.shared.machines.forget_other_volumes({volume.id for cloud in clouds for volume in cloud.volumes.all})
        for cloud in clouds:
            await cloud.open()
        self.watching = asyncio.create_task(self.watch())

    async def wipe(self, name: str | None = None) -> None:
        """Empty a project, at once; without a name all of them, and whatever the control plane set. Tokens stay."""
        if name is not None:
            await self.get(name).wipe()
            return
        for cloud in self.all.values():
            await cloud.actions.close()
        self.shared.reset()
        for cloud in self.all.values():
            await cloud.wipe()
        self.shared.reset()

    async def close(self, grace: float = SHUTDOWN_SECONDS) -> None:
        """Stop everything, so that ``open`` can take it up again; machines have ``grace`` seconds to shut down."""
        self.shared.machines.ended = lambda _machine: None  # the records keep who ran
        if self.watching:
            self.watching.cancel()
        await asyncio.gather(*(cloud.close(grace) for cloud in self.all.values()))
        await self.shared.machines.close()
        self.shared.store.close()


def unauthorized(why: str) -> CloudError:
    """401."""
    return CloudError("unauthorized", f"unable to authenticate: {why}")
