"""What can happen to a sandbox while the tests use a cluster. Each is made as soon as a pod of the tested server has a network.

Whatever `up` says then, it ends by itself, the next `up` publishes the image, and nothing is left over.
"""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hcloud.servers import BoundServer

from adapters.hetzner.servers import address_of
from sandbox import daemon
from sandbox.machines.network import Cable, Network
from sandbox.settings import Home
from tests.e2e.workspace import Workspace

LONGEST_WAIT = 3600
"""Seconds until a pod must run, and until an `up` must have ended."""
CLUSTER_SECONDS = 900
"""`timeouts.cluster` while a trouble is made: what hangs has to end."""
SMALL_DISK = "5g"
"""Enough for one build and its snapshot."""


@dataclass(frozen=True)
class Trouble:
    """`make` disturbs the tested server or its sandbox; `mend` undoes what does not pass by itself."""

    make: Callable[[Workspace, BoundServer], None]
    mend: Callable[[Workspace], None] = lambda workspace: None
    small_disk: bool = False

    @contextmanager
    def disk(self, workspace: Workspace) -> Iterator[None]:
        """The file system where the sandbox keeps its things: one of its own, where it is to be filled."""
        if not self.small_disk:
            yield
            return
        with tempfile.TemporaryDirectory(prefix="node-images-disk-") as folder:
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SMALL_DISK}", "tmpfs", folder], check=True)
            try:
                home(workspace).path.symlink_to(folder)
                yield
            finally:
                workspace.run("make", "clean")
                subprocess.run(["umount", folder], check=True)


def home(workspace: Workspace) -> Home:
    """Where its sandbox keeps its things."""
    return Home(workspace.root / ".sandbox")


def kill_sandbox(workspace: Workspace, _: BoundServer) -> None:
    """kill -9 of the process that serves the API."""
    running = daemon.running(home(workspace))
    assert running is not None
    running.process.kill(signal.SIGKILL)


def start_sandbox(workspace: Workspace) -> None:
    """What a user types after a crash."""
    result = workspace.run("make", "sandbox-start")
    assert result.returncode == 0, result.stderr


def kill_machine(workspace: Workspace, server: BoundServer) -> None:
    """kill -9 of QEMU."""
    os.kill(workspace.facts(server)["pid"], signal.SIGKILL)


def cut_cable(workspace: Workspace, server: BoundServer) -> None:
    """The server stays on, and nobody reaches it any more."""
    network, cable = Network(home(workspace)).name, Cable.of(address_of(server)).device
    subprocess.run(["ip", "-n", network, "link", "set", cable, "down"], check=True)


def fill_disk(workspace: Workspace, _: BoundServer) -> None:
    """Leave not one block where the sandbox keeps the disks of its machines."""
    subprocess.run(["dd", "if=/dev/zero", f"of={home(workspace).path}/full", "bs=1M"], capture_output=True, check=False)
    assert shutil.disk_usage(home(workspace).path).free == 0


def empty_disk(workspace: Workspace) -> None:
    """Undo it."""
    (home(workspace).path / "full").unlink()


TROUBLES = {
    "the sandbox is killed": Trouble(kill_sandbox, start_sandbox),
    "QEMU is killed": Trouble(kill_machine),
    "the disk is full": Trouble(fill_disk, empty_disk, small_disk=True),
    "the network is lost": Trouble(cut_cable),
}


def disturb(workspace: Workspace, trouble: Trouble) -> str:
    """`up` at the level `cluster` with the trouble, then one at `boot` without; what was not as it must be, or nothing."""
    with tempfile.TemporaryFile("w+") as screen:
        command = ["./pulumiw", "up", "--yes", "--skip-preview", "--non-interactive"]
        place, variables = workspace.root, workspace.environment()
        with subprocess.Popen(command, cwd=place, env=variables, stdout=screen, stderr=screen, text=True) as up:
            server = server_with_pods(workspace, up)
            if server is None:
                up.terminate()
                return "no pod ran before `up` ended, or within an hour"
            trouble.make(workspace, server)
            code = up.wait(LONGEST_WAIT)
        trouble.mend(workspace)
        screen.seek(0)
        print("\n".join(screen.read().splitlines()[-40:]), flush=True)
    workspace.configure(verification="boot")
    again = workspace.up()
    problems = {
        "the image was published though the server that tests it was disturbed": code == 0,
        f"the next `up` failed: {again.stdout[-600:]}": again.returncode != 0,
        "not exactly one image is published": [name.startswith("unpublished") for name in workspace.snapshots()]
        != [False],
    }
    workspace.nothing_left_over()
    return "; ".join(problem for problem, found in problems.items() if found)


def server_with_pods(workspace: Workspace, up: subprocess.Popen[str]) -> BoundServer | None:
    """The server whose kernel says that pods were connected; nothing where `up` ends, or an hour passes, before."""
    until = time.monotonic() + LONGEST_WAIT
    while up.poll() is None and time.monotonic() < until:
        time.sleep(2)
        for server in workspace.client.servers.get_all():
            console = home(workspace).path / "machines" / str(server.id) / "console.log"
            if console.exists() and "cni0: port 1" in console.read_text(errors="replace"):
                return server
    return None
