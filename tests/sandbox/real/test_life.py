"""A machine from its creation to its deletion."""

from __future__ import annotations

import platform
import subprocess
import time
from pathlib import Path

import hcloud
import pytest
from hcloud.images import Image
from hcloud.server_types import ServerType

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.real.conftest import Machine, boot
from tests.sandbox.real.traces import traces


def test_host_key_from_user_data(real: Sandbox, key_pair: Path, tmp_path: Path) -> None:
    """The way to know a server before its first connection: it must show the very key it was given."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / "host")], check=True)
    private, public = (tmp_path / "host").read_text(), (tmp_path / "host.pub").read_text().strip()
    indented = private.replace("\n", "\n    ")
    user_data = f"#cloud-config\nssh_keys:\n  ed25519_private: |\n    {indented}\n  ed25519_public: {public}\n"
    machine = boot(real, key_pair, "pinned", user_data=user_data)
    known = tmp_path / "known_hosts"
    known.write_text(f"[{machine.address}]:{real.ssh_port} {public}\n")
    strict = ("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}")
    pinned = Machine(real, machine.server, key_pair, *strict).wait_for_ssh()
    assert pinned.output("cat /etc/ssh/ssh_host_ed25519_key.pub") == public
    known.write_text(f"[{machine.address}]:{real.ssh_port} {key_pair.with_suffix('.pub').read_text()}")
    assert "Host key verification failed" in pinned.ssh("true").stderr


def test_power(real: Sandbox, key_pair: Path) -> None:
    machine = boot(real, key_pair, "power").wait_for_ssh()
    machine.output("echo kept > /root/kept && sync")
    machine.server.shutdown().wait_until_finished()
    machine.wait_until_off()
    assert machine.ssh("true").returncode != 0
    machine.server.power_on().wait_until_finished()
    assert machine.wait_for_ssh().output("cat /root/kept") == "kept"
    before = machine.output("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1")
    machine.server.reset().wait_until_finished()
    assert machine.wait_for_ssh().output("cat /proc/sys/kernel/random/boot_id; stat -c %Z /proc/1") != before
    machine.server.power_off().wait_until_finished()
    assert machine.status() == "off" and machine.ssh("true").returncode != 0


def test_reboots_and_a_machine_that_powers_itself_off(real: Sandbox, key_pair: Path) -> None:
    machine = boot(real, key_pair, "self").wait_for_ssh()
    first = machine.output("systemctl show --property=UserspaceTimestampMonotonic")

    def rebooted() -> bool:
        shown = machine.ssh("systemctl show --property=UserspaceTimestampMonotonic")
        return shown.returncode == 0 and shown.stdout.strip() != first

    machine.server.reboot().wait_until_finished()
    wait_for(rebooted, 60, 0.1)
    assert machine.status() == "running"
    machine.ssh("systemctl poweroff")
    machine.wait_until_off()


def test_snapshot_has_the_disk_and_a_fresh_identity_when_cleaned(real: Sandbox, key_pair: Path) -> None:
    builder = boot(real, key_pair, "builder").wait_for_ssh()
    builder.output("cloud-init status --wait; echo marker > /root/marker")
    identity = "cat /etc/machine-id /etc/ssh/ssh_host_ed25519_key.pub; hostname"
    before = builder.output(identity).splitlines()
    builder.output(": > /etc/machine-id; rm -f /etc/ssh/ssh_host_*; cloud-init clean --logs; sync")
    builder.server.power_off().wait_until_finished()
    snapshot = builder.server.create_image(description="marked", labels={"kind": "test"})
    snapshot.action.wait_until_finished()
    builder.server.delete().wait_until_finished()
    image = real.sdk().images.get_by_id(snapshot.image.id)
    assert image.status == "available" and 0.05 < image.image_size < 2
    copy = boot(real, key_pair, "copy", image=image).wait_for_ssh()
    assert copy.output("cat /root/marker") == "marker"
    after = copy.output(identity).splitlines()
    assert all(old != new for old, new in zip(before, after, strict=True)), (before, after)


def test_delete_leaves_nothing(real: Sandbox, key_pair: Path) -> None:
    before = traces(real.home)
    machine = boot(real, key_pair, "short").wait_for_ssh()
    assert len(traces(real.home) - before) > 3
    machine.server.delete().wait_until_finished()
    wait_for(lambda: not traces(real.home) - before, 60, 0.1)


def test_without_a_key_the_root_password_opens_the_door(real: Sandbox) -> None:
    """Seen by the hash on the disk, as no tool of ours types passwords."""
    sdk = real.sdk()
    image = sdk.images.get_by_name_and_architecture("debian-13", "x86")
    made = sdk.servers.create(name="password", server_type=sdk.server_types.get_by_name("cx23"), image=image)
    assert made.root_password and len(made.root_password) >= 16
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    disk = real.home / "machines" / str(made.server.id) / "disk"

    def root_hash() -> str:
        shadow = next(file for layer in ("upper", "base") if (file := disk / layer / "etc/shadow").exists())
        return next(line for line in shadow.read_text().splitlines() if line.startswith("root:")).split(":")[1]

    def opens() -> bool:
        """Not at once: cloud-init sets the password, and then that it must be changed."""
        known = root_hash()
        check = ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", made.root_password, known]
        return subprocess.run(check, capture_output=True, text=True).stdout == known

    wait_for(opens, 60, 0.1)


def test_containerd_runs_in_three_machines_at_once(real: Sandbox, key_pair: Path) -> None:
    started = time.monotonic()
    machines = [boot(real, key_pair, f"many-{number}") for number in range(3)]
    for machine in machines:
        machine.wait_for_ssh()
    assert time.monotonic() - started < 60
    assert len({machine.address for machine in machines}) == 3
    assert [machine.output("hostname") for machine in machines] == ["many-0", "many-1", "many-2"]
    installs = "apt-get update -qq && apt-get install -y -qq --no-install-recommends containerd >/dev/null 2>&1"
    machine = machines[0]
    machine.output(installs)
    assert machine.output("systemctl is-active containerd") == "active"
    assert "ok" in machine.output("ctr plugins ls | grep overlayfs | grep snapshotter")
    assert "runc version" in machine.output("runc --version")


def test_another_architecture_is_refused_as_out_of_stock(real: Sandbox) -> None:
    foreign = "cax11" if platform.machine() == "x86_64" else "cx23"
    with pytest.raises(hcloud.APIException) as refused:
        real.sdk().servers.create(name="arm", server_type=ServerType(name=foreign), image=Image(name="debian-13"))
    assert refused.value.code == "resource_unavailable" and "architecture" in str(refused.value)
