"""User data of the cluster's servers, as Cluster API's kubeadm provider writes it. Pure.

It is kubeadm's configuration and a call of kubeadm. The pod network is the least that works: a bridge on each node, and a
VXLAN tunnel between the two.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import yaml

PODS = IPv4Network("10.244.0.0/16")
TOKEN = "abcdef.0123456789abcdef"  # noqa: S105 - of a cluster that only this machine can reach
SUCCESS = "/run/cluster-api/bootstrap-success.complete"
API_PORT = 6443
# Emulated processors are slow at the key exchange that Go prefers.
KUBELET_ENVIRONMENT = "GODEBUG=tlsmlkem=0\n"
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """One of the two: `number` is its place, from 0, `address` its own and `peer` the other's in the sandbox's network."""

    name: str
    number: int
    address: str
    peer: str

    @property
    def pods(self) -> IPv4Network:
        """Addresses of its pods."""
        return list(PODS.subnets(new_prefix=24))[self.number]


def control_plane(node: Node, kubernetes: str, documents: Mapping[str, Document]) -> str:
    """`documents` is what kubeadm is told beside, by kind."""
    init = _init(node, documents.get("InitConfiguration", {}))
    cluster = {**documents.get("ClusterConfiguration", {}), "kubernetesVersion": f"v{kubernetes}"}
    others = [
        document for kind, document in documents.items() if kind not in ("InitConfiguration", "ClusterConfiguration")
    ]
    return _user_data(node, "init", [_document("ClusterConfiguration", cluster), init, *others])


def worker(node: Node, control_plane_address: str, ca_hash: str, documents: Mapping[str, Document]) -> str:
    """`ca_hash` is that of the cluster's authority, as `kubeadm join --discovery-token-ca-cert-hash` takes it."""
    discovery = {
        "apiServerEndpoint": f"{control_plane_address}:{API_PORT}",
        "token": TOKEN,
        "caCertHashes": [ca_hash],
    }
    timeouts = documents.get("InitConfiguration", {}).get("timeouts", {})
    join = {
        "discovery": {"bootstrapToken": discovery},
        "nodeRegistration": _registration(node),
        **({"timeouts": timeouts} if timeouts else {}),
    }
    return _user_data(node, "join", [_document("JoinConfiguration", join)])


def _init(node: Node, given: Document) -> Document:
    registration = {**given.get("nodeRegistration", {}), **_registration(node)}
    tokens = [{"token": TOKEN, "ttl": "24h0m0s"}]
    content = {**given, "bootstrapTokens": tokens, "nodeRegistration": registration}
    local = {"advertiseAddress": node.address, "bindPort": API_PORT}
    return _document("InitConfiguration", {**content, "localAPIEndpoint": local})


def _registration(node: Node) -> Document:
    return {
        "name": node.name,
        "criSocket": "unix:///run/containerd/containerd.sock",
        # With cloud-provider=external nobody else says it, as there is no cloud controller manager here.
        "kubeletExtraArgs": [{"name": "node-ip", "value": node.address}],
        # They are on the image.
        "imagePullPolicy": "IfNotPresent",
    }


def _document(kind: str, content: Document) -> Document:
    return {"apiVersion": "kubeadm.k8s.io/v1beta4", "kind": kind, **content}


def _user_data(node: Node, what: str, documents: list[Document]) -> str:
    config = "/run/kubeadm/kubeadm.yaml" if what == "init" else "/run/kubeadm/kubeadm-join-config.yaml"
    files = {
        config: yaml.safe_dump_all(documents, sort_keys=False),
        "/run/cluster-api/placeholder": "placeholder to create the /run/cluster-api directory\n",
        "/etc/cni/net.d/10-cluster.conflist": _cni(node),
        "/etc/default/kubelet": KUBELET_ENVIRONMENT,
    }
    document = {
        "write_files": [
            {"path": path, "owner": "root:root", "permissions": "0640", "content": text} for path, text in files.items()
        ],
        "runcmd": [*_tunnel(node), f"kubeadm {what} --config {config} && echo success > {SUCCESS}"],
    }
    return f"#cloud-config\n{yaml.safe_dump(document, sort_keys=False)}"


def _cni(node: Node) -> str:
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "hairpinMode": True,
        "ipam": {"type": "host-local", "ranges": [[{"subnet": str(node.pods)}]], "routes": [{"dst": "0.0.0.0/0"}]},
    }
    ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "cluster", "plugins": [bridge, ports]}, indent=1) + "\n"


def _tunnel(node: Node) -> list[str]:
    """Addresses of the tunnel's ends are the last of the pod network."""
    own, other = (str(PODS[-2 - number]) for number in (node.number, 1 - node.number))
    others = list(PODS.subnets(new_prefix=24))[1 - node.number]
    return [
        f"ip link add pods type vxlan id 1 dstport 8472 local {node.address} remote {node.peer}",
        f"ip address add {own} peer {other} dev pods",
        "ip link set pods mtu 1450 up",
        f"ip route add {others} via {other} dev pods",
        # The pods' way to others than pods.
        f"iptables --table nat --append POSTROUTING --source {node.pods} ! --destination {PODS} --jump MASQUERADE",
    ]
