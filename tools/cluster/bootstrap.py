"""User data of the cluster's servers, as Cluster API's kubeadm provider writes it. Pure.

It is kubeadm's configuration and a call of kubeadm, with the files and commands of a KubeadmConfigSpec around it. The pod
network is the least that works: a bridge on each node, and a VXLAN tunnel between the two, for which each must know the other's
address.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Any

import yaml

from recipe.joining import TUNNEL
from recipe.kubeadm import merged

PODS = IPv4Network("10.244.0.0/16")
TOKEN = "abcdef.0123456789abcdef"  # noqa: S105 - of a cluster that only this machine can reach
SUCCESS = "/run/cluster-api/bootstrap-success.complete"
"""The mark that Cluster API looks for. It is gone when the server boots again."""
KEPT_SUCCESS = "/var/lib/cloud/bootstrap-success"
"""The same on the disk: kubeadm runs at the first boot alone."""
API_PORT = 6443
OWN_ADDRESS = "OWN-ADDRESS"
"""Stands in the configuration for the address of the server, which only the server knows when it boots."""
# Emulated processors are slow at the key exchange that Go prefers.
KUBELET_ENVIRONMENT = "GODEBUG=tlsmlkem=0\n"
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Node:
    """One of the two; `number` is its place, from 0."""

    name: str
    number: int

    @property
    def pods(self) -> IPv4Network:
        """Addresses of its pods."""
        return list(PODS.subnets(new_prefix=24))[self.number]

    @property
    def tunnel_end(self) -> str:
        """Its end of the tunnel: the ends have the last addresses of the pod network."""
        return str(PODS[-2 - self.number])


CONTROL_PLANE, WORKER = Node("cluster-control-plane", 0), Node("cluster-worker", 1)


def control_plane(node: Node, kubernetes: str, documents: Mapping[str, Document], spec: Document | None = None) -> str:
    """`documents` is what kubeadm is told beside, by kind; `spec` the files and commands of a KubeadmConfigSpec."""
    given = dict(documents)
    init = {
        **given.pop("InitConfiguration", {}),
        "bootstrapTokens": [{"token": TOKEN, "ttl": "24h0m0s"}],
        "nodeRegistration": _registration(node),
        "localAPIEndpoint": {"advertiseAddress": OWN_ADDRESS, "bindPort": API_PORT},
    }
    ours = {"kubernetesVersion": f"v{kubernetes}", "networking": {"podSubnet": str(PODS)}}
    cluster = merged(given.pop("ClusterConfiguration", {}), ours)
    kubeadm = [_document("ClusterConfiguration", cluster), _document("InitConfiguration", init)]
    return _user_data(node, "init", "/run/kubeadm/kubeadm.yaml", [*kubeadm, *given.values()], spec or {})


def worker(node: Node, control_plane_address: str, ca_hash: str, documents: Mapping[str, Document]) -> str:
    """`ca_hash` is that of the cluster's authority, as `kubeadm join --discovery-token-ca-cert-hash` takes it."""
    endpoint = f"{control_plane_address}:{API_PORT}"
    join = {
        "discovery": {
            "bootstrapToken": {"apiServerEndpoint": endpoint, "token": TOKEN, "caCertHashes": [ca_hash]},
        },
        "nodeRegistration": _registration(node),
        "timeouts": documents.get("InitConfiguration", {}).get("timeouts", {}),
    }
    return _user_data(node, "join", "/run/kubeadm/kubeadm-join-config.yaml", [_document("JoinConfiguration", join)], {})


def tunnel(node: Node, peer: Node, peer_address: str) -> str:
    """Shell that leads packets for the other node's pods to it; it may run again, as after a boot, which takes all of it away."""
    # The pods' way to others than pods.
    masquerade = f"POSTROUTING -s {node.pods} ! -d {PODS} -j MASQUERADE"
    return "\n".join(
        [
            "set -e",
            TUNNEL.read_text(),
            f"tunnel {node.tunnel_end} {peer.tunnel_end} {peer.pods} {peer_address}",
            f"iptables -t nat -C {masquerade} 2>/dev/null || iptables -t nat -A {masquerade}",
        ]
    )


def _registration(node: Node) -> Document:
    return {
        "name": node.name,
        "criSocket": "unix:///run/containerd/containerd.sock",
        # With cloud-provider=external nobody else says it, as there is no cloud controller manager here.
        "kubeletExtraArgs": [{"name": "node-ip", "value": OWN_ADDRESS}],
    }


def _document(kind: str, content: Document) -> Document:
    return {**content, "apiVersion": "kubeadm.k8s.io/v1beta4", "kind": kind}


def _user_data(node: Node, what: str, config: str, documents: list[Document], spec: Document) -> str:
    files = {
        config: yaml.safe_dump_all(documents, sort_keys=False),
        "/run/cluster-api/placeholder": "placeholder to create the /run/cluster-api directory\n",
        "/etc/cni/net.d/10-cluster.conflist": _cni(node),
        "/etc/default/kubelet": KUBELET_ENVIRONMENT,
    }
    ours = [
        {"path": path, "owner": "root:root", "permissions": "0640", "content": text} for path, text in files.items()
    ]
    commands = [
        f"sed -i \"s/{OWN_ADDRESS}/$(hostname -I | cut -d ' ' -f 1)/\" {config}",
        *spec.get("preKubeadmCommands", []),
        f"kubeadm {what} --config {config} && echo success | tee {SUCCESS} {KEPT_SUCCESS}",
        *spec.get("postKubeadmCommands", []),
    ]
    return cloud_config([*ours, *spec.get("files", [])], commands)


def cloud_config(files: Sequence[Document], commands: Sequence[str]) -> str:
    """User data that writes files, and then runs commands as one script."""
    document = {"write_files": [*files], "runcmd": [*commands]}
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
