"""The recipe's other forms, each until its node is Ready, on a kernel of its own.

Packages that a container installs in 20 seconds take an emulated processor as many minutes. So builders are containers, as in all
trials, and what becomes a node at its first boot does so in a container, too: its disk then boots with a kernel, where kubeadm
runs. In one piece, on an emulated processor, that is `python -m benchmarks ready`.
"""

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import yaml
from hcloud.images import Image

from benchmarks.booting import login
from benchmarks.ready import run, user_data
from tests.e2e.workspace import (
    NODE,
    Workspace,
    booted,
    by_curl,
    by_packer,
    first_boot_done,
    render_forms,
    rendered,
    shut_down,
    snapshot_of,
)
from tests.kubernetes.metal import boots_of_tarball
from tools.cluster.bootstrap import cloud_config

KUBERNETES = NODE[NODE.index("--kubernetes") + 1]
LIMITS = "export KUBELET_SECONDS=900 CLUSTER_SECONDS=3600\n"
"""For the acceptance tests, which have those of a real server otherwise."""
Figures = dict[str, float]


def script(workspace: Workspace, folder: Path) -> Figures:
    """The way of examples/curl: build, boot, test up to the level `cluster`, publish."""
    return verified(by_curl(workspace, "build", patient_forms(workspace, folder)).stderr)


def packer(workspace: Workspace, folder: Path) -> Figures:
    """A snapshot by Packer, which gets its name after the same tests."""
    forms = patient_forms(workspace, folder)
    snapshot = by_packer(workspace, forms, folder)
    return verified(by_curl(workspace, "verify", forms, snapshot.id).stderr)


def cloud_init(workspace: Workspace, folder: Path) -> Figures:
    """User data of a server, which makes it a node."""
    return ready_after(workspace, folder, rendered(workspace, "cloud-init"))


def pre_kubeadm_commands(workspace: Workspace, folder: Path) -> Figures:
    """The files and commands that Cluster API has a server run before kubeadm."""
    fragment = yaml.safe_load(rendered(workspace, "pre-kubeadm-commands"))
    return ready_after(workspace, folder, cloud_config(fragment["files"], fragment["preKubeadmCommands"]))


def tarball(workspace: Workspace, folder: Path) -> Figures:
    """Packed by an `up`, and written to a disk that boots by BIOS and by UEFI."""
    workspace.configure(forms=["snapshot", "tarball"], tarballs="archives", verification="boot")
    workspace.settle()
    archive = workspace.root / workspace.output("images")[0]["tarballs"]["amd64"]["path"]
    return boots_of_tarball(archive, folder, user_data(KUBERNETES))


MAKERS: dict[str, Callable[[Workspace, Path], Figures]] = {
    "script": script,
    "packer": packer,
    "cloud-init": cloud_init,
    "pre-kubeadm-commands": pre_kubeadm_commands,
    "tarball": tarball,
}


def try_form(workspace: Workspace, form: str) -> tuple[Figures, str]:
    """Seconds until its node was Ready, and what is not as it must be."""
    # A disk of a whole server is too large for a file system in memory.
    with tempfile.TemporaryDirectory(prefix="node-images-form-", dir=workspace.root.parent) as folder:
        try:
            prepared = workspace.python("tools.prepare", "sandbox")
            assert prepared.returncode == 0, prepared.stderr
            figures = MAKERS[form](workspace, Path(folder))
            workspace.nothing_left_over()
        except (AssertionError, RuntimeError, TimeoutError) as error:
            print(error, flush=True)
            return {}, f"no Ready node: {str(error).strip().splitlines()[-1][:200]}"
    return figures, ""


def patient_forms(workspace: Workspace, folder: Path) -> Path:
    """All files, with time for the tests."""
    forms = render_forms(workspace, folder)
    tests = forms / "acceptance.sh"
    tests.write_text(patient(tests.read_text()))
    return forms


def patient(tests: str) -> str:
    """The script with limits after its first line."""
    first, rest = tests.split("\n", 1)
    return f"{first}\n{LIMITS}{rest}"


def verified(said: str) -> Figures:
    """What node-image.sh says of its tests. Raises AssertionError where they made no cluster."""
    found = re.search(r"^== acceptance tests: (.*)$", said, re.MULTILINE)
    assert found, said[-2000:]
    tests = json.loads(found[1])
    assert tests["level"] == "cluster", f"level {tests['level']}: {tests.get('why', '')}"
    return {"ready": tests["seconds"]["ready"]}


def ready_after(workspace: Workspace, folder: Path, first_boot: str) -> Figures:
    """Seconds until a disk that was made by the first boot of a container is a Ready node."""
    with booted(workspace, folder, "debian-13", first_boot) as node:
        first_boot_done(node)
        (server,) = workspace.client.servers.get_all()
        shut_down(workspace, server)
        image = snapshot_of(server)
    with login(workspace) as (_, key):
        return {"ready": round(run(workspace, Image(id=image.id), user_data(KUBERNETES), key).ready.wall, 1)}
