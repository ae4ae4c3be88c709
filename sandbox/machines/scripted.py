"""Instant machines with SSH: a small SSH server for each, in the daemon, that answers from a script instead of running anything.

It has the host key of the user data, or one that all share, and lets in root with the keys given, or with the password.
Gap: commands only, no files (scp, sftp), no forwarding; what a command would change is not there afterwards.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import asyncssh

from sandbox.machines import Boot, host
from sandbox.machines.answer import Answer
from sandbox.machines.first_boot import config_of, host_keys, texts
from sandbox.machines.instant import InstantMachines

DISK_FULL = Answer(status=1, stderr="write error: No space left on device\n")
Ask = Callable[[str, str, str], Answer]  # server, command, input


@dataclass
class Listener:
    """The SSH server of one machine."""

    boot: Boot
    task: asyncio.Task[None] | None = None
    acceptor: asyncssh.SSHAcceptor | None = None
    connections: set[asyncssh.SSHServerConnection] = field(default_factory=set)

    def close(self) -> None:
        """At once, as when the power is cut."""
        if self.task:
            self.task.cancel()
        if self.acceptor:
            self.acceptor.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Those who are connected only."""
        for connection in list(self.connections):
            connection.abort()


class Login(asyncssh.SSHServer):
    """Who may log in to a machine."""

    def __init__(self, listener: Listener) -> None:
        self.listener = listener

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember it, for when the power is cut."""
        self.connection = conn
        self.listener.connections.add(conn)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Forget it."""
        self.listener.connections.discard(self.connection)

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002
        """Always."""
        return True

    def password_auth_supported(self) -> bool:
        """Where no key was given."""
        return self.listener.boot.of_rescue().root_password is not None

    def validate_password(self, username: str, password: str) -> bool:
        """Root's."""
        return username == "root" and password == self.listener.boot.of_rescue().root_password


class ScriptedMachines(InstantMachines):
    """Instant machines on whose addresses an SSH server listens."""

    def __init__(self, ssh_port: int, ask: Ask) -> None:
        super().__init__()
        self.ssh_port = ssh_port
        self.ask = ask
        self.listeners: dict[int, Listener] = {}
        self.shared_key = asyncssh.generate_private_key("ssh-ed25519")

    def address_free(self, address: str) -> bool:
        """Whether the port can be had there."""
        return host.can_listen(address, self.ssh_port)

    async def power_on(self, boot: Boot) -> None:
        """Listen, now or after a while or never."""
        await super().power_on(boot)
        listener = self.listeners[boot.machine] = Listener(boot)
        if not boot.delay:
            await self.listen(listener)
        elif math.isfinite(boot.delay):
            listener.task = asyncio.create_task(self.listen(listener))

    async def listen(self, listener: Listener) -> None:
        """Have an SSH server answer."""
        boot = listener.boot
        await asyncio.sleep(boot.delay)
        config, _problems = config_of(boot.of_rescue().user_data)
        own = [file.content.decode() for file in host_keys(config.get("ssh_keys")) if not file.path.endswith(".pub")]

        async def answer(process: asyncssh.SSHServerProcess[str]) -> None:
            await self.answer(boot, process)

        listener.acceptor = await asyncssh.listen(
            boot.address,
            self.ssh_port,
            server_factory=lambda: Login(listener),
            server_host_keys=[asyncssh.import_private_key(key) for key in own] or [self.shared_key],
            authorized_client_keys=keys_of(boot),
            process_factory=answer,
            reuse_address=True,
        )

    async def answer(self, boot: Boot, process: asyncssh.SSHServerProcess[str]) -> None:
        """Take the whole input, as a shell would, and answer."""
        given = await process.stdin.read()
        answer = DISK_FULL if boot.disk_full else self.ask(boot.name, process.command or "", given)
        await asyncio.sleep(answer.seconds)
        if answer.lost:
            process.get_extra_info("connection").abort()
            return
        process.stdout.write(answer.stdout)
        process.stderr.write(answer.stderr)
        process.exit(answer.status)

    def hang_up(self, machine: int) -> None:
        """Break its connections."""
        if listener := self.listeners.get(machine):
            listener.hang_up()

    def shut_down(self, machine: int) -> None:
        """At once; a machine that does not come up does not listen to it."""
        listener = self.listeners.get(machine)
        if listener and listener.acceptor:
            self.close_listener(machine)
            super().shut_down(machine)

    def reboot(self, machine: int) -> None:
        """Only a rescue system is another one after it: the disk's."""
        listener = self.listeners.get(machine)
        if listener and listener.acceptor and listener.boot.rescue:
            listener.boot = replace(listener.boot, rescue=None)
            listener.acceptor.update(authorized_client_keys=keys_of(listener.boot))
            listener.hang_up()

    async def set_password(self, machine: int, password: str) -> None:
        """Of those who log in from now on."""
        if listener := self.listeners.get(machine):
            listener.boot = replace(listener.boot, root_password=password)

    async def power_off(self, machine: int) -> None:
        """At once."""
        self.close_listener(machine)
        await super().power_off(machine)

    def close_listener(self, machine: int) -> None:
        """Nobody answers any more."""
        if listener := self.listeners.pop(machine, None):
            listener.close()

    async def close(self) -> None:
        """Stop listening."""
        for machine in list(self.listeners):
            self.close_listener(machine)


def keys_of(boot: Boot) -> asyncssh.SSHAuthorizedKeys:
    """Of those who may log in."""
    told = boot.of_rescue()
    config, _problems = config_of(told.user_data)
    allowed = [*told.public_keys, *texts(config.get("ssh_authorized_keys"))]
    return asyncssh.import_authorized_keys("".join(f"{key.strip()}\n" for key in allowed))
