"""User data without cloud-init: text in, files and scripts out."""

from __future__ import annotations

import base64
import gzip
import io
import json
import tarfile
from typing import Any

import pytest

from sandbox.machines import Boot
from sandbox.machines.first_boot import FirstBoot, archive, first_boot


def booted(user_data: object = "", **options: Any) -> FirstBoot:
    text = user_data if isinstance(user_data, str) else "#cloud-config\n" + json.dumps(user_data)
    return first_boot(Boot(machine=1, name="s", address="127.9.9.9", user_data=text, **options))


def contents(plan: FirstBoot) -> dict[str, tuple[bytes, int]]:
    return {file.path: (file.content, file.mode) for file in plan.files}


def test_keys_of_both_kinds() -> None:
    plan = booted(
        {"ssh_authorized_keys": ["two"], "ssh_keys": {"ed25519_private": "secret", "ed25519_public": "public"}},
        public_keys=("one\n",),
    )
    assert contents(plan) == {
        "root/.ssh/authorized_keys": (b"one\ntwo\n", 0o600),
        "etc/ssh/ssh_host_ed25519_key": (b"secret\n", 0o600),
        "etc/ssh/ssh_host_ed25519_key.pub": (b"public\n", 0o644),
    }


def test_files_in_every_encoding() -> None:
    packed = base64.b64encode(gzip.compress(b"text")).decode()
    entries = [
        {"path": "/a", "content": "text", "permissions": "0o755"},
        {"path": "/b", "content": base64.b64encode(b"text").decode(), "encoding": "base64"},
        {"path": "/c", "content": packed, "encoding": "gz+b64"},
    ]
    found = contents(booted({"write_files": entries}))
    assert [found[name] for name in "abc"] == [(b"text", 0o755), (b"text", 0o644), (b"text", 0o644)]


@pytest.mark.parametrize(
    "entry", [{}, "text", {"path": "/a", "content": "!", "encoding": "b64"}, {"path": "/a", "permissions": "rw"}]
)
def test_a_file_that_makes_no_sense_is_left_out_and_said(entry: object) -> None:
    plan = booted({"write_files": [entry, {"path": "/fine"}]})
    assert "write_files[0] is ignored" in plan.early and "fine" in contents(plan)


def test_commands_are_quoted() -> None:
    plan = booted({"runcmd": [["echo", "a b", "$x"], "echo $x"], "bootcmd": ["true"]})
    assert plan.late.splitlines() == ["#!/bin/sh", "echo 'a b' '$x'", "echo $x", "true"]


@pytest.mark.parametrize(
    ("user_data", "said"),
    [
        ("", ""),
        ("#!/bin/sh\nexit 0\n", ""),
        ("Content-Type: multipart/mixed", "ignored"),
        ("#cloud-config\n[1]", "no mapping"),
        ("#cloud-config\n{", "no YAML"),
        ({"packages": ["jq"]}, "packages is not done"),
        ({"disable_root": False}, ""),
    ],
)
def test_what_is_not_done_is_said_on_the_console(user_data: object, said: str) -> None:
    assert said in booted(user_data).early
    assert said or "echo" not in booted(user_data).early


def test_a_script_is_taken_as_it_is_and_a_password_is_set() -> None:
    assert booted("#!/usr/bin/env python3\n1\n").late == "#!/usr/bin/env python3\n1\n"
    assert "echo 'root:it'\"'\"'s' | chpasswd" in booted(root_password="it's").early


def test_the_archive_has_the_files_for_root_and_a_private_ssh_directory() -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(booted(public_keys=("k",)).files))) as tar:
        members = {member.name: (oct(member.mode), member.uid, member.isdir()) for member in tar}
    assert members == {"root/.ssh": ("0o700", 0, True), "root/.ssh/authorized_keys": ("0o600", 0, False)}
