"""Cluster API manifests for node images. Pure: names in, manifests out, so that it works without Pulumi as well.

`./node-images manifests` renders with it, and so does the example of cluster code, which has a copy of this file. It needs
nothing of this repository: copy it wherever you want it.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import yaml

INTERFACE = 1
"""The version of the exports that this file reads."""

ApiVersion = Literal["v1beta1", "v1beta2"]
Manifest = dict[str, Any]

INFRASTRUCTURE = "infrastructure.cluster.x-k8s.io"
INFRASTRUCTURE_API = "v1beta1"
"""What the releases of CAPH serve (v1.1), beside either version of Cluster API's own objects."""

BOOTSTRAP = "bootstrap.cluster.x-k8s.io"
CONTROL_PLANE = "controlplane.cluster.x-k8s.io"
CORE = "cluster.x-k8s.io"


NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)

BARE_METAL = "bare-metal"
"""The type of a pool of dedicated servers. Which of them are its own a label says: `baremetal-pool`, with the pool's name."""

TYPE = re.compile(rf"[a-z]+[0-9]+|{BARE_METAL}", re.ASCII)

KEEP_OTHERS = {"kubectl.kubernetes.io/last-applied-configuration": "{}"}
"""Keeps what others say of an object that somebody once made with a plain `kubectl apply`.

To whoever applies such an object on the server's side, kubectl hands over all fields of that somebody, and then removes those
that are not in the new manifest: of a control plane, kubeadm's configuration. It knows such an object by this annotation.
"""

CLOUD_TEMPLATE, BARE_METAL_TEMPLATE = "HCloudMachineTemplate", "HetznerBareMetalMachineTemplate"

LONGEST_CLUSTER = 50
"""CAPH labels servers with `caph-cluster-NAME`, and a label's key has 63 characters at most."""

REGIONS = ("fsn1", "nbg1", "hel1", "ash", "hil", "sin")
"""Those that CAPH knows."""

EXTERNAL = {"cloud-provider": "external"}
ADDRESSES = {"kubelet-preferred-address-types": "ExternalIP,Hostname,InternalDNS,ExternalDNS"}
PODS = "10.244.0.0/16"
CLOUD_SECRET = {
    "name": "hcloud",
    "key": {"hcloudToken": "hcloud", "hetznerRobotUser": "robot-user", "hetznerRobotPassword": "robot-password"},
}
"""What a new cluster has, as CAPH's own templates do."""

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


TEXT, NUMBER, TRUTH, TEXTS = "a text", "a whole number", "true or false", "a mapping of texts"
Shape = str | tuple[object, ...] | list[Any] | dict[str, Any]
"""Of a field: a kind of value, the values that it may have, a list of shapes or fields by name, required ones with a `*`."""

_SECRET = {"name*": TEXT, "key*": {"name*": TEXT, "publicKey*": TEXT, "privateKey*": TEXT}}
CLOUD_FIELDS: dict[str, Any] = {
    "placementGroupName": TEXT,
    "providerID": TEXT,
    "publicNetwork": {"enableIPv4": TRUTH, "enableIPv6": TRUTH},
    "sshKeys": [{"name*": TEXT, "fingerprint": TEXT}],
}
BARE_METAL_FIELDS: dict[str, Any] = {
    "hostSelector": {
        "matchLabels": TEXTS,
        "matchExpressions": [{"key*": TEXT, "operator*": TEXT, "values*": [TEXT]}],
    },
    "installImage": {
        "btrfsDefinitions": [{"volume*": TEXT, "subvolume*": TEXT, "mount*": TEXT}],
        "image": {"name": TEXT, "path": TEXT, "url": TEXT},
        "logicalVolumeDefinitions": [
            {"vg*": TEXT, "name*": TEXT, "mount*": TEXT, "filesystem*": TEXT, "size*": TEXT},
        ],
        "partitions": [{"mount*": TEXT, "fileSystem*": TEXT, "size*": TEXT}],
        "postInstallScript": TEXT,
        "swraid": (0, 1),
        "swraidLevel": (0, 1, 5, 6, 10),
    },
    "providerID": TEXT,
    "skipCheckDisk": TRUTH,
    "sshSpec": {
        "noSSHAfterInstallImage": TRUTH,
        "portAfterCloudInit": NUMBER,
        "portAfterInstallImage": NUMBER,
        "secretRef*": _SECRET,
    },
}
"""What CAPH's templates have of machines, beside what is refused below."""

_OF_POOL = "it is the pool's, and written from there"
_OF_URL = (
    "CAPH takes either imageName or imageURL with its imageURLCommand, and these machines boot an image by its name"
)
REFUSED_FIELDS = {
    "type": _OF_POOL,
    "imageName": _OF_POOL,
    "imageURL": _OF_URL,
    "imageURLCommand": _OF_URL,
    "installImage.imageURLCommand": "CAPH takes no name of an image beside it, and these machines boot a tarball by its name",
    "installImage.deviceStringType": "CAPH takes it beside an imageURLCommand alone",
}

LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", re.ASCII)
LABEL_KEY = re.compile(rf"([a-z0-9]([a-z0-9.-]{{0,251}}[a-z0-9])?/)?{LABEL.pattern}", re.ASCII)
OPERATORS = {
    **dict.fromkeys(("in", "notin"), (1, 99)),
    **dict.fromkeys(("exists", "!"), (0, 0)),
    **dict.fromkeys(("=", "==", "!=", "gt", "lt"), (1, 1)),
}
"""Of a hostSelector, as CAPH reads it: with how many values."""


class ClusterError(ValueError):
    """What was asked for cannot be rendered: the `rule` that it breaks, and the `remedy`, a sentence without its full stop."""

    def __init__(self, rule: str, remedy: str) -> None:
        super().__init__(f"{rule}. {remedy}")
        self.rule, self.remedy = rule, remedy


@dataclass(frozen=True)
class Fault:
    """A field of machines that CAPH would refuse: where it stands, the rule, and the remedy."""

    place: str
    rule: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.place}: {self.rule}. {self.remedy[0].upper()}{self.remedy[1:]}"


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
        if faults := machine_faults(self.machine, bare_metal=self.is_bare_metal):
            raise ClusterError(f"machine of pool {self.name}", "; ".join(map(str, faults)))

    @property
    def is_bare_metal(self) -> bool:
        return self.type == BARE_METAL

    @property
    def template_kind(self) -> str:
        return BARE_METAL_TEMPLATE if self.is_bare_metal else CLOUD_TEMPLATE


@dataclass(frozen=True)
class Cluster:
    """A cluster of Cluster API. Its control plane is a KubeadmControlPlane of the pool's name; workers are MachineDeployments.

    Bare metal downloads its images: `tarballs_url` is the directory that serves the tarballs. One that does not exist yet is
    `new_in` a region of Hetzner Cloud: then all that it needs is written.
    """

    name: str
    workers: Sequence[Pool] = ()
    control_plane: Pool | None = None
    namespace: str = "default"
    api: ApiVersion = "v1beta2"
    tarballs_url: str = ""
    new_in: str = ""

    def __post_init__(self) -> None:
        if self.api not in get_args(ApiVersion):
            raise ClusterError(f"API version {self.api}: not rendered", f"Use one of {', '.join(get_args(ApiVersion))}")
        self._check_names()
        self._check_region()
        for name, count in Counter(pool.name for pool in self.pools).items():
            if count > 1:
                raise ClusterError(f"pool {name}: {count} pools have that name", "Give each a name of its own")
        if any(pool.is_bare_metal for pool in self.pools) and not self.tarballs_url.startswith(SCHEMES):
            raise ClusterError(
                f"URL of the tarballs = {self.tarballs_url}: {BARE_METAL} needs one that begins with {' or '.join(SCHEMES)}",
                "Copy the tarballs to a web server, and give the directory there (--url, or tarballs-url of the program)",
            )

    def _check_names(self) -> None:
        pools = [("cluster and pool", f"{self.name}-{pool.name}") for pool in self.pools]
        for what, name in (("cluster", self.name), ("namespace", self.namespace), *pools):
            if not NAME.fullmatch(name):
                rule = f"{what} {name}: Kubernetes takes no such name"
                raise ClusterError(rule, "Use lower-case letters, digits and `-`, at most 63 in all")
        if len(self.name) > LONGEST_CLUSTER:
            rule = f"cluster {self.name}: CAPH writes it into keys of labels, which leaves {LONGEST_CLUSTER} characters"
            raise ClusterError(rule, "Use a shorter name")

    def _check_region(self) -> None:
        if self.new_in and self.new_in not in REGIONS:
            raise ClusterError(
                f"region {self.new_in}: CAPH knows none of that name", f"Use one of {', '.join(REGIONS)}"
            )
        if self.new_in and not self.control_plane:
            raise ClusterError("a new cluster needs a control plane", "Name its machines (--control-plane cpx32:3)")

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
    workers = [machine_deployment(cluster, pool, image) for pool in cluster.workers]
    if not cluster.new_in:
        return [*templates, *(_keeping_others(document) for document in [*control_plane, *workers])]
    for document in control_plane:
        document["spec"]["kubeadmConfigSpec"] = kubeadm_of_control_plane(cluster)
    return [
        *templates,
        hetzner_cluster(cluster),
        core_cluster(cluster),
        *control_plane,
        *_with_kubeadm(cluster, workers),
    ]


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
    """The two fields of a KubeadmControlPlane that change with the image. For server-side apply, which leaves the others.

    v1beta1 requires a kubeadmConfigSpec: an empty one takes nothing away from what is there.
    """
    reference = {"infrastructureRef": _template_reference(cluster, pool, image)}
    spec = {
        "version": f"v{image.kubernetes}",
        **({} if pool.replicas is None else {"replicas": pool.replicas}),
        **(
            {"machineTemplate": reference, "kubeadmConfigSpec": {}}
            if cluster.api == "v1beta1"
            else {"machineTemplate": {"spec": reference}}
        ),
    }
    return _manifest(cluster, CONTROL_PLANE, "KubeadmControlPlane", f"{cluster.name}-{pool.name}", spec)


def _keeping_others(document: Manifest) -> Manifest:
    return {**document, "metadata": {**document["metadata"], "annotations": KEEP_OTHERS}}


def hetzner_cluster(cluster: Cluster) -> Manifest:
    """What CAPH makes of Hetzner Cloud for a new cluster: a load balancer in front of its control plane."""
    rescue = (
        {"robotRescueSecretRef": SSH_SPEC["secretRef"]} if any(pool.is_bare_metal for pool in cluster.pools) else {}
    )
    spec = {
        "controlPlaneRegions": [cluster.new_in],
        "controlPlaneEndpoint": {"host": "", "port": 443},
        "controlPlaneLoadBalancer": {"region": cluster.new_in},
        "hcloudNetwork": {"enabled": False},
        "hetznerSecretRef": CLOUD_SECRET,
        "sshKeys": {"hcloud": [], **rescue},
    }
    return _manifest(cluster, INFRASTRUCTURE, "HetznerCluster", cluster.name, spec)


def core_cluster(cluster: Cluster) -> Manifest:
    """The Cluster itself. Its network of pods is the one that network add-ons have unless they are told otherwise."""
    assert cluster.control_plane, "a new cluster has one"  # noqa: S101
    spec = {
        "clusterNetwork": {"pods": {"cidrBlocks": [PODS]}},
        "infrastructureRef": _reference(cluster, INFRASTRUCTURE, "HetznerCluster", cluster.name),
        "controlPlaneRef": _reference(
            cluster, CONTROL_PLANE, "KubeadmControlPlane", f"{cluster.name}-{cluster.control_plane.name}"
        ),
    }
    return _manifest(cluster, CORE, "Cluster", cluster.name, spec)


def kubeadm_of_control_plane(cluster: Cluster) -> Manifest:
    """The least that a cluster with Hetzner's cloud controller manager needs; the rest is in the image."""
    configuration = {
        "apiServer": {"extraArgs": _arguments(cluster, ADDRESSES)},
        "controllerManager": {"extraArgs": _arguments(cluster, EXTERNAL)},
    }
    node = _node_registration(cluster)
    return {"clusterConfiguration": configuration, "initConfiguration": node, "joinConfiguration": node}


def _with_kubeadm(cluster: Cluster, workers: Iterable[Manifest]) -> Iterator[Manifest]:
    """Each MachineDeployment, after the KubeadmConfigTemplate that it refers to."""
    spec = {"template": {"spec": {"joinConfiguration": _node_registration(cluster)}}}
    for deployment in workers:
        yield _manifest(cluster, BOOTSTRAP, "KubeadmConfigTemplate", deployment["metadata"]["name"], spec)
        yield deployment


def _node_registration(cluster: Cluster) -> Manifest:
    return {"nodeRegistration": {"kubeletExtraArgs": _arguments(cluster, EXTERNAL)}}


def _arguments(cluster: Cluster, values: Mapping[str, str]) -> object:
    if cluster.api == "v1beta1":
        return dict(values)
    return [{"name": name, "value": value} for name, value in values.items()]


def machine_faults(fields: Mapping[str, Any], *, bare_metal: bool) -> list[Fault]:
    """What CAPH would refuse of fields that a pool adds to its machines."""
    install = fields.get("installImage") if bare_metal else None
    parts = {"": fields, "installImage.": install if isinstance(install, dict) else {}}
    refused = {
        name: rule for name, rule in REFUSED_FIELDS.items() if _named(parts, name) and (bare_metal == ("." in name))
    }
    faults = [Fault(name, rule, "remove it") for name, rule in refused.items()]
    shape = BARE_METAL_FIELDS if bare_metal else CLOUD_FIELDS
    faults += [fault for fault in _misfits(dict(fields), shape, "") if fault.place not in refused]
    selector = fields.get("hostSelector")
    return faults or (list(_wrong_labels(selector)) if bare_metal and isinstance(selector, dict) else [])


def _named(parts: Mapping[str, Mapping[str, Any]], name: str) -> bool:
    folder, _, field_name = name.rpartition(".")
    return field_name in parts[f"{folder}." if folder else ""]


def _misfits(value: object, shape: Shape, place: str) -> Iterator[Fault]:
    if isinstance(shape, dict):
        yield from _misfits_of_mapping(value, shape, place)
    elif isinstance(shape, list):
        if not isinstance(value, list):
            yield Fault(place, "not a list", "write a line for each, indented below it: - ...")
            return
        for index, item in enumerate(value):
            yield from _misfits(item, shape[0], f"{place}[{index}]")
    elif isinstance(shape, tuple):
        if isinstance(value, bool) or value not in shape:
            yield Fault(place, f"{value} is none of its values", f"write one of {', '.join(map(str, shape))}")
    elif not _is_a(value, shape):
        yield Fault(place, f"not {shape}", f"write {shape}")


def _misfits_of_mapping(value: object, shape: Mapping[str, Any], place: str) -> Iterator[Fault]:
    known = {name.removesuffix("*"): item for name, item in shape.items()}
    if not isinstance(value, dict):
        yield Fault(place, "not a mapping of fields", f"write its fields indented below it: {', '.join(known)}")
        return
    for name in [name for name in shape if name.endswith("*") and name[:-1] not in value]:
        yield Fault(_below(place, name[:-1]), "it is required", "add it")
    for name, item in value.items():
        if name in known:
            yield from _misfits(item, known[name], _below(place, name))
        else:
            yield Fault(_below(place, str(name)), "CAPH has no such field", f"use one of {', '.join(known)}")


def _below(place: str, name: str) -> str:
    return f"{place}.{name}" if place else name


def _is_a(value: object, kind: str) -> bool:
    if kind == TEXTS:
        return isinstance(value, dict) and all(isinstance(item, str) for pair in value.items() for item in pair)
    if kind == NUMBER and isinstance(value, bool):
        return False
    return isinstance(value, {TEXT: str, TRUTH: bool, NUMBER: int}[kind])


def _wrong_labels(selector: Mapping[str, Any]) -> Iterator[Fault]:
    """CAPH refuses the machine, not its template, so these would show only when it makes one."""
    place = "hostSelector.matchLabels"
    for key, value in selector.get("matchLabels", {}).items():
        yield from _wrong_label(f"{place}.{key}", key, [value])
    for index, item in enumerate(selector.get("matchExpressions", [])):
        place = f"hostSelector.matchExpressions[{index}]"
        yield from _wrong_label(place, item["key"], item["values"])
        operator, count = str(item["operator"]).lower(), len(item["values"])
        if operator not in OPERATORS:
            yield Fault(
                f"{place}.operator", f"{item['operator']} is none of CAPH's", f"write one of {', '.join(OPERATORS)}"
            )
        elif not OPERATORS[operator][0] <= count <= OPERATORS[operator][1]:
            wanted = {0: "none", 1: "one"}[OPERATORS[operator][0]] + (" or more" if OPERATORS[operator][1] > 1 else "")
            yield Fault(f"{place}.values", f"{operator} has {count} of them", f"write {wanted}")
        elif operator in ("gt", "lt") and not re.fullmatch(r"[+-]?\d+", item["values"][0], re.ASCII):
            yield Fault(f"{place}.values", f"{operator} compares whole numbers", 'write one in quotes, such as "2"')


def _wrong_label(place: str, key: str, values: Iterable[str]) -> Iterator[Fault]:
    if not LABEL_KEY.fullmatch(key):
        yield Fault(place, f"{key} is not the key of a label", "write it like rack or example.com/rack")
    for value in values:
        if value and not LABEL.fullmatch(value):
            rule = f"{value} is not the value of a label"
            yield Fault(place, rule, "use letters, digits, `-`, `_` and `.`, at most 63 in all")


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
        return {"apiVersion": _api_version(cluster, group), "kind": kind, "name": name}
    return {"apiGroup": group, "kind": kind, "name": name}


def _manifest(cluster: Cluster, group: str, kind: str, name: str, spec: Manifest) -> Manifest:
    labels = {f"{CORE}/cluster-name": cluster.name}
    metadata = {"name": name, "namespace": cluster.namespace, "labels": labels}
    return {"apiVersion": _api_version(cluster, group), "kind": kind, "metadata": metadata, "spec": spec}


def _api_version(cluster: Cluster, group: str) -> str:
    return f"{group}/{INFRASTRUCTURE_API if group == INFRASTRUCTURE else cluster.api}"


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split("."))
