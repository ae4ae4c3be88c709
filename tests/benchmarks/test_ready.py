"""From the creation of a server to a Ready node: what it is told, what it tells, and how the figures stand beside each other."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from benchmarks import ready
from benchmarks.booting import Reached
from benchmarks.ready import Run, figures, seconds, told_on, until_ready, user_data
from cli.render import Wanted, render_form
from recipe import load_catalog, load_lock
from recipe.forms import USER_DATA_LIMIT
from tests.cluster.programs import program

RUNS = {
    "image": [Run(Reached(60, 100), Reached(wall, 500), "tcg") for wall in (290, 310)],
    "stock": [Run(Reached(55, 90), Reached(1800, 3500), "tcg")],
}


def test_both_servers_are_told_the_same_but_for_the_fragment() -> None:
    fragment = yaml.safe_load(
        render_form(Wanted("pre-kubeadm-commands", "debian-13", "1.36.4", "amd64", None), load_catalog(), load_lock())
    )
    plain, whole = (yaml.safe_load(user_data("1.36.4", spec)) for spec in (None, fragment))
    more = [command for command in whole["runcmd"] if command not in plain["runcmd"]]
    assert more == fragment["preKubeadmCommands"]
    assert [file for file in whole["write_files"] if file not in plain["write_files"]] == fragment["files"]
    calls = [command.split()[0] for command in whole["runcmd"]]
    assert calls[:2] == ["sed", "export"], "each step has time"
    assert calls[-2:] == ["kubeadm", "bash"], "the node tells at last"
    assert len(user_data("1.36.4", fragment).encode()) < USER_DATA_LIMIT


@pytest.fixture
def tells(tmp_path: Path) -> Path:
    """The folder in which the script runs, with programs that stand in for those of a node."""
    program(tmp_path / "sleep", "exit 0")
    program(tmp_path / "journalctl", "echo kubelet has no network")
    return tmp_path


def told(folder: Path, limit: int = 60) -> Path:
    """The console, once the script has run."""
    environment = {**os.environ, "PATH": f"{folder}:/usr/bin:/bin", "CONSOLE": str(folder / "console")}
    command = ["bash", str(ready.SCRIPT), str(folder / "mark"), str(limit)]
    subprocess.run(command, env=environment, timeout=60, check=True)
    return folder / "console"


def test_a_node_that_is_ready_at_last_is_told_with_its_firmware(tells: Path) -> None:
    (tells / "mark").touch()
    program(tells / "kubectl", f"[ -e {tells}/asked ] || {{ touch {tells}/asked; exit 1; }}")
    line = until_ready(told(tells))
    assert (
        line == f"node-image: the node is Ready, booted by {'UEFI' if Path('/sys/firmware/efi').exists() else 'BIOS'}"
    )


@pytest.mark.parametrize("ends_well", [True, False])
def test_a_server_that_becomes_none_tells_why(tells: Path, ends_well: bool) -> None:
    program(tells / "kubectl", "echo no network plugin; exit 1")
    program(tells / "tail", "cat 2>/dev/null || true")
    if ends_well:
        (tells / "mark").touch()
    with pytest.raises(RuntimeError, match="kubelet has no network" if ends_well else "as kubeadm failed"):
        told_on(told(tells, limit=1))


def test_nothing_is_told_before_its_time(tmp_path: Path) -> None:
    console = tmp_path / "console"
    console.write_bytes(b"\xff Linux version 6\n")
    assert told_on(console) == []
    with pytest.raises(RuntimeError, match=r"has ended; its last words:\n.*Linux version 6"):
        until_ready(console, lambda: False)


def test_the_ratio_says_how_many_times_as_long_the_stock_image_takes() -> None:
    (_, _, wall, processor) = figures(RUNS)
    assert (wall.value, wall.reference, wall.ratio) == (1800, 300, 6)
    assert (processor.value, processor.reference, processor.ratio) == (3500, 500, 7)
    assert wall.name == "stock image with preKubeadmCommands, created until the node is Ready, by the clock"


def test_what_is_recorded_is_by_the_clock() -> None:
    assert seconds(RUNS) == {"image ssh": 60, "image ready": 300, "stock ssh": 55, "stock ready": 1800}
