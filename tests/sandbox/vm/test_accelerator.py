"""KVM or TCG: decided by what a kernel did, and remembered. QEMU is replaced by something quick."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from sandbox.machines import Boot, accelerator
from sandbox.machines.accelerator import (
    EMULATORS,
    PROCESSORS,
    Accelerator,
    Trial,
    arguments,
    choose,
    judge,
    kvm_obstacle,
)
from sandbox.machines.base_images import BaseImages
from sandbox.machines.host import architecture
from sandbox.machines.vm import VmMachines
from sandbox.settings import Architecture, Home, Settings

CAME_UP = "[    0.0] Linux version 6\n[    0.9] VFS: Unable to mount root fs on unknown-block(0,0)"


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A device that can be opened, a kernel, and a QEMU that notes how often it ran and says what $SAYS has."""
    program = tmp_path / "bin" / EMULATORS[architecture()]
    program.parent.mkdir()
    program.write_text('#!/bin/sh\necho "$@" >> "$RUNS"\nprintf "%s\\n" "$SAYS"\n${THEN:-true}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setenv("RUNS", str(tmp_path / "runs"))
    monkeypatch.setenv("SAYS", CAME_UP)
    (tmp_path / "kvm").touch()
    monkeypatch.setattr(accelerator, "kvm_obstacle", lambda name: kvm_obstacle(name, tmp_path / "kvm"))
    (tmp_path / "vmlinuz").write_text("kernel")
    return tmp_path / "vmlinuz"


def chosen(kernel: Path, name: str = "") -> Accelerator:
    return asyncio.run(choose(lambda: kernel, kernel.parent / "cache", name))


def runs(kernel: Path) -> list[str]:
    file = kernel.parent / "runs"
    return file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize(
    ("trial", "name", "why"),
    [
        (Trial(output=CAME_UP, timed_out=False), "kvm", "came up"),
        (Trial(output=CAME_UP, timed_out=True), "kvm", "came up"),
        (Trial(output="Linux version 6", timed_out=True), "tcg", "did not come up within 10 s"),
        (Trial(output="", timed_out=True), "tcg", "did not come up within 10 s"),
        (Trial(output="qemu-system-x86_64: error: no\nfurther words", timed_out=False), "tcg", "error: no"),
        (Trial(output="Linux version 6\nKernel panic", timed_out=False), "tcg", "Kernel panic"),
        (Trial(output="", timed_out=False), "tcg", "no output"),
    ],
)
def test_only_a_kernel_that_came_up_speaks_for_kvm(trial: Trial, name: str, why: str) -> None:
    decision = judge(trial)
    assert decision.name == name
    assert why in decision.why


def test_a_kernel_is_booted_once(kernel: Path) -> None:
    assert chosen(kernel).name == "kvm"
    assert chosen(kernel) == chosen(kernel)
    (run,) = runs(kernel)
    assert "-accel kvm" in run and str(kernel) in run


@pytest.mark.parametrize("changed", ["kernel", "boot", "memory"])
def test_it_is_tried_again_when_something_else_may_come_of_it(
    kernel: Path, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert chosen(kernel).name == "kvm"
    monkeypatch.setenv("SAYS", "nothing good")
    if changed == "kernel":
        kernel.write_text("another")
    elif changed == "boot":
        monkeypatch.setattr(accelerator, "boot_id", lambda: "another")
    else:
        next((kernel.parent / "cache").iterdir()).write_text("{")
    assert chosen(kernel).name == "tcg"
    assert len(runs(kernel)) == 2


def test_a_kernel_that_hangs_is_given_up(kernel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAYS", "")
    monkeypatch.setenv("THEN", "exec sleep 4711")
    monkeypatch.setattr(accelerator, "TRIAL_SECONDS", 0.3)
    assert chosen(kernel).why.endswith("did not come up within 0.3 s")
    found = subprocess.run(["pgrep", "--full", "sleep 4711"], capture_output=True, text=True).stdout
    assert found == ""


def test_without_the_device_nothing_is_tried(kernel: Path) -> None:
    (kernel.parent / "kvm").unlink()
    assert chosen(kernel).why.endswith("kvm cannot be opened: No such file or directory")
    assert runs(kernel) == []
    (kernel.parent / "kvm").touch()
    assert chosen(kernel).name == "kvm"


def test_another_architecture_is_translated(kernel: Path) -> None:
    other = {"x86": "arm", "arm": "x86"}[architecture()]
    assert chosen(kernel, other).name == "tcg"
    assert runs(kernel) == []


def test_the_options_follow_the_decision() -> None:
    kvm, tcg = arguments(Accelerator(name="kvm", why="")), arguments(Accelerator(name="tcg", why=""), "arm")
    assert kvm[kvm.index("-cpu") + 1] == "host"
    assert tcg[tcg.index("-machine") + 1].startswith("virt,")
    assert tcg[tcg.index("-accel") + 1].startswith("tcg,thread=multi")


def test_a_machine_is_run_by_the_emulator_of_its_architecture(tmp_path: Path) -> None:
    """With firmware that starts its boot loader, and the processor that Hetzner's servers have."""
    home = Home(tmp_path)
    home.make()
    own, other = {"x86": ("x86", "arm"), "arm": ("arm", "x86")}[architecture()]
    machines = VmMachines(home, Settings(emulate=Architecture(other)), BaseImages(tmp_path / "cache"))
    assert machines.can_boot(own) and machines.can_boot(other)

    def command(of: str) -> list[str]:
        return machines.command(machines.machine(7), Boot(machine=7, name="a", address="127.9.9.9", architecture=of))

    for name in ("x86", "arm"):
        assert EMULATORS[name] in command(name)
        assert ("-bios" in command(name)) == (name == "arm")
    assert command(other)[command(other).index("-cpu") + 1] == PROCESSORS[other]
