"""Light machines: what they are told, what they do, what stays of them in a snapshot."""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import hcloud
import pytest
from hcloud.images import Image
from hcloud.server_types import ServerType

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.real.conftest import Machine, boot
from tests.sandbox.real.traces import traces

USER_DATA = """#cloud-config
write_files:
- {path: /opt/a/greeting, content: hello, permissions: "0640"}
- {path: /etc/packed, content: aGVsbG8=, encoding: b64}
bootcmd: ["echo early > /var/tmp/early"]
runcmd: [[touch, "/var/tmp/it ran"], "echo $((6 * 7)) > /var/tmp/answer"]
ssh_authorized_keys: ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGb5nGJKtrOQEVaYbn7GT1vAD0VqBK7fbBEH5TRvnM0m other"]
packages: [jq]
"""


@pytest.fixture(scope="module")
def machine(light_sandbox: Sandbox, key_pair: Path) -> Iterator[Machine]:
    """Shared by the tests that only look."""
    made = boot(light_sandbox, key_pair, "fresh", user_data=USER_DATA, labels={"shared": "yes"}).wait_for_ssh()
    yield made
    made.server.delete().wait_until_finished()


def test_it_is_like_a_fresh_server(machine: Machine) -> None:
    assert machine.output("hostname; cat /etc/hostname; id -un").split() == ["fresh", "fresh", "root"]
    assert machine.output(". /etc/os-release && echo $ID-$VERSION_ID") == "debian-13"
    assert re.fullmatch("[0-9a-f]{32}", machine.output("cat /etc/machine-id"))
    assert "fresh" in machine.output("getent hosts 127.0.1.1")
    assert (
        machine.output("systemd-detect-virt; systemd-detect-virt --quiet --container && echo yes").split()[-1] == "yes"
    )
    assert machine.output("stat -c %a /root/.ssh /root/.ssh/authorized_keys").split() == ["700", "600"]
    assert machine.output("ls /etc/ssh/*_key | wc -l") == "2"
    assert machine.output("apt-config dump | grep -c ^APT") != "0"


def test_root_gets_a_new_password(light: Sandbox, key_pair: Path) -> None:
    machine = boot(light, key_pair, "password").wait_for_ssh()
    before = machine.output("getent shadow root").split(":")[1]
    answer = machine.server.reset_password()
    answer.action.wait_until_finished()
    after = machine.output("getent shadow root").split(":")[1]
    assert after != before and after.startswith("$")
    program = "import crypt, sys; hashed, given = sys.argv[1:]; sys.exit(crypt.crypt(given, hashed) != hashed)"
    assert subprocess.run(["python3", "-Wignore", "-c", program, after, answer.root_password]).returncode == 0


def test_user_data_was_followed(machine: Machine) -> None:
    assert machine.output("cloud-init status --wait --long").startswith("status: done")
    assert machine.output("cat /opt/a/greeting /etc/packed; stat -c %a /opt/a/greeting") == "hellohello640"
    assert machine.output("cat /var/tmp/early; cat /var/tmp/answer; ls '/var/tmp/it ran'").split("\n")[:2] == [
        "early",
        "42",
    ]
    assert "other" in machine.output("cat /root/.ssh/authorized_keys")
    console = machine.sandbox.home / "machines" / str(machine.server.id) / "console.log"
    assert "packages is not done on a light machine" in console.read_text()


def test_no_program_runs_from_run(machine: Machine) -> None:
    """As on a server, whose initrd mounts it so."""
    assert "noexec" in machine.output("findmnt --noheadings --output OPTIONS /run").split(",")


def test_the_host_is_out_of_its_sight(machine: Machine) -> None:
    seen = machine.output("ls / /run; cat /proc/mounts; ps -eo pid= | wc -l")
    assert str(machine.sandbox.home) not in seen.replace("\\040", " ") and int(seen.split()[-1]) < 20
    for forbidden in ("hostname -F /nonexistent", "ls /run/host-root", "touch /run/sandbox/x", "ls /dev/vda"):
        assert machine.ssh(forbidden).returncode != 0, forbidden


@pytest.mark.parametrize(
    ("command", "status", "says"),
    [
        ("systemctl is-system-running", 0, "running"),
        ("systemctl mask --now --quiet apt-daily.timer apt-daily.service; systemctl is-enabled apt-daily.timer", 1, "masked"),
        ("systemctl unmask --quiet apt-daily.timer; readlink /etc/systemd/system/apt-daily.timer", 1, ""),
        ("systemctl reset-failed 'apt-daily*'; systemctl daemon-reload", 0, ""),
        ("systemctl list-unit-files unattended-upgrades.service >/dev/null 2>&1", 1, ""),
        ("systemctl list-unit-files ssh.service | grep -c ssh.service", 0, "1"),
        ("systemctl enable --now ssh && systemctl is-active ssh; systemctl is-enabled ssh", 0, "active\nenabled"),
        ("systemctl stop ssh; systemctl is-active ssh", 3, "inactive"),
        ("systemctl start nonsense", 5, "Unit nonsense.service not found"),
        ("systemctl mask -q e2scrub_all.timer; systemctl start e2scrub_all.timer", 1, "is masked"),
        ("systemctl edit ssh", 1, "not possible on a light machine"),
        ("journalctl --relinquish-var && journalctl --rotate --vacuum-time=1s", 0, ""),
        ("journalctl -u ssh", 0, "-- No entries --"),
        ("cloud-init --version", 0, "cloud-init"),
    ],
)  # fmt: skip
def test_programs_that_ask_for_systemd_get_sensible_answers(
    machine: Machine, command: str, status: int, says: str
) -> None:
    done = machine.ssh(command)
    assert (done.returncode, says in done.stdout + done.stderr) == (status, True), done.stdout + done.stderr


def test_a_script_as_user_data_runs_and_its_failure_shows(light: Sandbox, key_pair: Path) -> None:
    machine = boot(
        light, key_pair, "script", user_data="#!/usr/bin/env python3\nopen('/root/ran', 'w')\nraise SystemExit(3)\n"
    )
    done = machine.wait_for_ssh().ssh("cloud-init status --wait; ls /root/ran")
    assert done.stdout.split("\n")[0] == "status: error" and "/root/ran" in done.stdout


def test_the_host_key_of_the_user_data(light: Sandbox, key_pair: Path, host_keys: str, tmp_path: Path) -> None:
    machine = boot(light, key_pair, "pinned", user_data=host_keys).wait_for_ssh()
    public = re.search(r"ssh-ed25519 [^\"]+", host_keys)
    assert public
    known = tmp_path / "known"
    known.write_text(f"[{machine.address}]:{light.ssh_port} {public[0]}\n")
    strict = ("-o", "StrictHostKeyChecking=yes", "-o", f"UserKnownHostsFile={known}")
    pinned = Machine(light, machine.server, key_pair, *strict)
    assert pinned.output("ls /etc/ssh/ssh_host_*").split() == [
        "/etc/ssh/ssh_host_ed25519_key",
        "/etc/ssh/ssh_host_ed25519_key.pub",
    ]


def leader(sandbox: Sandbox, server: int) -> int:
    """Pid, on this host, of a machine's first process."""
    facts = sandbox.control("GET", "/facts").json()["servers"]
    return next(int(item["pid"]) for item in facts if item["id"] == server)


def test_root_has_a_password_where_no_key_was_given(light: Sandbox) -> None:
    sdk = light.sdk()
    made = sdk.servers.create(name="plain", server_type=ServerType(name="cx23"), image=Image(name="debian-13"))
    for action in (made.action, *made.next_actions):
        action.wait_until_finished()
    shadow = Path(f"/proc/{leader(light, made.server.id)}/root/etc/shadow")

    def root_hash() -> str:
        return re.search(r"^root:([^:]*)", shadow.read_text(), re.MULTILINE)[1]  # type: ignore[index]

    wait_for(lambda: root_hash().startswith("$"))
    hashed = root_hash()
    check = ["perl", "-e", "print crypt($ARGV[0], $ARGV[1])", made.root_password, hashed]
    assert subprocess.run(check, capture_output=True, text=True).stdout == hashed


def test_power(light: Sandbox, key_pair: Path) -> None:
    machine = boot(light, key_pair, "power").wait_for_ssh()
    machine.output("echo kept > /root/kept; echo gone > /run/gone")
    machine_id = machine.output("cat /etc/machine-id")
    machine.server.shutdown().wait_until_finished()
    machine.wait_until_off()
    assert machine.ssh("true").returncode != 0
    machine.server.power_on().wait_until_finished()
    assert machine.wait_for_ssh().output("cat /root/kept; ls /run | grep -c gone; cat /etc/machine-id").split() == [
        "kept",
        "0",
        machine_id,
    ]
    machine.output("touch /run/before")
    machine.server.reboot().wait_until_finished()
    wait_for(lambda: machine.ssh("test ! -e /run/before").returncode == 0)
    for command in ("systemctl poweroff", "shutdown -h now"):
        machine.ssh(command)
        machine.wait_until_off()
        machine.server.power_on().wait_until_finished()
        machine.wait_for_ssh()
    machine.output("touch /run/before")
    machine.ssh("reboot")
    wait_for(lambda: machine.ssh("test ! -e /run/before").returncode == 0)
    assert machine.status() == "running"
    machine.server.power_off().wait_until_finished()
    assert machine.status() == "off" and machine.ssh("true").returncode != 0


def test_sshd_that_is_killed_comes_back(light: Sandbox, key_pair: Path) -> None:
    machine = boot(light, key_pair, "killed").wait_for_ssh()
    machine.ssh("pkill -KILL -f 'sshd: .*listener'")
    machine.wait_for_ssh()


def test_connections_can_be_broken(light: Sandbox, key_pair: Path) -> None:
    machine = boot(light, key_pair, "broken").wait_for_ssh()
    with ThreadPoolExecutor() as pool:
        running = pool.submit(machine.ssh, "sleep 30")
        wait_for(lambda: machine.ssh("pgrep -x sleep").returncode == 0)
        assert light.control("POST", "/servers/broken/hang_up").status_code == 204
        assert running.result(timeout=10).returncode == 255
    assert machine.ssh("true").returncode == 0
    assert light.control("POST", "/servers/nobody/hang_up").status_code == 404


def test_a_snapshot_is_what_was_changed_and_the_new_machine_is_another(light: Sandbox, key_pair: Path) -> None:
    """Also what was deleted, and a directory that was replaced: the layer has marks for them, and a copy must keep them."""
    machine = boot(light, key_pair, "builder").wait_for_ssh()
    machine.output(
        "echo new > /etc/new; rm /etc/issue; rm -r /usr/share/perl5; mkdir /usr/share/perl5; echo x > /usr/share/perl5/only;"
        "chown 33:33 /etc/new; chmod 4755 /etc/new; ln -s new /etc/link; ln /etc/new /etc/hard"
    )
    keys, machine_id = machine.output("cat /etc/ssh/*.pub"), machine.output("cat /etc/machine-id")
    machine.server.shutdown().wait_until_finished()
    machine.wait_until_off()
    made = machine.server.create_image(description="x")
    made.action.wait_until_finished()
    image = light.sdk().images.get_by_id(made.image.id)
    assert image.status == "available" and 0.05 < image.image_size < 0.5
    machine.server.delete().wait_until_finished()
    copy = boot(light, key_pair, "copy", image=image).wait_for_ssh()
    assert copy.output(
        "cat /etc/new; ls /usr/share/perl5; stat -c '%u %a %h' /etc/new; readlink /etc/link; hostname"
    ) == ("new\nonly\n33 4755 2\nnew\ncopy")
    assert copy.ssh("ls /etc/issue").returncode != 0
    assert copy.output("cat /etc/machine-id") == machine_id and copy.output("cat /etc/ssh/*.pub") != keys
    rebuilt = copy.server.rebuild(Image(name="debian-13"))
    (rebuilt.action if hasattr(rebuilt, "action") else rebuilt).wait_until_finished()
    assert copy.wait_for_ssh().ssh("ls /etc/new").returncode != 0


def test_both_architectures_can_be_had(light: Sandbox, key_pair: Path) -> None:
    sdk = light.sdk()
    made = sdk.servers.create(name="arm", server_type=ServerType(name="cax11"), image=Image(name="debian-13"))
    assert made.server.image.architecture == "arm"
    made.action.wait_until_finished()


def test_other_systems_are_there_by_name(light: Sandbox, key_pair: Path) -> None:
    machine = boot(light, key_pair, "ubuntu", image=Image(name="ubuntu-24.04")).wait_for_ssh()
    assert (
        machine.output(". /etc/os-release; echo $ID $VERSION_ID; stat -c %a / /usr /usr/lib")
        == "ubuntu 24.04\n755\n755\n755"
    )
    assert "dpkg" in machine.output("dpkg --version")


# Faults


def order(sandbox: Sandbox, **fault: object) -> None:
    assert sandbox.control("POST", "/faults", json=fault).status_code == 201


def greets(machine: Machine) -> bool:
    with (
        suppress(OSError),
        socket.create_connection((machine.address, machine.sandbox.ssh_port), timeout=2) as connection,
    ):
        return connection.recv(4) == b"SSH-"
    return False


def test_a_server_that_never_boots(light: Sandbox, key_pair: Path) -> None:
    order(light, kind="no_boot", server="dead-*")
    machine = boot(light, key_pair, "dead-one")
    machine.server.shutdown().wait_until_finished()
    time.sleep(0.3)
    assert machine.status() == "running" and not greets(machine)
    machine.server.power_off().wait_until_finished()
    machine.server.power_on().wait_until_finished()
    assert machine.wait_for_ssh().status() == "running"


def test_ssh_is_refused_for_a_while(light: Sandbox, key_pair: Path) -> None:
    order(light, kind="ssh_refused", seconds=1)
    began = time.monotonic()
    machine = boot(light, key_pair, "late")
    assert machine.status() == "running" and not greets(machine)
    wait_for(lambda: greets(machine))
    assert time.monotonic() - began >= 1


def test_the_disk_is_full(light: Sandbox, key_pair: Path) -> None:
    order(light, kind="disk_full", server="full")
    machine = boot(light, key_pair, "full").wait_for_ssh()
    assert machine.output("cat /etc/hostname") == "full"
    for path in ("/etc/x", "/var/lib/x", "/usr/local/x"):
        done = machine.ssh(f"head -c 10000 /dev/zero > {path}")
        assert done.returncode != 0 and "No space left on device" in done.stderr
    machine.server.delete().wait_until_finished()
    assert boot(light, key_pair, "full").wait_for_ssh().ssh("head -c 10000 /dev/zero > /etc/x").returncode == 0


def test_the_project_can_be_emptied_at_once(own: Sandbox, key_pair: Path) -> None:
    machine = boot(own, key_pair, "one").wait_for_ssh()
    machine.server.create_image(description="x").action.wait_until_finished()
    order(own, kind="snapshot_stuck", seconds=60)
    order(own, kind="status", times=None, path="/never")
    machine.server.create_image(description="stuck")
    assert own.control("DELETE", "/project").status_code == 204
    sdk = own.sdk()
    assert [sdk.servers.get_all(), sdk.images.get_all(type=["snapshot"]), sdk.ssh_keys.get_all()] == [[], [], []]
    assert own.control("GET", "/faults").json()["faults"] == []
    assert {entry["method"] for entry in own.control("GET", "/requests").json()["requests"]} == {"GET"}
    wait_for(lambda: not traces(own.home), 20, 0.1)
    assert boot(own, key_pair, "one").wait_for_ssh().server.id > machine.server.id


# Size


def boot_until_ssh(sandbox: Sandbox, name: str, user_data: str) -> None:
    """Until sshd greets."""
    client = sandbox.client()
    body = {"name": name, "server_type": "cx23", "image": "debian-13", "ssh_keys": ["tester"], "user_data": user_data}
    made = client.post("/servers", json=body).json()["server"]
    address = made["public_net"]["ipv4"]["ip"]
    while True:
        with suppress(OSError), socket.create_connection((address, sandbox.ssh_port), timeout=5) as connection:
            if connection.recv(4) == b"SSH-":
                return
        time.sleep(0.01)


def test_fifty_at_once(light: Sandbox, key_pair: Path, host_keys: str) -> None:
    first = boot(light, key_pair, "zero").wait_for_ssh()
    with ThreadPoolExecutor(50) as pool:
        list(pool.map(lambda number: boot_until_ssh(light, f"many-{number}", host_keys), range(50)))
    servers = light.sdk().servers.get_all(label_selector="!shared")
    assert len(servers) == 51 and {server.status for server in servers} == {"running"}
    sample = [Machine(light, server, key_pair) for server in servers[1::10]]
    assert all(machine.output("hostname") == machine.server.name for machine in sample)
    memory = max(proportional_memory(light, server.id) for server in servers[1::10])
    assert memory < 10 << 20
    assert first.output("hostname") == "zero"


def proportional_memory(sandbox: Sandbox, server: int) -> int:
    """Bytes of all processes of a machine, its runner included; what is shared counts in part."""
    space = Path(f"/proc/{leader(sandbox, server)}/ns/pid").readlink()
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "ns/pid").readlink() == space:
                rollup = (process / "smaps_rollup").read_text()
                total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.MULTILINE)[1]) << 10  # type: ignore[index]
    return total


def test_a_port_that_another_program_has_is_no_quota(own: Sandbox, key_pair: Path) -> None:
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("0.0.0.0", own.ssh_port))
        holder.listen()
        with pytest.raises(hcloud.APIException, match=f"port {own.ssh_port} of every free address") as refused:
            boot(own, key_pair, "nowhere")
    assert refused.value.code == "service_error"
