"""What user data asks for at a first boot, for machines without cloud-init. Pure: text in, files and commands out.

Of ``#cloud-config``: ``ssh_keys``, ``ssh_authorized_keys``, ``write_files``, ``bootcmd``, ``runcmd``; of all else: scripts
(``#!``). What there is more of is ignored, and said on the console.
"""

from __future__ import annotations

import base64
import gzip
import io
import shlex
import tarfile
from dataclasses import dataclass
from typing import Any

import yaml

from sandbox.machines import Boot

UNDERSTOOD = {"ssh_keys", "ssh_authorized_keys", "write_files", "bootcmd", "runcmd"}
# They hold here anyway.
GRANTED = {"ssh_deletekeys", "ssh_genkeytypes", "disable_root", "preserve_hostname", "manage_etc_hosts", "ssh_pwauth"}


@dataclass(frozen=True)
class File:
    """A file on the machine's disk; for root, unless its name says otherwise."""

    path: str
    content: bytes
    mode: int = 0o644


@dataclass(frozen=True)
class FirstBoot:
    """Files; a script for before sshd and one for after."""

    files: tuple[File, ...]
    early: str
    late: str


def first_boot(boot: Boot) -> FirstBoot:
    """All of it. Malformed user data is ignored, as cloud-init does, but for a word on the console."""
    config, problems = config_of(boot.user_data)
    keys = [*boot.public_keys, *texts(config.get("ssh_authorized_keys"))]
    files = [File("root/.ssh/authorized_keys", "".join(f"{key.strip()}\n" for key in keys).encode(), 0o600)]
    written, bad = files_of(config.get("write_files"))
    files += [*host_keys(config.get("ssh_keys")), *written]
    password = [f"echo {shlex.quote(f'root:{boot.root_password}')} | chpasswd"] if boot.root_password else []
    says = [f"echo {shlex.quote(problem)}" for problem in [*problems, *bad]]
    late = boot.user_data if boot.user_data.startswith("#!") else script(*commands(config.get("runcmd")))
    return FirstBoot(tuple(files), script(*says, *password, *commands(config.get("bootcmd"))), late)


def config_of(user_data: str) -> tuple[dict[str, Any], list[str]]:
    """A #cloud-config document as a mapping, and what is wrong with it."""
    if not user_data.startswith("#cloud-config"):
        other = user_data.strip() and not user_data.startswith("#!")
        return {}, ["user data of another form than #cloud-config and scripts is ignored"] if other else []
    try:
        config = yaml.safe_load(user_data) or {}
    except yaml.YAMLError as error:
        return {}, [f"user data is no YAML and ignored: {error}"]
    if not isinstance(config, dict):
        return {}, ["user data is no mapping and ignored"]
    unknown = sorted(set(config) - UNDERSTOOD - GRANTED)
    return config, [f"user data: {name} is not done on a light machine" for name in unknown]


def texts(value: Any) -> list[str]:
    """A list of strings, whatever else it is."""
    return [str(item) for item in value] if isinstance(value, list) else []


def host_keys(keys: Any) -> list[File]:
    """``ssh_keys``: KIND_private, KIND_public."""
    found = []
    for name, text in (keys if isinstance(keys, dict) else {}).items():
        kind, _, half = str(name).partition("_")
        suffix, mode = (".pub", 0o644) if half == "public" else ("", 0o600)
        found.append(File(f"etc/ssh/ssh_host_{kind}_key{suffix}", f"{str(text).rstrip()}\n".encode(), mode))
    return found


def files_of(entries: Any) -> tuple[list[File], list[str]]:
    """``write_files``, and what is wrong with which of them. Gap: no ``append``, ``defer``, ``source``; the owner is root."""
    found, problems = [], []
    for number, entry in enumerate(entries if isinstance(entries, list) else []):
        try:
            found.append(file_of(entry))
        except (AttributeError, EOFError, KeyError, OSError, TypeError, ValueError) as error:
            problems.append(f"user data: write_files[{number}] is ignored ({type(error).__name__})")
    return found, problems


def file_of(entry: dict[str, Any]) -> File:
    """One of ``write_files``."""
    content = decoded(str(entry.get("content", "")), str(entry.get("encoding", "")))
    mode = int(str(entry.get("permissions", "0644")).removeprefix("0o"), 8)
    return File(str(entry["path"]).lstrip("/"), content, mode)


def decoded(content: str, encoding: str) -> bytes:
    """Plain, base64 and gzip, in all of cloud-init's spellings."""
    data = content.encode()
    if "b64" in encoding or "base64" in encoding:
        data = base64.b64decode(b"".join(data.split()), validate=True)
    return gzip.decompress(data) if "gz" in encoding else data


def commands(entries: Any) -> list[str]:
    """``runcmd``: each a line of shell, or a list of words."""
    return [
        shlex.join(map(str, entry)) if isinstance(entry, list) else str(entry)
        for entry in (entries if isinstance(entries, list) else [])
    ]


def script(*lines: str) -> str:
    """Shell that goes on after an error, as cloud-init does."""
    return "\n".join(["#!/bin/sh", *lines, "true"]) + "\n"


def archive(files: tuple[File, ...]) -> bytes:
    """As a tar of root's files; /root/.ssh is root's alone."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        ssh = tarfile.TarInfo("root/.ssh")
        ssh.type, ssh.mode = tarfile.DIRTYPE, 0o700
        tar.addfile(ssh)
        for file in files:
            info = tarfile.TarInfo(file.path)
            info.size, info.mode = len(file.content), file.mode
            tar.addfile(info, io.BytesIO(file.content))
    return buffer.getvalue()
