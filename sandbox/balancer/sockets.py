"""Sockets in this network namespace or in another one."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from sandbox.machines import Place

CLONE_NEWNET = 0x40000000
BACKLOG = 128
libc = ctypes.CDLL(None, use_errno=True)


def in_namespace(namespace: Path | None, make: Callable[[], socket.socket]) -> socket.socket:
    """What ``make`` makes, there. A socket stays in the namespace of the thread that made it. Raises OSError."""
    if namespace is None:
        return make()

    def enter_and_make() -> socket.socket:
        handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
        try:
            if libc.setns(handle, CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), f"cannot enter {namespace}")
        finally:
            os.close(handle)
        return make()

    with ThreadPoolExecutor(1) as thread:  # one of its own: it does not come back from there
        return thread.submit(enter_and_make).result()


def tcp() -> socket.socket:
    """For asyncio."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_CLOEXEC, socket.IPPROTO_TCP)
    made.setblocking(False)
    return made


def listener(place: Place, port: int) -> socket.socket:
    """Raises OSError."""

    def make() -> socket.socket:
        made = tcp()
        try:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            made.bind((place.address, port))
            made.listen(BACKLOG)
        except OSError:
            made.close()
            raise
        return made

    return in_namespace(place.namespace, make)


async def connect(place: Place, port: int, seconds: float) -> socket.socket:
    """Raises OSError, TimeoutError."""
    made = in_namespace(place.namespace, tcp)
    try:
        async with asyncio.timeout(seconds):
            await asyncio.get_running_loop().sock_connect(made, (place.address, port))
    except BaseException:
        made.close()
        raise
    return made
