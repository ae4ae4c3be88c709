"""How a server boots: one of a node image beside one of the stock image, in turns, each with a kernel of its own.

Where QEMU translates (see the sandbox's README), wall seconds depend on what else the machine does; QEMU's own processor time
does much less. Nothing here asserts a time.
"""

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from hcloud.images import Image
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer
from hcloud.ssh_keys import BoundSSHKey

from adapters.hetzner.servers import address_of
from benchmarks.measure import RESULTS, Measure
from components.ssh import greets
from tests.e2e.workspace import Workspace, over_ssh
from tools.local_cloud import OWN_KERNEL

TURNS = 2
PATIENCE = 1800
"""Seconds for each thing that is waited for: without hardware virtualisation, beside other work."""
POLLS = PATIENCE * 10
SERVER_TYPE = "cx23"
KUBELET = Path(__file__).with_name("kubelet.sh")
HEALTHY = b"kubelet is healthy\n"
ANALYSIS = (
    "systemctl is-system-running --wait",
    "systemd-analyze",
    "systemd-analyze critical-chain --no-pager",
    "systemd-analyze critical-chain --no-pager ssh.service",
    "systemd-analyze blame --no-pager",
    "cloud-init analyze blame",
)


@dataclass(frozen=True)
class Reached:
    """Since power-on: seconds on the clock, and seconds of processor time that QEMU has used."""

    wall: float
    processor: float


@dataclass(frozen=True)
class Boot:
    """One boot. `kubelet` is when kubelet was healthy, where there is one; `analysis` is what systemd and cloud-init say."""

    ssh: Reached
    kubelet: Reached | None
    analysis: str


def boots(workspace: Workspace, image: int) -> Iterator[Measure]:
    """Boot servers of the snapshot `image` and of the stock image in turns; also write what systemd says of each.

    Raises TimeoutError for a server that does not come up.
    """
    measured: dict[str, list[Boot]] = {"stock": [], "image": []}
    with login(workspace) as (key, known):
        for turn in range(1, TURNS + 1):
            for kind, source, user_data in (
                ("stock", Image(name="debian-13"), None),
                ("image", Image(id=image), KUBELET.read_text()),
            ):
                with server_of(workspace, source, known, user_data) as server:
                    measured[kind].append(_boot(workspace, server, key, kubelet=bool(user_data)))
                _keep(f"boot-{kind}-{turn}.txt", measured[kind][-1])
    yield from figures(measured["image"], measured["stock"])


def figures(ours: list[Boot], stock: list[Boot]) -> list[Measure]:
    """The medians, each beside that of the stock image until SSH, which is all that it boots to."""
    reached: dict[str, list[Reached | None]] = {
        "SSH answers": [boot.ssh for boot in ours],
        "kubelet is healthy": [boot.kubelet for boot in ours],
    }
    return [
        Measure(
            f"image, power-on until {what}, {clock}",
            statistics.median(read(one) for one in boots if one),
            beside="stock image until SSH answers",
            reference=statistics.median(read(boot.ssh) for boot in stock),
        )
        for what, boots in reached.items()
        for clock, read in CLOCKS.items()
    ]


CLOCKS: dict[str, Callable[[Reached], float]] = {
    "by the clock": lambda reached: reached.wall,
    "processor time": lambda reached: reached.processor,
}


@contextmanager
def login(workspace: Workspace) -> Iterator[tuple[Path, BoundSSHKey]]:
    """A key, here and at the sandbox."""
    key = workspace.root / "benchmark-key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    known = workspace.client.ssh_keys.create("benchmark", key.with_suffix(".pub").read_text())
    try:
        yield key, known
    finally:
        known.delete()


@contextmanager
def server_of(
    workspace: Workspace, image: Image, key: BoundSSHKey, user_data: str | None, *, on: bool = False
) -> Iterator[BoundServer]:
    """A server with a kernel of its own, switched on or not; where it is off, its disk is there already.

    So its first power-on is a boot and nothing else.
    """
    created = workspace.client.servers.create(
        name=f"benchmark-{time.monotonic_ns()}",
        server_type=ServerType(name=SERVER_TYPE),
        image=image,
        ssh_keys=[key],
        user_data=user_data,
        labels=dict([OWN_KERNEL]),
        start_after_create=on,
    )
    try:
        for action in (created.action, *(created.next_actions or ())):
            action.wait_until_finished(POLLS)
        yield created.server
    finally:
        created.server.delete().wait_until_finished(POLLS)


def _boot(workspace: Workspace, server: BoundServer, key: Path, *, kubelet: bool) -> Boot:
    start = time.monotonic()
    server.power_on().wait_until_finished(POLLS)
    facts = workspace.facts(server)
    reached = partial(reached_since, start, facts["pid"])
    address = until_ssh(workspace, server)
    ssh = reached()
    healthy = None
    if kubelet:
        console = Path(facts["console"])
        until(f"a healthy kubelet on the console {console}", lambda: HEALTHY in console.read_bytes())
        healthy = reached()
    report = "; ".join(f"echo '$ {command}'; {command}" for command in ANALYSIS)
    return Boot(ssh, healthy, over_ssh(workspace, address, key, f"{report}; true", seconds=PATIENCE))


def until_ssh(workspace: Workspace, server: BoundServer) -> str:
    """Wait until its sshd says what it is; returns its address."""
    address = address_of(server)
    until(f"SSH at {address}", lambda: greets(address, workspace.ssh_port, 1))
    return address


def until(what: str, works: Callable[[], bool], patience: float = PATIENCE) -> None:
    """Raises TimeoutError where it does not work within so many seconds."""
    deadline = time.monotonic() + patience
    while not works():
        if time.monotonic() > deadline:
            raise TimeoutError(f"no {what} after {patience:g} s")
        time.sleep(0.2)


def reached_since(start: float, pid: int) -> Reached:
    """By a process, from a time on the monotonic clock until now."""
    return Reached(time.monotonic() - start, processor_seconds(Path(f"/proc/{pid}/stat").read_text()))


def processor_seconds(stat: str) -> float:
    """User and system time of a process, of the text of /proc/PID/stat (man 5 proc_pid_stat: utime and stime)."""
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _keep(name: str, boot: Boot) -> None:
    RESULTS.mkdir(exist_ok=True)
    lines = [f"SSH answers: {boot.ssh}", *([f"kubelet is healthy: {boot.kubelet}"] if boot.kubelet else [])]
    (RESULTS / name).write_text("\n".join([*lines, "", boot.analysis, ""]))
