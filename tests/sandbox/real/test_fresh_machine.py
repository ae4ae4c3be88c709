"""What one finds on a machine that has just booted, and what of it stays on its disk. One machine for all of this file."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.conftest import Sandbox
from tests.sandbox.real.conftest import Machine, boot

USER_DATA = """#cloud-config
write_files:
- {path: /etc/greeting, content: hello}
runcmd: [[touch, /var/tmp/ran]]
"""


@pytest.fixture(scope="module")
def machine(real_sandbox: Sandbox, key_pair: Path) -> Iterator[Machine]:
    made = boot(real_sandbox, key_pair, "fresh", user_data=USER_DATA, labels={"shared": "yes"}).wait_for_ssh()
    yield made
    made.server.delete().wait_until_finished()


def test_it_is_up_without_a_failed_unit(machine: Machine) -> None:
    assert machine.output("systemctl is-system-running --wait") == "running"
    assert machine.output("cloud-init status --wait").endswith("done")


def test_no_program_runs_from_run(machine: Machine) -> None:
    """As on a server, whose initrd mounts it so."""
    assert "noexec" in machine.output("findmnt --noheadings --output OPTIONS /run").split(",")


def test_user_data_was_followed(machine: Machine) -> None:
    assert machine.output("cat /etc/greeting && echo && ls /var/tmp/ran").splitlines() == ["hello", "/var/tmp/ran"]


def test_it_is_like_a_fresh_debian_at_hetzner(machine: Machine) -> None:
    assert machine.output("hostname") == "fresh"
    assert machine.output(". /etc/os-release && echo $ID-$VERSION_ID") == "debian-13"
    assert machine.output("whoami; passwd -S root | cut -d' ' -f2").split() == ["root", "L"]
    assert "LANG=C.UTF-8" in machine.output("cat /etc/default/locale")
    assert len(machine.output("cat /etc/machine-id")) == 32


def test_only_systems_that_boot_are_offered(machine: Machine) -> None:
    offered = machine.sandbox.sdk().images.get_all(type=["system"])
    assert {image.name for image in offered} == {"debian-12", "debian-13"}


def test_it_reaches_debians_archive(machine: Machine) -> None:
    assert machine.output("apt-get update -qq && apt-cache policy jq | grep -c trixie") != "0"


def test_the_host_is_out_of_its_reach(machine: Machine) -> None:
    for forbidden in ("sysctl -w kernel.panic=42", "modprobe dummy", "ip link set lo down", "date -s 2001-01-01"):
        assert machine.ssh(forbidden).returncode != 0, forbidden


def test_nothing_of_the_sandbox_is_on_its_disk(machine: Machine) -> None:
    machine.server.power_off().wait_until_finished()
    home = machine.sandbox.home
    disk = home / "machines" / str(machine.server.id) / "disk" / "upper"
    search = ["grep", "-rIl", "-D", "skip", "--exclude-dir=log", "-e", machine.address, "-e", str(home), str(disk)]
    hits = subprocess.run(search, capture_output=True, text=True).stdout.splitlines()
    left = [line.removeprefix(str(disk)) for line in hits]
    assert [line for line in left if not line.startswith("/var/lib/cloud/")] == []
    assert [path for path in (disk / "run").rglob("*") if not path.is_dir()] == []
    assert not (disk / "etc/resolv.conf").exists()
