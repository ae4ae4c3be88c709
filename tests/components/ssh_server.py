"""A real SSH server on 127.0.0.1 that runs commands in bash, and hangs up where one exits with the status LOST."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import asyncssh

from components.identity import new_identity
from components.ssh import Result, run

LOST = 255
SENT_WITHIN = 0.2
"""Seconds, before a lost connection, for what was written already."""


@dataclass(frozen=True)
class SshServer:
    """Its port, and the keys of a client that it lets in."""

    port: int
    keys: dict[str, str]

    @property
    def run(self) -> partial[Result]:
        return partial(run, "127.0.0.1", self.port, self.keys)


@contextmanager
def ssh_server(translate: Callable[[str], str] = str) -> Iterator[SshServer]:
    """Commands are run as `translate` has them."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    keys = new_identity()
    acceptor = asyncio.run_coroutine_threadsafe(_listen(keys, translate), loop).result()
    try:
        yield SshServer(acceptor.get_port(), keys)
    finally:
        asyncio.run_coroutine_threadsafe(_close(acceptor), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _listen(keys: dict[str, str], translate: Callable[[str], str]) -> asyncssh.SSHAcceptor:
    return await asyncssh.listen(
        "127.0.0.1",
        0,
        server_host_keys=[asyncssh.import_private_key(keys["host_private_key"])],
        authorized_client_keys=asyncssh.import_authorized_keys(keys["login_public_key"]),
        process_factory=lambda process: _answer(process, translate(process.command or "")),
        encoding=None,
    )


async def _close(acceptor: asyncssh.SSHAcceptor) -> None:
    acceptor.close()
    await acceptor.wait_closed()
    running = asyncio.all_tasks() - {asyncio.current_task()}
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


async def _answer(process: asyncssh.SSHServerProcess[bytes], command: str) -> None:
    pipe = asyncio.subprocess.PIPE
    bash = await asyncio.create_subprocess_exec("bash", "-c", command, stdin=pipe, stdout=pipe, stderr=pipe)
    try:
        printed, said = await bash.communicate(await process.stdin.read())
    finally:
        if bash.returncode is None:
            bash.kill()
            await bash.wait()
    process.stdout.write(printed)
    process.stderr.write(said)
    if bash.returncode == LOST:
        await asyncio.sleep(SENT_WITHIN)
        process.channel.get_connection().abort()
    else:
        process.exit(bash.returncode or 0)
