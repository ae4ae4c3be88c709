"""kubectl on this machine, and what is asked with it."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import yaml

from recipe import load_catalog, load_lock
from recipe.render import artifacts_of
from tools.cluster import bootstrap
from tools.cluster.machines import Machine
from tools.cluster.waiting import HOME, WAIT_MINUTES, ClusterError, attempts, waiting
from tools.mirror import ensure

READY = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}'
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
    raise ClusterError(f"{node.name} is not Ready within {WAIT_MINUTES} min:\n{kubectl('describe', 'node').stdout}")


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
