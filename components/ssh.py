"""A server's SSH: whether it answers, and commands on it, by its own key and its pinned host key."""

import asyncio
import socket
import time
from collections.abc import Callable, Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from adapters.hetzner.errors import CloudError
from adapters.hetzner.waiting import Rarely, often, polls

if TYPE_CHECKING:
    import asyncssh

T = TypeVar("T")

CONNECT_SECONDS = KEEPALIVE_SECONDS = 15
CHUNK_BYTES = 1 << 20
TRIES, SECONDS_BETWEEN = 3, 1.0

Receive = Callable[[bytes], object]
"""Takes a piece of what a command writes to its standard output."""


@dataclass(frozen=True)
class Result:
    """How a command ended: its exit status, none where the connection was lost or never made, and its standard error."""

    status: int | None
    errors: str


def run(  # noqa: PLR0913 - where, what, and for how long
    host: str, port: int, keys: Mapping[str, str], command: str, given: str, receive: Receive, seconds: float
) -> Result:
    """Run a command as root, with `given` on its standard input. Raises TimeoutError where it takes longer.

    `keys`: `login_private_key` and `host_public_key`, both as OpenSSH writes them.
    """
    return _wait(asyncio.wait_for(_run(_connection(host, port, keys), command, given, receive), seconds))


def lets_in(host: str, port: int, keys: Mapping[str, str]) -> bool:
    """Whether a server takes our key. Only a refusal is a no: what does not answer may be rebooting, or out of our reach.

    It is asked again, as sshd may greet before root's key is in place.
    """
    for _ in range(TRIES):
        if not _wait(_is_refused(_connection(host, port, keys))):
            return True
        time.sleep(SECONDS_BETWEEN)
    return False


def wait_for_ssh(host: str, port: int, seconds: float, still_there: Callable[[], bool] = lambda: True) -> None:
    """Wait until an SSH server greets on the port; raises CloudError if none does, or its server has been deleted meanwhile."""
    if greets(host, port):
        return
    rarely = Rarely()
    for waited in polls(seconds, often):
        if greets(host, port):
            return
        if rarely.is_due(waited) and not still_there():
            raise CloudError(f"the server at {host} was deleted while it booted: its run has ended")
    raise CloudError(
        f"no SSH server on {host}:{port} within {seconds:.0f} s (node-images:timeouts.boot): the server did not boot,\n"
        f"    or port {port} is not its sshd's (node-images:sshPort), or you come from elsewhere than node-images:sshFrom says.\n"
        "    Look at the server's console; with onFailure: keep it stays for that"
    )


def greets(host: str, port: int, seconds: float = 5) -> bool:
    """Whether an SSH server answers there. A port that is forwarded may take a connection and end it at once."""
    try:
        with socket.create_connection((host, port), timeout=seconds) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


Connecting = Coroutine[Any, Any, "asyncssh.SSHClientConnection"]


def _wait(work: Coroutine[Any, Any, T]) -> T:
    """In a thread of its own, as the one that waits may be the engine's, which has an event loop already."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


async def _connection(host: str, port: int, keys: Mapping[str, str]) -> "asyncssh.SSHClientConnection":
    # Imported when it is needed: it takes a third of a second, and most previews reach no server.
    import asyncssh  # noqa: PLC0415

    return await asyncssh.connect(
        host,
        port,
        username="root",
        client_keys=[asyncssh.import_private_key(keys["login_private_key"])],
        known_hosts=([asyncssh.import_public_key(keys["host_public_key"])], [], []),
        # No setting and no key of the user's counts.
        config=None,
        agent_path=None,
        preferred_auth="publickey",
        connect_timeout=CONNECT_SECONDS,
        login_timeout=CONNECT_SECONDS,
        keepalive_interval=KEEPALIVE_SECONDS,
    )


async def _run(connecting: Connecting, command: str, given: str, receive: Receive) -> Result:
    import asyncssh  # noqa: PLC0415

    status, said = None, list[bytes]()
    # A connection that ends is in the answer; what `receive` raises is for its caller.
    with suppress(asyncssh.Error, ConnectionError, TimeoutError):
        async with await connecting as connection, connection.create_process(command, encoding=None) as process:
            process.stdin.write(given.encode())
            process.stdin.write_eof()
            await asyncio.gather(_collect(process.stderr, said.append), _collect(process.stdout, receive))
            await process.wait_closed()
            status = process.exit_status
    return Result(status, b"".join(said).decode(errors="replace"))


async def _collect(stream: "asyncssh.SSHReader[bytes]", take: Receive) -> None:
    while piece := await stream.read(CHUNK_BYTES):
        take(piece)


async def _is_refused(connecting: Connecting) -> bool:
    """Where the host's key is gone as well, sshd hangs up at once: OpenSSH before 9.8 does."""
    import asyncssh  # noqa: PLC0415

    try:
        (await connecting).close()
    except (asyncssh.PermissionDenied, asyncssh.ConnectionLost, ConnectionResetError):
        return True
    except (asyncssh.Error, OSError):
        pass
    return False
