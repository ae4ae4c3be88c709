"""A sandbox whose servers from snapshots are booted by QEMU, and those that ask for it by a label."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.sandbox.conftest import Sandbox, free_port

KERNEL = {"kernel": "own"}
"""The label that asks for a kernel of one's own."""


@pytest.fixture(scope="module")
def vm_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    options = ("--from-snapshot", "vm", "--vm-for", "kernel=own")
    sandbox = Sandbox(tmp_path_factory.mktemp("vm") / "home", ssh_port=free_port(), machines="real", options=options)
    sandbox.started("--prepare", "debian-13")
    yield sandbox
    sandbox.remove()
