"""From the creation of a server until SSH answers, and until it is a Ready node of a new cluster.

A server of a snapshot stands beside one of the stock image that installs everything at its first boot, by the recipe's own
`preKubeadmCommands`. Both get the same user data otherwise, and kernels of their own.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hcloud.images import Image
from hcloud.ssh_keys import BoundSSHKey

from benchmarks.booting import CLOCKS, Reached, login, reached_since, server_of, until, until_ssh
from benchmarks.measure import Measure
from tests.e2e.workspace import Workspace
from tools.cluster.__main__ import emulated
from tools.cluster.bootstrap import CONTROL_PLANE, SUCCESS, control_plane

SCRIPT = Path(__file__).with_name("ready.sh")
SCRIPT_ON_SERVER = "/run/node-image-ready.sh"
READY, NO_NODE = "node-image: the node is Ready", "node-image: no node"
STEP_SECONDS = 2 * 3600
"""For a step of the recipe: where QEMU translates, packages alone take over 20 minutes."""
READY_SECONDS = 3600
PATIENCE = 3 * 3600
ORDER = ("image", "stock", "image")
"""What takes long is run once, between two of the other, so that a load that grows or shrinks is nobody's advantage."""


@dataclass(frozen=True)
class Run:
    """One server, since it was asked for."""

    ssh: Reached
    ready: Reached
    accelerator: str


def user_data(kubernetes: str, spec: Mapping[str, Any] | None = None) -> str:
    """Of a control plane that tells on its serial console when it is Ready. `spec` is a fragment of a KubeadmConfigSpec."""
    given = spec or {}
    script = {"path": SCRIPT_ON_SERVER, "permissions": "0700", "content": SCRIPT.read_text()}
    more = {
        "files": [*given.get("files", []), script],
        "preKubeadmCommands": [f"export STEP_SECONDS={STEP_SECONDS}", *given.get("preKubeadmCommands", [])],
        "postKubeadmCommands": [f"bash {SCRIPT_ON_SERVER} {SUCCESS} {READY_SECONDS}"],
    }
    return control_plane(CONTROL_PLANE, kubernetes, emulated(), more)


def turns(workspace: Workspace, image: int, kubernetes: str, fragment: Mapping[str, Any]) -> dict[str, list[Run]]:
    """Run servers of the snapshot `image` and of the stock image in turns. Raises RuntimeError and TimeoutError."""
    sources = {
        "image": (Image(id=image), user_data(kubernetes)),
        "stock": (Image(name="debian-13"), user_data(kubernetes, fragment)),
    }
    runs: dict[str, list[Run]] = {name: [] for name in sources}
    with login(workspace) as (_, key):
        for source, _ in sources.values():
            # The sandbox makes the disk of an image once, which no cloud does.
            with server_of(workspace, source, key, None):
                pass
        for name in ORDER:
            runs[name].append(run(workspace, *sources[name], key))
    return runs


def run(workspace: Workspace, image: Image, told: str, key: BoundSSHKey) -> Run:
    """One server, until it is a Ready node."""
    start = time.monotonic()
    with server_of(workspace, image, key, told, on=True) as server:
        facts = workspace.facts(server)
        reached = partial(reached_since, start, facts["pid"])
        until_ssh(workspace, server)
        ssh = reached()
        until_ready(Path(facts["console"]))
        return Run(ssh, reached(), facts["accelerator"])


def until_ready(console: Path, runs: Callable[[], bool] = lambda: True) -> str:
    """Wait until the script tells; return its line. Raises RuntimeError with the last words where no node can come any more."""
    told: list[str] = []

    def works() -> bool:
        ended = not runs()
        told.extend(told_on(console))
        if ended and not told:
            raise RuntimeError("\n".join(["the machine has ended; its last words:", *last_words(console)]))
        return bool(told)

    until(f"Ready node on the console {console}", works, PATIENCE)
    return told[0]


def told_on(console: Path) -> list[str]:
    """The line that says that the node is Ready; none until then. Raises RuntimeError where it will not be."""
    lines = console.read_text(errors="replace").splitlines()
    if any(NO_NODE in line for line in lines):
        raise RuntimeError("\n".join(["the server became no Ready node; its last words:", *last_words(console)]))
    return [line for line in lines if READY in line]


def last_words(console: Path) -> list[str]:
    """The end of what was written there."""
    return console.read_text(errors="replace").splitlines()[-40:]


def figures(runs: Mapping[str, Sequence[Run]]) -> list[Measure]:
    """The stock image's medians beside those of the snapshot: the ratio is how many times as long it takes."""
    return [
        Measure(
            f"stock image with preKubeadmCommands, created until {what}, {clock}",
            statistics.median(read(getattr(one, name)) for one in runs["stock"]),
            beside="from the snapshot",
            reference=statistics.median(read(getattr(one, name)) for one in runs["image"]),
        )
        for name, what in (("ssh", "SSH answers"), ("ready", "the node is Ready"))
        for clock, read in CLOCKS.items()
    ]


def seconds(runs: Mapping[str, Sequence[Run]]) -> dict[str, float]:
    """What is recorded: by the clock."""
    return {
        f"{source} {name}": round(statistics.median(getattr(one, name).wall for one in many), 1)
        for source, many in runs.items()
        for name in ("ssh", "ready")
    }
