"""Cluster API manifests for node images. Pure: names in, manifests out, so that it works without Pulumi as well.

`./node-images manifests` renders with this file too. It needs nothing of this repository: copy it wherever you want it.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import yaml

INTERFACE = 1
"""The version of the exports that this file reads."""

ApiVersion = Literal["v1beta1", "v1beta2"]
Manifest = dict[str, Any]

INFRASTRUCTURE = "infrastructure.cluster.x-k8s.io"
BOOTSTRAP = "bootstrap.cluster.x-k8s.io"
CONTROL_PLANE = "controlplane.cluster.x-k8s.io"
CORE = "cluster.x-k8s.io"


NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)


class ClusterError(ValueError):
    """What was asked for cannot be rendered; the text says what can be."""


@dataclass(frozen=True)
class Pool:
    """Machines of one kind.

    Without `replicas` the number is left to whoever scales. `machine` is more of the machines' spec, such as `sshKeys`.
    """

    name: str
    type: str
    replicas: int | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Cluster:
    """A cluster of Cluster API. Its control plane is a KubeadmControlPlane of the pool's name; workers are MachineDeployments."""

    name: str
    workers: Sequence[Pool] = ()
    control_plane: Pool | None = None
    namespace: str = "default"
    api: ApiVersion = "v1beta1"

    def __post_init__(self) -> None:
        if self.api not in get_args(ApiVersion):
            raise ClusterError(f"API version {self.api}: use one of {', '.join(get_args(ApiVersion))}")
        for what, name in (("cluster", self.name), ("namespace", self.namespace)):
            if not NAME.fullmatch(name):
                raise ClusterError(
                    f"{what} {name}: Kubernetes takes lower-case letters, digits and `-`, at most 63 in all"
                )

    @property
    def pools(self) -> list[Pool]:
        return [*([self.control_plane] if self.control_plane else []), *self.workers]


@dataclass(frozen=True)
class Image:
    """The image that a cluster's machines boot, and the other names that the stack keeps."""

    name: str
    kubernetes: str
    others: Sequence[str] = ()


def check_interface(version: object) -> None:
    """Raise ClusterError where the exports are not of the version that this file reads."""
    if version != INTERFACE:
        found = "none" if version is None else version
        raise ClusterError(
            f"the stack of the node images exports interface version {found}, and this reads {INTERFACE}: "
            "run `up` in that stack with a matching version of its program"
        )


def choose(names: Mapping[str, str], earlier: Iterable[str], os: str, kubernetes: str) -> Image:
    """The image of an operating system and a Kubernetes version; a minor such as `1.36` takes its newest patch release.

    `names` is the export `snapshots`, `earlier` the names in the export of that name. Raises ClusterError.
    """
    versions = [key.partition("/")[2] for key in names if key.partition("/")[0] == os]
    fitting = [item for item in versions if item == kubernetes or item.startswith(f"{kubernetes}.")]
    if not fitting:
        raise ClusterError(
            f"the stack keeps no image of {os} with Kubernetes {kubernetes}; it has {', '.join(sorted(names)) or 'none yet'}. "
            "Use one of these, or add the version to the stack file of the images"
        )
    newest = max(fitting, key=_version)
    name = names[f"{os}/{newest}"]
    return Image(name, newest, [item for item in dict.fromkeys([*names.values(), *earlier]) if item != name])


def manifests(cluster: Cluster, image: Image) -> list[Manifest]:
    """All manifests, in the order in which to apply them: what is referred to comes first.

    Templates are immutable, so each content has a name of its own. There is one for every image that the stack keeps, and
    the stack keeps what a server still runs from: so a template goes only after the last of its machines.
    """
    names = [image.name, *image.others]
    templates = [machine_template(cluster, pool, name) for name in names for pool in cluster.pools]
    control_plane = [control_plane_reference(cluster, cluster.control_plane, image)] if cluster.control_plane else []
    return [*templates, *control_plane, *(machine_deployment(cluster, pool, image) for pool in cluster.workers)]


def machine_template(cluster: Cluster, pool: Pool, image_name: str) -> Manifest:
    """What Cluster API Provider Hetzner makes servers after."""
    name = template_name(cluster, pool, image_name)
    spec = {"template": {"spec": _machine(pool, image_name)}}
    return _manifest(cluster, INFRASTRUCTURE, "HCloudMachineTemplate", name, spec)


def template_name(cluster: Cluster, pool: Pool, image_name: str) -> str:
    """The image's name for people, and a digest of the whole content, so that another server type is another template."""
    digest = hashlib.sha256(json.dumps(_machine(pool, image_name), sort_keys=True).encode()).hexdigest()
    return f"{cluster.name}-{pool.name}-{image_name}-{digest[:6]}"


def machine_deployment(cluster: Cluster, pool: Pool, image: Image) -> Manifest:
    """A pool of workers. Its KubeadmConfigTemplate has the same name, and is the cluster's own."""
    name = f"{cluster.name}-{pool.name}"
    labels = {f"{CORE}/cluster-name": cluster.name, f"{CORE}/deployment-name": name}
    machine = {
        "clusterName": cluster.name,
        "version": f"v{image.kubernetes}",
        "bootstrap": {"configRef": _reference(cluster, BOOTSTRAP, "KubeadmConfigTemplate", name)},
        "infrastructureRef": _template_reference(cluster, pool, image),
    }
    return _manifest(
        cluster,
        CORE,
        "MachineDeployment",
        name,
        {
            "clusterName": cluster.name,
            **({} if pool.replicas is None else {"replicas": pool.replicas}),
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": machine},
        },
    )


def control_plane_reference(cluster: Cluster, pool: Pool, image: Image) -> Manifest:
    """The two fields of a KubeadmControlPlane that change with the image. For server-side apply, which leaves the others."""
    reference = {"infrastructureRef": _template_reference(cluster, pool, image)}
    spec = {
        "version": f"v{image.kubernetes}",
        **({} if pool.replicas is None else {"replicas": pool.replicas}),
        "machineTemplate": reference if cluster.api == "v1beta1" else {"spec": reference},
    }
    return _manifest(cluster, CONTROL_PLANE, "KubeadmControlPlane", f"{cluster.name}-{pool.name}", spec)


def rollover(image: Image, earlier: Iterable[Mapping[str, Any]]) -> list[str]:
    """Where a change of the image stands, in words. `earlier` is the export of that name."""
    lines = [f"new machines boot {image.name}"]
    for item in earlier:
        servers = item["servers"]
        if servers:
            count = "1 server runs" if len(servers) == 1 else f"{len(servers)} servers run"
            lines.append(f"{count} from {item['name']}, which stays until they are gone: {', '.join(servers)}")
        else:
            lines.append(f"no server runs from {item['name']}: it is kept to go back to")
    return lines


def to_yaml(documents: Iterable[Manifest]) -> str:
    """One YAML document for each manifest."""
    return yaml.dump_all(documents, Dumper=_PlainDumper, sort_keys=False, explicit_start=True, width=1000)


class _PlainDumper(yaml.SafeDumper):
    """Without anchors, which people do not expect in manifests."""

    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML's signature
        return True


def _machine(pool: Pool, image_name: str) -> Manifest:
    return {**pool.machine, "type": pool.type, "imageName": image_name}


def _template_reference(cluster: Cluster, pool: Pool, image: Image) -> Manifest:
    return _reference(cluster, INFRASTRUCTURE, "HCloudMachineTemplate", template_name(cluster, pool, image.name))


def _reference(cluster: Cluster, group: str, kind: str, name: str) -> Manifest:
    if cluster.api == "v1beta1":
        return {"apiVersion": f"{group}/{cluster.api}", "kind": kind, "name": name}
    return {"apiGroup": group, "kind": kind, "name": name}


def _manifest(cluster: Cluster, group: str, kind: str, name: str, spec: Manifest) -> Manifest:
    labels = {f"{CORE}/cluster-name": cluster.name}
    metadata = {"name": name, "namespace": cluster.namespace, "labels": labels}
    return {"apiVersion": f"{group}/{cluster.api}", "kind": kind, "metadata": metadata, "spec": spec}


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
