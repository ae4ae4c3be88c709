"""Layers of disks: which are kept while others are made, and what a killed sandbox leaves."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from sandbox.machines.disks import PART_SUFFIX, Disks, frozen
from sandbox.machines.vm_disks import VmDisks, layers
from sandbox.settings import Home


@pytest.fixture
def base(tmp_path: Path) -> Path:
    file = tmp_path / "base.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(file), "1G"], check=True)
    return file


def with_disks(folder: Path, act: Callable[[VmDisks], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        home = Home(folder / "home")
        home.make()
        disks = VmDisks(Disks(home))
        await act(disks)
        await disks.disks.close()

    asyncio.run(run())


def machine_of(disks: VmDisks, number: int) -> Path:
    return disks.disks.home.machines / str(number) / "disk"


def test_a_layer_goes_with_the_last_disk_that_has_it(tmp_path: Path, base: Path) -> None:
    async def act(disks: VmDisks) -> None:
        first, second = machine_of(disks, 1), machine_of(disks, 2)
        disks.make(base, first)
        layer = await disks.prepare_top(first, 2)
        disks.freeze(first)
        disks.copy(first, second)
        assert layers(first) == layers(second) == [base, layer]
        disks.disks.drop(first)
        await disks.disks.close()
        assert layer.exists()
        disks.disks.drop(second)
        await disks.disks.close()
        assert not layer.exists()

    with_disks(tmp_path, act)


def test_what_is_being_made_survives_the_deletion_of_others(tmp_path: Path, base: Path) -> None:
    async def act(disks: VmDisks) -> None:
        making, other = machine_of(disks, 1), machine_of(disks, 2)
        for disk in (making, other):
            disks.make(base, disk)
        layer = disks.new_layer()
        (making / "top").symlink_to(layer)
        part = layer.with_name(f"{layer.name}{PART_SUFFIX}")
        part.mkdir()
        disks.disks.drop(other)
        assert part.exists()

    with_disks(tmp_path, act)


@pytest.mark.parametrize("begun", [True, False])
def test_a_kill_while_a_snapshot_is_made_leaves_a_disk_that_goes_on(tmp_path: Path, base: Path, begun: bool) -> None:
    async def act(disks: VmDisks) -> None:
        disk = machine_of(disks, 1)
        disks.make(base, disk)
        top = await disks.prepare_top(disk, 2)
        upcoming = disks.announce_next(disk)
        if begun:  # QEMU writes to it already
            upcoming.write_bytes(b"")
        disks.settle(disk)
        assert (disk / "top").readlink() == (upcoming if begun else top)
        assert [layer.readlink() for layer in frozen(disk)] == ([top] if begun else [])
        assert not (disk / "next").is_symlink()
        assert disks.announce_next(disk) != upcoming, "another snapshot can be made"

    with_disks(tmp_path, act)
