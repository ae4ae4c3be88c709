"""Backups: images bound to a server, in seven slots. Gap: none is made by itself; ``create_image`` makes them."""

from __future__ import annotations

from sandbox.errors import invalid_input
from sandbox.resources.actions.models import Action
from sandbox.resources.images.models import Image, Images
from sandbox.resources.servers.models import Server, Servers

SLOTS = 7
WINDOW = "22-02"  # UTC


class Backups:
    """The backups of all servers."""

    def __init__(self, servers: Servers) -> None:
        self.servers = servers

    @property
    def images(self) -> Images:
        """Among which they are."""
        return self.servers.images

    def of(self, server: Server) -> list[Image]:
        """Those of a server, the oldest first."""
        return [image for image in self.images.snapshots if image.bound_to == server.id]

    def enable(self, server: Server) -> Action:
        """No error when they are enabled already."""
        return self.set_window(server, "enable_backup", WINDOW)

    def disable(self, server: Server) -> Action:
        """All of them go."""
        action = self.set_window(server, "disable_backup", None)
        self.drop(server)
        return action

    def set_window(self, server: Server, command: str, window: str | None) -> Action:
        """Kept at once."""
        self.servers.require_unlocked(server)
        server.backup_window = window
        self.servers.records.save(server)
        return self.servers.actions.done(command, ("server", server.id))

    def create(self, server: Server, description: str | None, labels: dict[str, str]) -> tuple[Action, Image]:
        """One more; with every slot taken the oldest goes. Raises invalid_input unless they are enabled."""
        if server.backup_window is None:
            raise invalid_input(("type", "backups are not enabled for this server"))
        action, image = self.servers.create_image(server, description, labels, backup=True)
        for oldest in self.of(server)[:-SLOTS]:
            self.servers.forget_image(oldest)
        return action, image

    def drop(self, server: Server) -> None:
        """The server goes, or its backups were disabled."""
        for image in self.of(server):
            self.servers.forget_image(image)
