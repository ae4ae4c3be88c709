"""Base images and disks as files: made whole or not at all, by one at a time."""

from __future__ import annotations

import asyncio
import subprocess
import time
from pathlib import Path

import pytest

from sandbox.errors import CloudError, SandboxError
from sandbox.machines import Boot, translate
from sandbox.machines.base_images import BASE_IMAGES, BaseImages
from sandbox.machines.disks import Disks, frozen
from sandbox.machines.host import architecture
from sandbox.machines.nspawn import NspawnMachines
from sandbox.settings import Architecture, Home, Settings

STAND_IN = """#!/bin/sh
# mmdebstrap in miniature: the target is the argument before the sources
for argument; do case $argument in /*part) target=$argument ;; esac; done
echo "I: downloading packages with apt..."
echo made >> "$MADE"
mkdir -p "$target/etc" && sleep "${TAKES:-0.5}" && echo content > "$target/etc/file"
exit "${FAIL:-0}"
"""


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """mmdebstrap is replaced by something quick; the file counts how often it ran."""
    program = tmp_path / "bin" / "mmdebstrap"
    program.parent.mkdir()
    program.write_text(STAND_IN)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("MADE", str(tmp_path / "made"))
    return tmp_path / "made"


def test_two_at_once_make_it_once(tmp_path: Path, made: Path) -> None:
    told: list[tuple[int, str]] = []

    async def both() -> tuple[Path, Path]:
        one, two = BaseImages(tmp_path / "cache"), BaseImages(tmp_path / "cache")
        say = lambda percent, doing: told.append((percent, doing))  # noqa: E731
        return await asyncio.gather(one.ready("debian-13", say), two.ready("debian-13", say))

    paths = asyncio.run(both())
    assert paths[0] == paths[1] and (paths[0] / "etc" / "file").read_text() == "content\n"
    assert made.read_text().splitlines() == ["made"]
    assert (8, "making debian-13: downloading packages") in told
    asyncio.run(BaseImages(tmp_path / "cache").ready("debian-13", lambda *_: None))
    assert made.read_text().splitlines() == ["made"]


def test_a_failure_leaves_nothing_and_says_why(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAIL", "7")
    images = BaseImages(tmp_path / "cache")
    with pytest.raises(SandboxError, match="exit status 7"):
        asyncio.run(images.ready("debian-12", lambda *_: None))
    assert [path.suffix for path in images.directory.iterdir()] == [".lock"] and images.making == {}


def test_one_that_was_interrupted_is_made_again(tmp_path: Path, made: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = BaseImages(tmp_path / "cache")
    monkeypatch.setenv("TAKES", "20")

    async def interrupt() -> None:
        task = asyncio.create_task(images.ready("debian-13", lambda *_: None))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    began = time.monotonic()
    asyncio.run(interrupt())
    assert time.monotonic() - began < 5
    assert [path.suffix for path in images.directory.iterdir()] == [".lock"]
    monkeypatch.setenv("TAKES", "0")
    args = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
    assert str(images.directory) not in args
    assert (asyncio.run(images.ready("debian-13", lambda *_: None)) / "etc" / "file").exists()


def test_another_recipe_is_another_image(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: image.digest() for name, image in BASE_IMAGES.items()}
    assert len(set(before.values())) == 2
    monkeypatch.setattr("sandbox.machines.base_images.PACKAGES", ("systemd",))
    assert all(image.digest() != before[name] for name, image in BASE_IMAGES.items())


def test_no_space_in_the_middle_of_a_copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check before said yes, but another took the space."""
    source = tmp_path / "source"
    source.mkdir()
    (source / "base").symlink_to("/")
    (source / "upper").mkdir()
    (source / "upper" / "big").write_bytes(bytes(range(256)) * 4096 * 5)
    store = tmp_path / "store"
    store.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2M", "tmpfs", str(store)], check=True)

    home = home_in(store)

    async def copy() -> None:
        disks = Disks(home)
        monkeypatch.setattr(disks, "require", lambda _size: asyncio.sleep(0))
        try:
            await disks.copy(source, home.snapshots / "1")
        finally:
            await disks.close()

    try:
        with pytest.raises(CloudError, match=r"image store .* is full: no space left") as failed:
            asyncio.run(copy())
        assert failed.value.code == "resource_limit_exceeded"
        assert [path for path in home.path.rglob("*") if not path.is_dir()] == []
    finally:
        subprocess.run(["umount", str(store)], check=True)


def test_disks_share_what_is_frozen_and_it_goes_with_the_last_of_them(tmp_path: Path) -> None:
    home = home_in(tmp_path)
    (tmp_path / "base").mkdir()
    machine, first, second = home.machines / "1" / "disk", home.snapshots / "2", home.snapshots / "3"

    def change(name: str) -> None:
        (machine / "upper").mkdir()
        (machine / "upper" / name).touch()

    def content(disk: Path) -> list[list[str]]:
        return [[file.name for file in layer.iterdir()] for layer in frozen(disk)]

    async def live() -> None:
        disks = Disks(home)
        disks.make(tmp_path / "base", machine)
        change("one")
        disks.freeze(machine)
        await disks.copy(machine, first)
        change("two")
        await disks.copy(machine, second)  # while it runs: a layer of its own
        assert (content(machine), content(first), content(second)) == ([["one"]], [["one"]], [["one"], ["two"]])
        assert (machine / "upper" / "two").exists() and len(list(home.layers.iterdir())) == 2
        disks.drop(machine.parent)
        disks.drop(first)
        assert content(second) == [["one"], ["two"]]
        disks.drop(second)
        await disks.close()

    asyncio.run(live())
    assert list(home.layers.iterdir()) == list(home.trash.iterdir()) == []


def test_on_a_host_with_systemd_each_machine_is_a_scope_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The way of such a host; this test needs none, the others run whichever way their host has."""
    monkeypatch.setattr("sandbox.machines.host.has_systemd", lambda: True)
    machines = NspawnMachines(home_in(tmp_path), Settings(), BaseImages(tmp_path / "cache"))
    command = machines.command(machines.machine(7), Boot(machine=7, name="a.example.com", address="127.9.9.9"))
    unit = machines.machine(7).unit
    assert command[0] == "systemd-run" and {"--scope", "--property=Delegate=yes"} < set(command)
    assert any(word.startswith(f"--unit={unit}-") for word in command)
    assert "systemd-nspawn" in command[command.index("sh") :] and "--hostname=a" in command


def test_a_container_of_an_emulated_architecture_is_translated(tmp_path: Path) -> None:
    own, other = {"x86": ("x86", "arm"), "arm": ("arm", "x86")}[architecture()]
    settings = Settings(emulate=Architecture(other))
    machines = NspawnMachines(home_in(tmp_path), settings, BaseImages(tmp_path / "cache"))
    assert machines.can_boot(own) and machines.can_boot(other)

    def command(of: str) -> list[str]:
        return machines.command(machines.machine(7), Boot(machine=7, name="a", address="127.9.9.9", architecture=of))

    assert str(translate.SCRIPT) in command(other) and str(translate.SCRIPT) not in command(own)
    assert command(other).index(str(translate.SCRIPT)) < command(other).index("systemd-nspawn")
    settings.emulate = None
    assert not machines.can_boot(other)
    assert str(translate.SCRIPT) not in command(other)


def test_a_translated_machine_is_turned_off_by_a_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU gives each real-time signal another number, and which differs from version to version."""
    asked: list[str] = []

    async def run(*command: str) -> None:
        asked.append(" ".join(command))

    monkeypatch.setattr("sandbox.machines.nspawn.run", run)
    monkeypatch.setattr("sandbox.machines.nspawn.is_translated", lambda pid: pid == 7)
    monkeypatch.setattr("sandbox.machines.hosted.Machine.leader", lambda _: 7)

    async def press() -> None:
        machines = NspawnMachines(home_in(tmp_path), Settings(), BaseImages(tmp_path / "cache"))
        machines.shut_down(1)
        machines.reboot(1)
        await asyncio.gather(*machines.asking)

    asyncio.run(press())
    assert [words.rsplit("systemctl ", 1)[1] for words in asked] == ["--no-block poweroff", "--no-block reboot"]
    assert all(words.startswith("nsenter --target=7 ") for words in asked)


def test_two_homes_have_different_units(tmp_path: Path) -> None:
    assert Home(tmp_path / "a").key != Home(tmp_path / "b").key


def home_in(directory: Path) -> Home:
    home = Home(directory / "home")
    home.make()
    return home
