"""kubectl on this machine, and what is asked with it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import yaml

from mirror import ensure
from mirror.images.recipes import TEST_POD, UPSTREAM
from recipe import load_catalog, load_lock
from recipe.render import artifacts_of
from tools.cluster import bootstrap
from tools.cluster.machines import Machine
from tools.cluster.waiting import HOME, WAIT_MINUTES, ClusterError, attempts, waiting

READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'


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
        config = yaml.safe_load(first.must("cat /etc/kubernetes/admin.conf"))
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
    raise ClusterError(f"{node.name} is not Ready within {WAIT_MINUTES} min:\n{kubectl('describe', 'node').stdout}")


def run_pods(kubectl: Kubectl, asking: bootstrap.Node, answering: bootstrap.Node) -> None:
    """A pod on each node; the one on the first reaches the other by the name of its Service."""
    question = ["wget", "-q", "-T", "10", "-O", "-", "http://web.default.svc.cluster.local/cgi-bin/hostname"]
    with waiting(f"the pod on {asking.name} asks the one on {answering.name}: ") as tell:
        for _ in attempts():
            applied = kubectl("apply", "--filename", "-", text=pods(asking, answering))
            answer = applied if applied.returncode else kubectl("exec", "client", "--", *question)
            if answer.returncode == 0 and answer.stdout.strip() == "web":
                tell("it answers")
                return
            tell((answer.stderr.strip().splitlines() or ["no answer yet"])[-1][:70])
    raise ClusterError(f"no pod reaches the other one:\n{kubectl('get', 'pods', '--all-namespaces').stdout}")


def pods(asking: bootstrap.Node, answering: bootstrap.Node) -> str:
    """The pod `client`, the pod `web`, and the Service of the second."""
    port = {"port": 80, "targetPort": 8080}
    web = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web"}}
    service = {**web, "spec": {"selector": {"app": "web"}, "ports": [port]}}
    return yaml.safe_dump_all([service, _pod("web", answering), _pod("client", asking)], sort_keys=False)


def _pod(name: str, node: bootstrap.Node) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "nodeName": node.name,
            "terminationGracePeriodSeconds": 1,
            # The control plane takes no other pods.
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": name, "image": f"{UPSTREAM}/{TEST_POD}", "imagePullPolicy": "Never"}],
        },
    }
