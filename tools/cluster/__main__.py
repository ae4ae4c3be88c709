"""`make cluster`: set-up, sandbox, an image, two servers from its snapshot, and Kubernetes on them.

Every phase may be interrupted and run again: what is finished stays.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from hcloud import Client
from hcloud.images import Image

from tools.cluster import bootstrap
from tools.cluster.kubectl import Kubectl, run_pods, wait_until_ready
from tools.cluster.machines import Machine, Place, wait_until_bootstrapped
from tools.cluster.waiting import ClusterError
from tools.tryout import PYTHON, ROOT, PhaseFailedError, Phases, release_dead_lock, run

STACK = "cluster"
STACK_FILE = ROOT / "stacks" / f"Pulumi.{STACK}.yaml"
EMULATED = ROOT / "stacks" / "kubeadm.emulated.yaml"
CONTROL_PLANE, WORKER = bootstrap.Node("cluster-control-plane", 0), bootstrap.Node("cluster-worker", 1)
MEMORY_GB, DISK_GB = 9, 15


def main() -> int:
    """Run all phases; return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        make_cluster()
    except PhaseFailedError as failed:
        return failed.exit_code
    except ClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. What is finished stays; `make cluster` goes on with the rest.", file=sys.stderr)
        return 130
    return 0


def make_cluster() -> None:
    """From nothing to two Ready nodes."""
    require_room()
    config = yaml.safe_load(STACK_FILE.read_text())["config"]
    version = config["node-images:images"][0]["kubernetes"][0]
    phases = Phases()
    with phases.phase("Sandbox and artifact mirror"):
        run([*PYTHON, "tools.local_cloud", "start"])
    with phases.phase("Programs and images of containers"):
        run([*PYTHON, "tools.prepare", STACK])
        run([*PYTHON, "tools.mirror", "images", version])
    with phases.phase("Image"):
        snapshot = build_image(config)
    place = Place(client(config), snapshot, int(config["node-images:sshPort"]))
    with phases.phase("Control plane"):
        first = place.up(CONTROL_PLANE, lambda: bootstrap.control_plane(CONTROL_PLANE, version, emulated()))
        wait_until_bootstrapped(first, CONTROL_PLANE)
        kubectl = Kubectl.of(first, version)
        wait_until_ready(kubectl, CONTROL_PLANE)
    with phases.phase("Worker"):
        second = place.up(WORKER, lambda: worker_data(first))
        wait_until_bootstrapped(second, WORKER)
        wait_until_ready(kubectl, WORKER)
    with phases.phase("Pods on both nodes"):
        connect(first, second)
        run_pods(kubectl)
    show(phases, kubectl, (first, second))


def require_room() -> None:
    """Raise ClusterError where this machine cannot do it, before anything is made."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
    free = shutil.disk_usage(ROOT).free >> 30
    problems = []
    if memory < MEMORY_GB:
        problems.append(f"this machine has {memory} GB of memory; two servers of 4 GB need {MEMORY_GB}")
    if free < DISK_GB:
        problems.append(f"{ROOT} has {free} GB free; {DISK_GB} are needed")
    if problems:
        raise ClusterError("; ".join(problems))


def build_image(config: Mapping[str, Any]) -> Image:
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
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    return client(config).images.get_by_id(json.loads(told.stdout)[0]["snapshots"]["amd64"])


def client(config: Mapping[str, Any]) -> Client:
    """Of the sandbox."""
    return Client(token=config["hcloud:token"], api_endpoint=config["hcloud:endpoint"])


def worker_data(first: Machine) -> str:
    """User data of the second, which trusts the first one's authority."""
    digest = "openssl x509 -pubkey -in /etc/kubernetes/pki/ca.crt | openssl pkey -pubin -outform der | sha256sum | cut -c 1-64"
    return bootstrap.worker(WORKER, first.address(), f"sha256:{first.ask(digest).stdout.strip()}", emulated())


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
    print("Delete it:\n  make clean")


def shown(path: Path) -> Path:
    """As it is typed in the checkout."""
    return path.relative_to(ROOT)


if __name__ == "__main__":
    sys.exit(main())
