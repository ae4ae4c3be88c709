"""`make cluster`: set-up, sandbox, an image, two servers from its snapshot, and Kubernetes on them.

Every phase may be interrupted and run again: what is finished stays.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml
from hcloud import Client
from hcloud.images import Image
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer

from recipe import load_catalog, load_lock
from recipe.render import artifacts_of
from tools.cluster import bootstrap
from tools.local_cloud import OWN_KERNEL
from tools.mirror import ensure
from tools.tryout import PYTHON, ROOT, PhaseFailedError, Phases, release_dead_lock, run

STACK = "cluster"
STACK_FILE = ROOT / "stacks" / f"Pulumi.{STACK}.yaml"
EMULATED = ROOT / "stacks" / "kubeadm.emulated.yaml"
HOME = ROOT / ".sandbox" / "cluster"
"""Key, kubectl and kubeconfig."""
SERVER_TYPE = "cx23"
CONTROL_PLANE, WORKER = bootstrap.Node("cluster-control-plane", 0), bootstrap.Node("cluster-worker", 1)
MEMORY_GB, DISK_GB = 9, 15
WAIT_SECONDS = 45 * 60
POLL_SECONDS = 10


class ClusterError(Exception):
    """What went wrong, and what to do about it."""


@dataclass(frozen=True)
class Machine:
    """A server that answers to SSH, and the sandbox's port for it."""

    server: BoundServer
    port: int

    @property
    def host_address(self) -> str:
        """Where this machine reaches it."""
        return str(self.server.public_net.ipv4.ip)  # type: ignore[union-attr]

    def address(self) -> str:
        """Its own, by which other servers reach it."""
        return self.ask("hostname -I").stdout.split()[0]

    def login(self) -> list[str]:
        """The command line that logs in."""
        known = f"UserKnownHostsFile={HOME / 'known_hosts'}"
        options = [
            "-o",
            "StrictHostKeyChecking=accept-new",
            "-o",
            known,
            "-o",
            "ConnectTimeout=10",
            "-o",
            "LogLevel=ERROR",
        ]
        return [
            "ssh",
            "-F",
            "none",
            "-i",
            str(HOME / "key"),
            "-p",
            str(self.port),
            *options,
            f"root@{self.host_address}",
        ]

    def ask(self, command: str, seconds: float = 120) -> subprocess.CompletedProcess[str]:
        """Run a command on it."""
        try:
            return subprocess.run(
                [*self.login(), "-o", "ConnectTimeout=20", command],
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as slow:
            return subprocess.CompletedProcess(slow.cmd, 124, "", f"no answer within {seconds:.0f} s")


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


@dataclass(frozen=True)
class Place:
    """Where the servers of the cluster are made, and of which snapshot."""

    cloud: Client
    snapshot: Image
    port: int

    def up(self, node: bootstrap.Node, user_data: Callable[[], str]) -> Machine:
        """The server of that name, made where there is none of this snapshot yet."""
        found = self.cloud.servers.get_by_name(node.name)
        if found and (found.image is None or found.image.id != self.snapshot.id):
            found.delete().wait_until_finished()
            found = None
        if found:
            print(f"{node.name} is there already")
        return Machine(found or self.create(node, user_data()), self.port)

    def create(self, node: bootstrap.Node, user_data: str) -> BoundServer:
        """With a kernel of its own."""
        made = self.cloud.servers.create(
            node.name,
            ServerType(name=SERVER_TYPE),
            self.snapshot,
            ssh_keys=[own_key(self.cloud)],
            labels=dict([OWN_KERNEL]),
            user_data=user_data,
        )
        for action in [made.action, *made.next_actions]:
            action.wait_until_finished(max_retries=600)
        return made.server


def own_key(cloud: Client) -> Any:  # noqa: ANN401 - the library's SSH key
    """The key that logs in, made once."""
    HOME.mkdir(parents=True, exist_ok=True)
    key = HOME / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cluster", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    known = [item for item in cloud.ssh_keys.get_all() if item.public_key == public]
    return known[0] if known else cloud.ssh_keys.create("cluster", public)


def wait_until_bootstrapped(machine: Machine, node: bootstrap.Node) -> None:
    """Until kubeadm has ended well on it. Says what it waits for, and in the end why not."""
    with waiting(f"{node.name}: ") as tell:
        for _ in attempts():
            asked = machine.ask(HOW_FAR)
            tell("boots" if asked.returncode else "kubeadm is at work")
            if asked.stdout.startswith("done"):
                tell("kubeadm is done")
                return
            if asked.stdout.startswith("failed"):
                raise ClusterError(f"{node.name} did not become a node:\n{asked.stdout.partition(chr(10))[2]}")
    raise ClusterError(f"{node.name} is no node within {WAIT_SECONDS // 60} min; log in: {' '.join(machine.login())}")


HOW_FAR = f"""
if test -e {bootstrap.SUCCESS}; then echo done
elif cloud-init status | grep -q 'done\\|error'; then echo failed; tail -n 25 /var/log/cloud-init-output.log
else echo busy; fi
"""
"""Asked of a server: whether kubeadm has ended, and its last lines where it has failed."""


def attempts() -> Iterator[None]:
    """Until the time is over."""
    until = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < until:
        yield
        time.sleep(POLL_SECONDS)


@contextmanager
def waiting(prefix: str) -> Iterator[Callable[[str], None]]:
    """A line whenever what is waited for changes, with the seconds so far."""
    start, last = time.monotonic(), ""

    def tell(what: str) -> None:
        nonlocal last
        if what != last:
            print(f"  {time.monotonic() - start:4.0f} s  {prefix}{what}", flush=True)
            last = what

    yield tell


@dataclass(frozen=True)
class Kubectl:
    """kubectl of this machine, of the cluster's own version."""

    program: Path
    kubeconfig: Path

    @classmethod
    def of(cls, first: Machine, version: str) -> Self:
        """With the administrator's credentials, which the control plane has."""
        artifacts = artifacts_of(load_catalog(), load_lock(local_builds=True), version, "amd64")
        (url,) = [artifact.url for artifact in artifacts if artifact.name == "kubectl"]
        made = cls(HOME / "kubectl", HOME / "kubeconfig")
        shutil.copyfile(ensure([url])[0].path, made.program)
        made.program.chmod(0o755)
        config = yaml.safe_load(first.ask("cat /etc/kubernetes/admin.conf").stdout)
        # The certificate does not have the address by which this machine reaches the server; it has this name.
        server = {"server": f"https://{first.host_address}:{bootstrap.API_PORT}", "tls-server-name": "kubernetes"}
        config["clusters"][0]["cluster"] |= server
        made.kubeconfig.touch(mode=0o600)
        made.kubeconfig.write_text(yaml.safe_dump(config))
        return made

    def __call__(self, *words: str, text: str = "") -> subprocess.CompletedProcess[str]:
        """Run it."""
        command = [str(self.program), "--kubeconfig", str(self.kubeconfig), "--request-timeout=60s", *words]
        return subprocess.run(command, input=text, capture_output=True, text=True, check=False)


def wait_until_ready(kubectl: Kubectl, node: bootstrap.Node) -> None:
    """No cloud controller manager comes and takes this taint away."""
    with waiting(f"{node.name}: ") as tell:
        for _ in attempts():
            kubectl("taint", "node", node.name, "node.cloudprovider.kubernetes.io/uninitialized-")
            shown = kubectl("get", "node", node.name, "--output", READY)
            tell("Ready" if shown.stdout == "True" else "not Ready yet")
            if shown.stdout == "True":
                return
    raise ClusterError(
        f"{node.name} is not Ready within {WAIT_SECONDS // 60} min:\n{kubectl('describe', 'node').stdout}"
    )


READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'


def connect(first: Machine, second: Machine) -> None:
    """Lead packets between the pods of the two."""
    for machine, node, peer, other in ((first, CONTROL_PLANE, WORKER, second), (second, WORKER, CONTROL_PLANE, first)):
        done = machine.ask(bootstrap.tunnel(node, peer, other.address()))
        if done.returncode:
            raise ClusterError(f"{node.name}: no tunnel to the other node: {done.stderr.strip()}")


PODS = """
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
---
apiVersion: v1
kind: Pod
metadata: {name: web, labels: {app: web}}
spec:
  nodeName: cluster-worker
  terminationGracePeriodSeconds: 1
  containers: [{name: web, image: "registry.k8s.io/node-images/test-pod:1", imagePullPolicy: Never}]
---
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  nodeName: cluster-control-plane
  terminationGracePeriodSeconds: 1
  tolerations: [{operator: Exists}]
  containers: [{name: client, image: "registry.k8s.io/node-images/test-pod:1", imagePullPolicy: Never}]
"""


def run_pods(kubectl: Kubectl) -> None:
    """A pod on each node; the one on the control plane reaches the other by the name of its Service."""
    question = ["wget", "-q", "-T", "10", "-O", "-", "http://web.default.svc.cluster.local/cgi-bin/hostname"]
    with waiting("the pod on the control plane asks the one on the worker: ") as tell:
        for _ in attempts():
            applied = kubectl("apply", "--filename", "-", text=PODS)
            answer = applied if applied.returncode else kubectl("exec", "client", "--", *question)
            if answer.returncode == 0 and answer.stdout.strip() == "web":
                tell("it answers")
                return
            tell((answer.stderr.strip().splitlines() or ["no answer yet"])[-1][:70])
    raise ClusterError(f"no pod reaches the other one:\n{kubectl('get', 'pods', '--all-namespaces').stdout}")


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
