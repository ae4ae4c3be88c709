"""The command line: start, stop, status, reset, env, and what can go wrong with them."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from hcloud.images import Image
from hcloud.server_types import ServerType

from sandbox import preflight
from sandbox.settings import Home, MachineKind, Settings
from tests.sandbox.conftest import ROOT, Sandbox, free_port, wait_for

Make = Callable[..., Sandbox]


def test_start_twice_status_stop_twice(make_sandbox: Make) -> None:
    sandbox = make_sandbox()
    assert sandbox.command("status").returncode == 3
    assert sandbox.url in sandbox.start().stdout
    again = sandbox.start()
    assert again.returncode == 0 and "already running" in again.stdout and sandbox.url in again.stdout
    status = sandbox.command("status")
    assert status.returncode == 0 and "debian-13" in status.stdout and str(sandbox.pid()) in status.stdout
    assert sandbox.command("stop").stdout.endswith("stopped\n")
    stopped = sandbox.command("stop")
    assert stopped.returncode == 0 and stopped.stdout == "not running\n"


def test_two_starts_at_once_are_one_sandbox(make_sandbox: Make) -> None:
    sandbox = make_sandbox()
    with ThreadPoolExecutor() as pool:
        done = [future.result() for future in [pool.submit(sandbox.start) for _ in range(3)]]
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    assert all(sandbox.url in one.stdout for one in done)
    sandbox.remove()
    time.sleep(2)  # time enough for one that was too slow to be the one to come up now
    assert not sandbox.home.exists()


def test_env_points_clients_at_it(make_sandbox: Make) -> None:
    sandbox = make_sandbox().started()
    script = f'eval "$({sys.executable} -m sandbox --home {sandbox.home} env)" && hcloud server-type list'
    done = subprocess.run(
        ["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, env={**os.environ, "HOME": str(sandbox.home)}
    )
    assert "cx23" in done.stdout, done.stderr


def test_state_survives_stop_and_kill(make_sandbox: Make, public_key: str) -> None:
    sandbox = make_sandbox().started()
    sandbox.sdk().ssh_keys.create(name="k", public_key=public_key, labels={"a": "b"})
    sandbox.command("stop")
    sandbox.started()
    assert sandbox.sdk().ssh_keys.get_by_name("k").labels == {"a": "b"}
    os.kill(sandbox.pid(), signal.SIGKILL)
    assert "already running" not in sandbox.started().command("status").stdout
    assert sandbox.sdk().ssh_keys.get_by_name("k").labels == {"a": "b"}


def test_actions_in_flight_at_a_kill_end_as_errors_and_half_made_things_are_gone(make_sandbox: Make) -> None:
    sandbox = make_sandbox().started()
    sdk = sandbox.sdk()
    whole = sdk.servers.create(name="whole", server_type=ServerType(name="cx23"), image=Image(name="debian-13"))
    for action in (whole.action, *whole.next_actions):
        action.wait_until_finished()
    sandbox.control("PUT", "/speed", json={"speed": "realistic"})
    half = sdk.servers.create(name="half", server_type=ServerType(name="cx23"), image=Image(name="debian-13"))
    snapshot = whole.server.create_image(description="half")
    os.kill(sandbox.pid(), signal.SIGKILL)
    sandbox.started()
    for action in (half.action, *half.next_actions, snapshot.action):
        action.reload()
        assert action.status == "error" and action.error["code"] == "action_failed"
    assert [(server.name, server.status) for server in sdk.servers.get_all()] == [("whole", "running")]
    assert sdk.images.get_all(type=["snapshot"]) == []
    assert (
        sdk.servers.create(name="half", server_type=ServerType(name="cx23"), image=Image(name="debian-13")).server.id
        > half.server.id
    )


@pytest.mark.parametrize("seconds", [0.0, 0.15])
def test_what_was_answered_outlives_a_kill(make_sandbox: Make, seconds: float) -> None:
    """Writers write while the sandbox is killed: whatever they were told is there afterwards, as they were told."""
    sandbox = make_sandbox().started()
    answered: dict[int, str] = {}

    def write(number: int) -> None:
        with suppress(httpx.TransportError), sandbox.client() as client:
            wall = client.post("/firewalls", json={"name": f"wall-{number}"}).json()["firewall"]
            for turn in itertools.count():
                answered[wall["id"]] = wall["name"]
                path, name = f"/firewalls/{wall['id']}", f"wall-{number}-{turn}"
                wall = client.put(path, json={"name": name}).json()["firewall"]

    with ThreadPoolExecutor() as pool:
        writers = [pool.submit(write, number) for number in range(4)]
        wait_for(lambda: len(answered) == 4)
        time.sleep(seconds)
        os.kill(sandbox.pid(), signal.SIGKILL)
        for writer in writers:
            writer.result()
    sandbox.started()
    there = {wall.id: wall.name for wall in sandbox.sdk().firewalls.get_all()}
    asked = last_names_asked(sandbox)
    for number, name in answered.items():
        # The last write may have been done although its answer was lost: the record of requests has it.
        assert there[number] in (name, asked.get(number))


def last_names_asked(sandbox: Sandbox) -> dict[int, str]:
    """By firewall."""
    entries = sandbox.control("GET", "/requests").json()["requests"]
    return {int(entry["path"].split("/")[2]): entry["body"]["name"] for entry in entries if entry["method"] == "PUT"}


def test_two_at_once_do_not_know_each_other(make_sandbox: Make) -> None:
    one, two = make_sandbox().started(), make_sandbox().started()
    made = one.sdk().servers.create(name="s", server_type=ServerType(name="cx23"), image=Image(name="debian-13"))
    assert two.sdk().servers.get_all() == []
    other = two.sdk().servers.create(name="s", server_type=ServerType(name="cx23"), image=Image(name="debian-13"))
    addresses = [item.server.public_net.ipv4.ip.split(".")[:3] for item in (made, other)]
    assert addresses[0] != addresses[1] and all(address[0] == "127" and int(address[1]) > 1 for address in addresses)
    one.command("stop")
    assert two.sdk().servers.get_by_name("s") is not None


def test_reset_leaves_nothing(make_sandbox: Make) -> None:
    sandbox = make_sandbox().started()
    sandbox.sdk().servers.create(name="s", server_type=ServerType(name="cx23"), image=Image(name="debian-13"))
    done = sandbox.command("reset")
    assert done.returncode == 0 and not sandbox.home.exists()


def test_port_taken_names_the_holder(make_sandbox: Make) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        done = make_sandbox(port=holder.getsockname()[1]).start()
    assert done.returncode == 1 and f"(pid {os.getpid()})" in done.stderr and "--port" in done.stderr
    assert "Traceback" not in done.stderr


def test_other_options_while_it_runs(make_sandbox: Make) -> None:
    sandbox = make_sandbox().started()
    sandbox.port = free_port()
    done = sandbox.start()
    assert done.returncode == 1 and "other options" in done.stderr and "stop it first" in done.stderr


@pytest.mark.parametrize(
    ("options", "status", "words"),
    [
        (("--port", "80"), 1, "1024"),
        (("--port", "99999", "--ssh-port", "0"), 1, "--ssh-port 0 is out of range"),
        (("--port", "many"), 2, "not a valid int"),
        (("--machines", "toy"), 2, "toy"),
        (("--prepare", "debian-1"), 1, "debian-13"),
    ],
)
def test_bad_options(tmp_path: Path, options: tuple[str, ...], status: int, words: str) -> None:
    done = Sandbox(tmp_path / "home").command("start", "--machines", "none", *options)
    assert done.returncode == status and words in done.stderr and "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()


def unprivileged(*arguments: str, path: str) -> subprocess.CompletedProcess[str]:
    argv = [
        str(shutil.which("setpriv")),
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        # The Python environment may lie in root's home: to read it is no right that the sandbox asks for.
        "--inh-caps=+dac_read_search",
        "--ambient-caps=+dac_read_search",
        sys.executable,
        *arguments,
    ]
    return subprocess.run(
        argv, cwd=ROOT, capture_output=True, text=True, env={**os.environ, "PATH": path, "HOME": "/nonexistent"}
    )


def test_not_root_and_programs_missing_are_told_at_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    for parent in (tmp_path, *tmp_path.parents):
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    empty = tmp_path / "empty"
    empty.mkdir()
    done = unprivileged(
        "-m", "sandbox", "--home", str(tmp_path / "home"), "start", "--port", str(free_port()), path=str(empty)
    )
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert "real machines need root" in done.stderr and "--machines none" in done.stderr


def test_missing_programs_name_their_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight, "SBIN", "")
    found = preflight.program_problems([MachineKind.real])
    assert len(found) == 1 and "systemd-nspawn, mmdebstrap" in found[0].message
    assert "apt-get install systemd-container mmdebstrap" in found[0].remedy


def test_another_architecture_needs_further_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an x86 host, on which nothing is installed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight, "SBIN", "")
    monkeypatch.setattr("sandbox.machines.host.architecture", lambda: "x86")
    monkeypatch.setitem(preflight.FIRMWARE, "arm", tmp_path / "QEMU_EFI.fd")

    def packages(kinds: list[MachineKind], emulate: str | None) -> set[str]:
        (problem,) = preflight.program_problems(kinds, emulate)
        return set(problem.remedy.split())

    translating = {"qemu-user-static", "binfmt-support", "arch-test"}
    assert packages([MachineKind.real], "arm") - packages([MachineKind.real], None) == translating
    machines = [MachineKind.real, MachineKind.vm]
    emulating = {*translating, "qemu-system-arm", "qemu-efi-aarch64"}
    assert packages(machines, "arm") - packages(machines, None) == emulating
    assert packages(machines, "x86") == packages(machines, None), "the host's own needs nothing"


def test_disks_cannot_lie_on_an_overlay(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "overlay / overlay rw 0 0\n/dev/vda /vol\\040ume ext4 rw 0 0\noverlay /vol\\040ume/deep overlay rw 0 0\n"
    )
    for home, fine in {"/root/x": False, "/vol ume/x": True, "/vol ume/deep/x": False, "/volume": False}.items():
        found = preflight.overlay_problems(Home(Path(home)), mounts)
        assert (found == []) == fine
    assert "--home" in found[0].remedy and "overlay" in found[0].message


def test_light_machines_need_no_nspawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(preflight, "SBIN", "")
    assert "nspawn" not in preflight.program_problems([MachineKind.light])[0].message


def test_sudo_is_used_where_it_works(make_sandbox: Make, tmp_path: Path) -> None:
    """A stand-in for sudo that notes what it is asked for: as nobody, start must go on through it."""
    for parent in (tmp_path, *tmp_path.parents):
        parent.chmod(parent.stat().st_mode | stat.S_IXOTH)
    tmp_path.chmod(0o777)
    note = tmp_path / "note"
    (tmp_path / "bin").mkdir()
    sudo = tmp_path / "bin" / "sudo"
    sudo.write_text(f'#!/bin/sh\n[ "$1" = -n ] && exit 0\necho "$@" > {note}\n')
    sudo.chmod(0o755)
    done = unprivileged("-m", "sandbox", "start", "--port", "9999", path=f"{sudo.parent}:{os.environ['PATH']}")
    assert done.returncode == 0, done.stderr
    assert "NODE_IMAGES_CACHE=" in note.read_text() and note.read_text().endswith("-m sandbox start --port 9999\n")


def test_stale_pid_file_of_another_process(make_sandbox: Make) -> None:
    """After a crash the pid may belong to someone else: it must be neither believed nor killed."""
    sandbox = make_sandbox().started()
    os.kill(sandbox.pid(), signal.SIGKILL)
    record = sandbox.home / "daemon.json"
    with subprocess.Popen(["sleep", "60"]) as bystander:
        record.write_text(record.read_text().replace('"pid":', f'"pid":{bystander.pid},"was":'))
        assert sandbox.command("stop").stdout == "not running\n"
        assert sandbox.start().returncode == 0
        assert bystander.poll() is None
        bystander.kill()


def test_the_api_is_on_loopback_only(sandbox: Sandbox) -> None:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    listening = [row[1] for row in rows if row[3] == "0A" and row[1].endswith(f":{sandbox.port:04X}")]
    assert listening == [f"0100007F:{sandbox.port:04X}"]


def test_ctrl_c_of_the_foreground_ends_it(make_sandbox: Make) -> None:
    sandbox = make_sandbox()
    options = ["--port", str(sandbox.port), "--machines", "none"]
    argv = [sys.executable, "-m", "sandbox", "--home", str(sandbox.home), "serve", *options]
    with subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as served:
        wait_for(lambda: sandbox.command("status").returncode == 0)
        served.send_signal(signal.SIGINT)
        output, _ = served.communicate(timeout=20)
    assert "Traceback" not in output
    shutil.rmtree(sandbox.home)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--machines", "real", "--from-snapshot", "light"], "beside other machines there is only vm"),
        (["--machines", "none", "--from-snapshot", "vm"], "they have no disks to boot from"),
        (["--machines", "real", "--vm-for", "role in"], "--vm-for: "),
        (["--machines", "light", "--emulate", "arm"], "light machines run no programs of it"),
    ],
)
def test_kinds_that_cannot_stand_beside_each_other_are_refused(
    make_sandbox: Make, options: list[str], said: str
) -> None:
    done = make_sandbox().command("start", *options)
    assert done.returncode == 1
    assert said in done.stderr


def test_the_port_of_the_kubernetes_api_is_none_for_ssh() -> None:
    (problem,) = preflight.ssh_port_problems(Settings(ssh_port=6443))
    assert "leads to the Kubernetes API" in problem.message
