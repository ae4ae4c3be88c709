"""The program ssh: what it is told, and what its answers mean; and the wait for a server's SSH."""

import subprocess
from pathlib import Path

import pytest

from components import ssh
from components.ssh import lets_in, ssh_command, wait_for_ssh
from hetzner.errors import CloudError

KEYS = {"login_private_key": "private", "host_public_key": "ssh-ed25519 AAAA"}


def test_ssh_takes_the_pinned_host_key_and_no_other(tmp_path: Path) -> None:
    command = ssh_command("127.1.2.3", 2222, KEYS, tmp_path, "true")
    assert "StrictHostKeyChecking=yes" in command
    assert command[1:3] == ["-F", "/dev/null"], "nothing that the user configured counts"
    assert (tmp_path / "known_hosts").read_text() == "server ssh-ed25519 AAAA\n"
    assert (tmp_path / "key").stat().st_mode & 0o777 == 0o600
    settings = subprocess.run([command[0], "-G", *command[1:-1]], capture_output=True, text=True, check=True).stdout
    assert "hostkeyalias server\n" in settings, "ssh knows all of the options"


@pytest.mark.parametrize(
    ("said", "status", "is_let_in"),
    [
        ("", 0, True),
        ("root@127.1.2.3: Permission denied (publickey).", 255, False),
        (
            "kex_exchange_identification: Connection closed by remote host\nConnection closed by 127.1.2.3 port 22",
            255,
            False,
        ),
        ("kex_exchange_identification: read: Connection reset by peer", 255, False),
        ("ssh: connect to host 127.1.2.3 port 22: Connection refused", 255, True),
        ("ssh: connect to host 127.1.2.3 port 22: Connection timed out", 255, True),
        ("Host key verification failed.", 255, True),
        ("Permission denied", 1, True),
    ],
)
def test_only_a_refusal_means_that_a_server_lets_us_in_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str, status: int, is_let_in: bool
) -> None:
    (tmp_path / "ssh").write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {status}\n")
    (tmp_path / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(ssh, "SECONDS_BETWEEN", 0)
    assert lets_in("127.1.2.3", 22, KEYS) is is_let_in


def test_no_ssh_server_is_told_in_words() -> None:
    with pytest.raises(CloudError, match=r"no SSH server on 127\.0\.0\.1:1"):
        wait_for_ssh("127.0.0.1", 1, seconds=0.1)


def test_nobody_waits_for_a_server_that_was_deleted() -> None:
    with pytest.raises(CloudError, match="was deleted while it booted"):
        wait_for_ssh("127.0.0.1", 1, seconds=60, still_there=lambda: False)
