"""A server's SSH: which keys count, and what its answers mean; and the wait for it."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from adapters.hetzner.errors import CloudError
from components import ssh
from components.identity import new_identity
from components.ssh import Result, lets_in, run, wait_for_ssh
from tests.components.ssh_server import SshServer, ssh_server


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with ssh_server() as started:
        yield started


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssh, "SECONDS_BETWEEN", 0)
    monkeypatch.setattr(ssh, "CONNECT_SECONDS", 2)


@contextmanager
def listening(greet: Callable[[socket.socket], object]) -> Iterator[int]:
    """A port that takes connections and does something with each."""
    with socket.create_server(("127.0.0.1", 0)) as taker:

        def take() -> None:
            while True:
                try:
                    connection, _ = taker.accept()
                except OSError:
                    return
                greet(connection)

        threading.Thread(target=take, daemon=True).start()
        yield taker.getsockname()[1]
        taker.shutdown(socket.SHUT_RDWR)


def reset(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def test_a_command_is_given_its_input_and_its_two_outputs_are_kept_apart(server: SshServer) -> None:
    printed = bytearray()
    result = run("127.0.0.1", server.port, server.keys, "cat; echo no >&2; exit 3", "text", printed.extend, 60)
    assert (result, bytes(printed)) == (Result(3, "no\n"), b"text")


def test_a_command_that_takes_too_long_is_left(server: SshServer) -> None:
    with pytest.raises(TimeoutError):
        run("127.0.0.1", server.port, server.keys, "exec sleep 60", "", bytes, 0.5)


def test_what_cannot_take_the_output_is_an_error_of_its_own(server: SshServer) -> None:
    def full(_piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        run("127.0.0.1", server.port, server.keys, "echo much", "", full, 60)


def test_no_server_but_the_one_with_the_pinned_host_key_is_told_anything(server: SshServer) -> None:
    others = {**server.keys, "host_public_key": new_identity()["host_public_key"]}
    assert run("127.0.0.1", server.port, others, "true", "", bytes, 60).status is None
    assert lets_in("127.0.0.1", server.port, others), "which is no refusal of our key"


def test_only_a_refusal_means_that_a_server_lets_us_in_no_more(server: SshServer) -> None:
    stranger = {**new_identity(), "host_public_key": server.keys["host_public_key"]}
    assert lets_in("127.0.0.1", server.port, server.keys)
    assert not lets_in("127.0.0.1", server.port, stranger), "permission denied"
    assert lets_in("127.0.0.1", 1, server.keys), "nothing listens"


@pytest.mark.parametrize(
    ("greet", "is_let_in"), [(socket.socket.close, False), (reset, False), (lambda _: time.sleep(3), True)]
)
def test_a_server_that_hangs_up_has_lost_its_keys_and_a_silent_one_may_boot(
    greet: Callable[[socket.socket], object], is_let_in: bool
) -> None:
    with listening(greet) as port:
        assert lets_in("127.0.0.1", port, new_identity()) is is_let_in


def test_no_ssh_server_is_told_in_words() -> None:
    with pytest.raises(CloudError, match=r"no SSH server on 127\.0\.0\.1:1"):
        wait_for_ssh("127.0.0.1", 1, seconds=0.1)


def test_nobody_waits_for_a_server_that_was_deleted() -> None:
    with pytest.raises(CloudError, match="was deleted while it booted"):
        wait_for_ssh("127.0.0.1", 1, seconds=60, still_there=lambda: False)
