"""Rescue system, console and root password of servers.

Gap: only a machine that answers from rules lets in the keys of the rescue system; any other boots from its disk as usual. No
console listens at the address that is answered.
"""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta

from sandbox.errors import CloudError
from sandbox.resources.actions.models import Action, Report
from sandbox.resources.servers.models import Rescue, Server, Servers

RESCUE_TIME = timedelta(minutes=60)  # after which an unused rescue system is disabled again
CONSOLE = "wss://console.sandbox.invalid/?server_id={server}&token={token}"


class Access:
    """What a project's owner does who cannot log in."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers

    def enable_rescue(self, server: Server, public_keys: tuple[str, ...]) -> tuple[Action, str]:
        """The next boot is one of the rescue system, within RESCUE_TIME; the action and root's password there."""
        self.servers.require_unlocked(server)
        password = new_password()
        until = datetime.now(UTC) + RESCUE_TIME
        self.set_rescue(server, Rescue(until=until, public_keys=list(public_keys), root_password=password))
        return self.done("enable_rescue", server), password

    def disable_rescue(self, server: Server) -> Action:
        """The next boot is one from the disk; no error when it is anyway."""
        self.servers.require_unlocked(server)
        self.set_rescue(server, None)
        return self.done("disable_rescue", server)

    def set_rescue(self, server: Server, rescue: Rescue | None) -> None:
        """Kept at once."""
        server.rescue = rescue
        self.servers.records.save(server)

    def request_console(self, server: Server) -> tuple[Action, str, str]:
        """The action, an address and a password."""
        self.servers.require_unlocked(server)
        address = CONSOLE.format(server=server.id, token=secrets.token_hex(16))
        return self.done("request_console", server), address, new_password()

    def reset_password(self, server: Server) -> tuple[Action, str]:
        """The action and root's new password. Raises service_error unless the server runs."""
        self.servers.require_unlocked(server)
        if server.status != "running":
            raise CloudError("service_error", "server must be running to reset its root password")
        password = new_password()

        async def work(_report: Report) -> None:
            await self.servers.machines.set_password(server.id, password)
            server.root_password = password
            self.servers.records.save(server)

        return self.servers.actions.run("reset_password", work, ("server", server.id)), password

    def done(self, command: str, server: Server) -> Action:
        """An action that needed no time."""
        return self.servers.actions.done(command, ("server", server.id))


def new_password() -> str:
    """Twenty characters."""
    return secrets.token_urlsafe(15)
