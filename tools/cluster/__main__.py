"""`make cluster`: set-up, sandbox, an image, two servers from its snapshot, and Kubernetes on them.

Every phase may be interrupted and run again: what is finished stays.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from hcloud import Client, HCloudException
from hcloud.images import Image
from requests import RequestException

from images.engine import plain
from images.exports import read_records
from mirror import MirrorError
from tools.cluster import bootstrap
from tools.cluster.bootstrap import CONTROL_PLANE, WORKER
from tools.cluster.kubectl import Kubectl, run_pods, wait_until_ready
from tools.cluster.machines import Machine, Place, delete_command, wait_until_bootstrapped
from tools.cluster.stack import STACK, Settings, settings
from tools.cluster.waiting import ClusterError
from tools.tryout import PYTHON, ROOT, PhaseFailedError, Phases, release_dead_lock, run

EMULATED = ROOT / "stacks" / "kubeadm.emulated.yaml"
GB = 2**30
# A machine that is sold with 9 GB has somewhat less for programs.
MEMORY, DISK = int(8.5 * GB), 15 * GB


def main() -> int:
    """Run all phases; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        make_cluster()
    except PhaseFailedError as failed:
        return failed.exit_code
    except (ClusterError, MirrorError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except (HCloudException, RequestException) as error:
        print(f"error: the sandbox: {error}\n  `make sandbox-status` shows what runs in it.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What is finished stays; `make cluster` goes on with the rest.", file=sys.stderr)
        return 130
    return 0


def make_cluster() -> None:
    """From nothing to two Ready nodes."""
    require_room()
    config = settings()
    version = config.kubernetes
    phases = Phases()
    with phases.phase("Sandbox and artifact mirror"):
        run([*PYTHON, "tools.local_cloud", "start"])
    with phases.phase("Programs and images of containers"):
        run([*PYTHON, "tools.prepare", STACK])
        run([*PYTHON, "mirror", "images", version])
    with phases.phase("Image"):
        snapshot = build_image(config)
    place = Place(client(config), snapshot, config.ssh_port)
    with phases.phase("Control plane"):
        first = place.up(CONTROL_PLANE, lambda: bootstrap.control_plane(CONTROL_PLANE, version, emulated()))
        wait_until_bootstrapped(first, CONTROL_PLANE)
        kubectl = Kubectl.of(first, version)
        wait_until_ready(kubectl, CONTROL_PLANE)
    with phases.phase("Worker"):
        second = place.up(WORKER, lambda: worker_data(first), after=first)
        wait_until_bootstrapped(second, WORKER)
        wait_until_ready(kubectl, WORKER)
    with phases.phase("Pods on both nodes"):
        connect(first, second)
        run_pods(kubectl, CONTROL_PLANE, WORKER)
    show(phases, kubectl, (first, second))


def require_room() -> None:
    """Raise ClusterError where this machine cannot do it, before anything is made."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    problems = lacking(memory, shutil.disk_usage(ROOT).free)
    if problems:
        raise ClusterError("; ".join(problems))


def lacking(memory: int, free: int) -> list[str]:
    """What a machine with so many bytes of memory and of free disk lacks."""
    problems = []
    if memory < MEMORY:
        problems.append(f"this machine has {memory / GB:.1f} GB of memory; two servers of 4 GB need {MEMORY / GB:g}")
    if free < DISK:
        problems.append(f"{ROOT} has {free / GB:.1f} GB free; {DISK / GB:g} are needed")
    return problems


def build_image(config: Settings) -> Image:
    """`pulumi up` of the stack; returns its snapshot."""
    variables = {"PULUMI_CONFIG_PASSPHRASE": "sandbox"}
    pulumi = [str(ROOT / "pulumiw")]
    run([*pulumi, "stack", "select", "--create", STACK], quiet=True, variables=variables)
    release_dead_lock(STACK)
    options = ["--yes", "--skip-preview", "--suppress-outputs", "--stack", STACK]
    run([*pulumi, "up", *options], variables=variables)
    told = subprocess.run(
        [*pulumi, "stack", "output", "images", "--json", "--stack", STACK],
        cwd=ROOT,
        env={**plain(os.environ), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if told.returncode:
        raise ClusterError(f"`pulumi stack output images` failed: {told.stderr.strip()}")
    return client(config).images.get_by_id(snapshot_of(told.stdout))


def snapshot_of(images: str) -> int:
    """The snapshot that the stack's output `images` names. Raises ClusterError where it names none."""
    try:
        return read_records(json.loads(images), f"exports of stack {STACK}")[0].snapshots["amd64"]
    except (ValueError, LookupError):
        raise ClusterError(
            f"the stack {STACK} exports no snapshot for amd64, but {images.strip() or 'nothing'}; run `make cluster` again"
        ) from None


def client(config: Settings) -> Client:
    """Of the sandbox."""
    return Client(token=config.token, api_endpoint=config.endpoint)


def worker_data(first: Machine) -> str:
    """User data of the second, which trusts the first one's authority."""
    public_key = "openssl x509 -pubkey -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der"
    digest = first.must(f"set -o pipefail; {public_key} | sha256sum | cut -c 1-64").strip()
    return bootstrap.worker(WORKER, first.address(), f"sha256:{digest}", emulated())


def emulated() -> dict[str, dict[str, Any]]:
    """Kubeadm's documents for a machine without hardware virtualisation, by kind."""
    return {document["kind"]: document for document in yaml.safe_load_all(EMULATED.read_text())}


def connect(first: Machine, second: Machine) -> None:
    """Lead packets between the pods of the two."""
    for machine, node, peer, other in ((first, CONTROL_PLANE, WORKER, second), (second, WORKER, CONTROL_PLANE, first)):
        done = machine.ask(bootstrap.tunnel(node, peer, other.address()))
        if done.returncode:
            raise ClusterError(f"{node.name}: no tunnel to the other node: {done.stderr.strip()}")


def show(phases: Phases, kubectl: Kubectl, machines: Sequence[Machine]) -> None:
    """The nodes, the pods, how long it took, and how to go on."""
    print(f"\n{kubectl('get', 'nodes', '--output', 'wide').stdout}")
    print(kubectl("get", "pods", "--all-namespaces", "--output", "wide").stdout)
    for name, seconds in phases.seconds.items():
        print(f"{name:<34}{seconds:5.0f} s")
    print("\nLook at it:")
    print(f"  {shown(kubectl.program)} --kubeconfig {shown(kubectl.kubeconfig)} get nodes")
    for machine in machines:
        print(f"  {' '.join(machine.login())}")
    print(f"Delete its servers:\n  {delete_command(CONTROL_PLANE, WORKER)}")
    print("Delete all that was made in this checkout:\n  make clean")


def shown(path: Path) -> Path:
    """As it is typed in the checkout."""
    return path.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main())
