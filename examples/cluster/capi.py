"""Cluster API manifests for node images. Pure: names in, manifests out, so that it works without Pulumi as well.

`./node-images manifests` renders with it, and so does the example of cluster code, which has a copy of this file. It needs
nothing of this repository: copy it wherever you want it.
"""

import hashlib
import json
import re
from collections import Counter
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

BARE_METAL = "bare-metal"
"""The type of a pool of dedicated servers. Which of them are its own a label says: `baremetal-pool`, with the pool's name."""

TYPE = re.compile(rf"[a-z]+[0-9]+|{BARE_METAL}", re.ASCII)

CLOUD_TEMPLATE, BARE_METAL_TEMPLATE = "HCloudMachineTemplate", "HetznerBareMetalMachineTemplate"

SCHEMES = ("https://", "http://")
"""What the rescue system downloads tarballs by."""

SSH_SPEC = {
    "portAfterInstallImage": 22,
    "secretRef": {
        "name": "robot-ssh",
        "key": {"name": "sshkey-name", "publicKey": "ssh-publickey", "privateKey": "ssh-privatekey"},
    },
}
"""The secret with the login key of dedicated servers, under the names that CAPH's own templates have for it."""


class ClusterError(ValueError):
    """What was asked for cannot be rendered: the `rule` that it breaks, and the `remedy`, a sentence without its full stop."""

    def __init__(self, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}. {remedy}")
        self.rule, self.remedy = rule, remedy


@dataclass(frozen=True)
class Pool:
    """Machines of one kind: `type` is a server type of Hetzner Cloud, or `bare-metal`, and then of an `architecture`.

    Without `replicas` the number is left to whoever scales. `machine` is more of the machines' spec, such as `sshKeys`, or
    `installImage` with partitions of your own.
    """

    name: str
    type: str
    replicas: int | None = None
    machine: Mapping[str, Any] = field(default_factory=dict)
    architecture: str = "amd64"

    def __post_init__(self) -> None:
        if not TYPE.fullmatch(self.type):
            rule = f"pool {self.name}, type {self.type}: not a type of machines"
            raise ClusterError(rule, f"Use a server type such as cx33, or {BARE_METAL}")

    @property
    def is_bare_metal(self) -> bool:
        return self.type == BARE_METAL

    @property
    def template_kind(self) -> str:
        return BARE_METAL_TEMPLATE if self.is_bare_metal else CLOUD_TEMPLATE


@dataclass(frozen=True)
class Cluster:
    """A cluster of Cluster API. Its control plane is a KubeadmControlPlane of the pool's name; workers are MachineDeployments.

    Bare metal downloads its images: `tarballs_url` is the directory that serves the tarballs.
    """

    name: str
    workers: Sequence[Pool] = ()
    control_plane: Pool | None = None
    namespace: str = "default"
    api: ApiVersion = "v1beta1"
    tarballs_url: str = ""

    def __post_init__(self) -> None:
        if self.api not in get_args(ApiVersion):
            raise ClusterError(f"API version {self.api}: not rendered", f"Use one of {', '.join(get_args(ApiVersion))}")
        for what, name in (("cluster", self.name), ("namespace", self.namespace)):
            if not NAME.fullmatch(name):
                rule = f"{what} {name}: Kubernetes takes no such name"
                raise ClusterError(rule, "Use lower-case letters, digits and `-`, at most 63 in all")
        for name, count in Counter(pool.name for pool in self.pools).items():
            if count > 1:
                raise ClusterError(f"pool {name}: {count} pools have that name", "Give each a name of its own")
        if any(pool.is_bare_metal for pool in self.pools) and not self.tarballs_url.startswith(SCHEMES):
            raise ClusterError(
                f"URL of the tarballs = {self.tarballs_url}: {BARE_METAL} needs one that begins with {' or '.join(SCHEMES)}",
                "Copy the tarballs to a web server, and give the directory there (--url, or tarballs-url of the program)",
            )

    @property
    def pools(self) -> list[Pool]:
        return [*([self.control_plane] if self.control_plane else []), *self.workers]


@dataclass(frozen=True)
class Image:
    """The image that a cluster's machines boot, and the other names that the stack keeps.

    `tarballs` are the files for bare metal: by name, the image's own and others, and by architecture.
    """

    name: str
    kubernetes: str
    others: Sequence[str] = ()
    tarballs: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def check_interface(version: object) -> None:
    """Raise ClusterError where the exports are not of the version that this file reads."""
    if version != INTERFACE:
        found = "none" if version is None else version
        raise ClusterError(
            f"the stack of the node images exports interface version {found}, and this reads {INTERFACE}",
            "Run `up` in that stack with a matching version of its program",
        )


def tarball_files(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
    """The tarballs of images, `tarballs` of an Image, from the exports `images` and `earlier`. Older exports know of none."""
    return {
        record["name"]: {
            architecture: tarball["path"].rpartition("/")[2]
            for architecture, tarball in record.get("tarballs", {}).items()
        }
        for record in records
    }


def choose(
    names: Mapping[str, str],
    earlier: Iterable[str],
    os: str,
    kubernetes: str,
    tarballs: Mapping[str, Mapping[str, str]] | None = None,
) -> Image:
    """The image of an operating system and a Kubernetes version; a minor such as `1.36` takes its newest patch release.

    `names` is the export `snapshots`, `earlier` the names in the export of that name. Raises ClusterError.
    """
    versions = [key.partition("/")[2] for key in names if key.partition("/")[0] == os]
    fitting = [item for item in versions if item == kubernetes or item.startswith(f"{kubernetes}.")]
    if not fitting:
        raise ClusterError(
            f"the stack keeps no image of {os} with Kubernetes {kubernetes}; it has {', '.join(sorted(names)) or 'none yet'}",
            "Use one of these, or add the version to the stack file of the images",
        )
    newest = max(fitting, key=_version)
    name = names[f"{os}/{newest}"]
    others = [item for item in dict.fromkeys([*names.values(), *earlier]) if item != name]
    return Image(name, newest, others, tarballs or {})


def manifests(cluster: Cluster, image: Image) -> list[Manifest]:
    """All manifests, in the order in which to apply them: what is referred to comes first.

    Templates are immutable, so each content has a name of its own. There is one for every image that the stack keeps, and
    the stack keeps what a server still runs from: so a template goes only after the last of its machines. Images without
    a tarball have no template for bare metal. Raises ClusterError where the chosen one is among them.
    """
    _refuse_without_tarball(cluster, image)
    templates = [
        machine_template(cluster, pool, image, name)
        for name in [image.name, *image.others]
        for pool in cluster.pools
        if not pool.is_bare_metal or pool.architecture in image.tarballs.get(name, {})
    ]
    control_plane = [control_plane_reference(cluster, cluster.control_plane, image)] if cluster.control_plane else []
    return [*templates, *control_plane, *(machine_deployment(cluster, pool, image) for pool in cluster.workers)]


def machine_template(cluster: Cluster, pool: Pool, image: Image, image_name: str) -> Manifest:
    """What Cluster API Provider Hetzner makes servers after; `image_name` is the image's own, or one of the others."""
    name = template_name(cluster, pool, image, image_name)
    spec = {"template": {"spec": _machine(cluster, pool, image, image_name)}}
    return _manifest(cluster, INFRASTRUCTURE, pool.template_kind, name, spec)


def template_name(cluster: Cluster, pool: Pool, image: Image, image_name: str) -> str:
    """The image's name for people, and a digest of the whole content, so that another server type is another template."""
    machine = _machine(cluster, pool, image, image_name)
    digest = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()
    return f"{cluster.name}-{pool.name}-{image_name}-{digest[:6]}"


def install_image(tarballs_url: str, file: str) -> Manifest:
    """The section `installImage` for a tarball. Partitions and `swraid` are a beginning."""
    return {
        "image": {"name": file.partition(".tar")[0], "url": f"{tarballs_url.rstrip('/')}/{file}"},
        "partitions": [
            {"mount": "/boot/efi", "fileSystem": "esp", "size": "512M"},
            {"mount": "/boot", "fileSystem": "ext4", "size": "1024M"},
            {"mount": "/", "fileSystem": "ext4", "size": "all"},
        ],
        "swraid": 0,
    }


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


def _refuse_without_tarball(cluster: Cluster, image: Image) -> None:
    needed = {pool.architecture for pool in cluster.pools if pool.is_bare_metal}
    here = image.tarballs.get(image.name, {})
    missing = ", ".join(sorted(needed - here.keys()))
    if not missing:
        return
    packed = [name for name, files in image.tarballs.items() if files]
    if here:
        rule = f"there is one of {', '.join(here)}"
        remedy = (
            "Use that (--architecture, or `architecture` of the pool), or add the other to the image in the stack file"
        )
    else:
        rule = f"there is one of {', '.join(packed)}" if packed else "no image of the stack has one"
        remedy = "Write `node-images:forms: [snapshot, tarball]` into the stack file of the images, and run `up` there"
    raise ClusterError(f"{image.name} has no tarball of {missing}, which {BARE_METAL} boots from; {rule}", remedy)


def _machine(cluster: Cluster, pool: Pool, image: Image, image_name: str) -> Manifest:
    if pool.is_bare_metal:
        return _dedicated_server(cluster, pool, image.tarballs[image_name][pool.architecture])
    return {**pool.machine, "type": pool.type, "imageName": image_name}


def _dedicated_server(cluster: Cluster, pool: Pool, file: str) -> Manifest:
    """Only hosts that are labelled for the pool, as what is on their disks goes."""
    install = install_image(cluster.tarballs_url, file)
    return {
        "hostSelector": {"matchLabels": {"baremetal-pool": pool.name}},
        "sshSpec": SSH_SPEC,
        **pool.machine,
        "installImage": {**install, **pool.machine.get("installImage", {}), "image": install["image"]},
    }


def _template_reference(cluster: Cluster, pool: Pool, image: Image) -> Manifest:
    return _reference(cluster, INFRASTRUCTURE, pool.template_kind, template_name(cluster, pool, image, image.name))


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
