"""Manifests from exports: what CAPH and Cluster API take, named so that a change is a rollover, and nothing goes too early."""

import gzip
import json
from contextlib import nullcontext
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.__main__ import app
from clusters.capi import (
    BARE_METAL_FIELDS,
    CLOUD_FIELDS,
    NUMBER,
    TEXT,
    TEXTS,
    TRUTH,
    Cluster,
    ClusterError,
    Image,
    Pool,
    check_interface,
    choose,
    install_image,
    machine_faults,
    manifests,
    rollover,
    tarball_files,
)
from tests.exports import earlier, exports, image, tarball

DATA = Path("tests/data/crds")
IMAGE = Image("debian-13-kube-1.36.4-0a1b2c3d", "1.36.4")
CLUSTER = Cluster("prod", [Pool("workers", "cx33", 3)], Pool("control-plane", "cpx32"))

URL = "https://images.example.com/nodes"
FILE = "Debian-1300-trixie-amd64-kube-1.36.4-0a1b2c3d.tar.gz"
METAL = Pool("metal", "bare-metal", 3)
PACKED = Image(IMAGE.name, IMAGE.kubernetes, tarballs={IMAGE.name: {"amd64": FILE}})


@cache
def crd(kind: str) -> dict[str, Any]:
    """Of the releases that tests/data/crds/README.md names."""
    return yaml.safe_load(gzip.decompress((DATA / f"{kind.lower()}s.yaml.gz").read_bytes()))


def schema(manifest: dict[str, Any]) -> dict[str, Any]:
    versions = {item["name"]: item["schema"]["openAPIV3Schema"] for item in crd(manifest["kind"])["spec"]["versions"]}
    return strict(versions[manifest["apiVersion"].partition("/")[2]])


def strict(part: Any) -> Any:
    """Unknown fields are refused, where a server would drop them."""
    if isinstance(part, list):
        return [strict(item) for item in part]
    if not isinstance(part, dict):
        return part
    closed = {key: strict(value) for key, value in part.items()}
    if "properties" in part and part.get("type") == "object" and "additionalProperties" not in part:
        closed["additionalProperties"] = False
    return closed


def check(manifest: dict[str, Any]) -> None:
    document = json.loads(json.dumps(manifest))
    wanted = schema(document)
    wanted["properties"]["metadata"] = {"type": "object", "required": ["name", "namespace"]}
    jsonschema.validate(document, wanted)


def run(document: Any, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["manifests", "--exports", "-", *arguments], input=json.dumps(document))


def test_a_pool_whose_machines_could_not_be_made_is_refused() -> None:
    document = exports(image(disks={"amd64": 80}))
    pools = ["--workers", "small=cx23", "--workers", "arm=cax21", "--workers", "fit=cx33"]
    result = run(document, "--control-plane", "cpx32", *pools)
    assert result.exit_code == 1
    text = " ".join(result.output.split())
    assert "2 problems" in text
    assert "pool small = cx23" in text
    assert "this type has 40 GB" in text
    assert "maxDisk: 40" in text
    assert "pool arm = cax21" in text


def written(document: Any, *arguments: str) -> list[dict[str, Any]]:
    machines = ["--cluster", "prod", "--control-plane", "cpx32", "--workers", "workers=cx33:3"]
    result = run(document, *machines, *arguments)
    assert result.exit_code == 0, result.output
    return list(yaml.safe_load_all(result.stdout))


def of_kind(documents: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [item for item in documents if item["kind"] == kind]


@pytest.mark.parametrize("api", ["v1beta1", "v1beta2"])
def test_every_manifest_follows_its_definition(api: Any) -> None:
    machine = {"sshKeys": [{"name": "admin"}], "publicNetwork": {"enableIPv4": True}}
    cluster = Cluster("prod", [Pool("workers", "cx33", 3, machine)], Pool("control-plane", "cpx32"), "clusters", api)
    documents = manifests(cluster, Image(IMAGE.name, IMAGE.kubernetes, ["debian-13-kube-1.36.4-f0e1d2c3"]))
    assert {item["kind"] for item in documents} == {"HCloudMachineTemplate", "MachineDeployment", "KubeadmControlPlane"}
    for document in documents:
        check(document)


@pytest.mark.parametrize("api", ["v1beta1", "v1beta2"])
def test_every_manifest_of_bare_metal_follows_its_definition(api: Any) -> None:
    more = {
        "hostSelector": {"matchExpressions": [{"key": "rack", "operator": "in", "values": ["a", "b"]}]},
        "installImage": {"swraid": 1, "swraidLevel": 1, "postInstallScript": "#!/bin/bash\ntrue\n"},
    }
    pools = [METAL, Pool("storage", "bare-metal", machine=more)]
    documents = manifests(metal_cluster(pools, Pool("control-plane", "bare-metal"), api), PACKED)
    kinds = {item["kind"] for item in documents}
    assert kinds == {"HetznerBareMetalMachineTemplate", "MachineDeployment", "KubeadmControlPlane"}
    for document in documents:
        check(document)


def test_a_field_of_bare_metal_that_does_not_exist_would_be_seen() -> None:
    (template, _) = manifests(metal_cluster([METAL]), PACKED)
    template["spec"]["template"]["spec"]["installImage"]["swRaid"] = 1
    with pytest.raises(jsonschema.ValidationError, match="swRaid"):
        check(template)


@pytest.mark.parametrize("api", ["v1beta1", "v1beta2"])
def test_every_manifest_of_a_new_cluster_follows_its_definition(api: Any) -> None:
    pools = [METAL, Pool("workers", "cx33")]
    cluster = Cluster("prod", pools, Pool("control-plane", "cpx32", 3), api=api, tarballs_url=URL, new_in="nbg1")
    documents = manifests(cluster, PACKED)
    assert [item["kind"] for item in documents] == [
        *("HCloudMachineTemplate", "HetznerBareMetalMachineTemplate", "HCloudMachineTemplate"),
        *("HetznerCluster", "Cluster", "KubeadmControlPlane"),
        *("KubeadmConfigTemplate", "MachineDeployment", "KubeadmConfigTemplate", "MachineDeployment"),
    ]
    for document in documents:
        check(document)


def test_all_that_a_new_cluster_refers_to_is_there() -> None:
    cluster = Cluster("prod", [Pool("workers", "cx33")], Pool("control-plane", "cpx32"), "clusters", new_in="fsn1")
    documents = manifests(cluster, IMAGE)
    there = {(item["kind"], item["metadata"]["name"]) for item in documents}
    assert references(documents) <= there
    assert len(references(documents)) == 5
    (hetzner,) = of_kind(documents, "HetznerCluster")
    assert hetzner["spec"]["controlPlaneRegions"] == ["fsn1"]
    assert "robotRescueSecretRef" not in hetzner["spec"]["sshKeys"]


def references(value: Any) -> set[tuple[str, str]]:
    """Of kind and name, at every depth."""
    if isinstance(value, list):
        return {item for one in value for item in references(one)}
    if not isinstance(value, dict):
        return set()
    own = {(value["kind"], value["name"])} if {"kind", "name"} <= value.keys() else set()
    return own | {item for key, one in value.items() for item in references(one)}


def test_templates_are_of_the_infrastructure_that_is_released() -> None:
    """CAPH v1.1 serves v1beta1 alone, beside either version of Cluster API."""
    for api, core in (("v1beta1", "v1beta1"), ("v1beta2", "v1beta2"), (None, "v1beta2")):
        documents = written(exports(), *(["--api", api] if api else []))
        versions = {item["kind"]: item["apiVersion"].partition("/")[2] for item in documents}
        assert versions == {"HCloudMachineTemplate": "v1beta1", "KubeadmControlPlane": core, "MachineDeployment": core}


@pytest.mark.parametrize(
    ("name", "workers", "region", "told"),
    [
        ("prod", [], "mars1", "region mars1: CAPH knows none of that name. Use one of fsn1, nbg1"),
        ("p" * 51, [], "", "which leaves 50 characters. Use a shorter name"),
        ("prod", [Pool("w" * 59, "cx33")], "", f"cluster and pool prod-{'w' * 59}: Kubernetes takes no such name"),
    ],
)
def test_what_a_cluster_cannot_be_called(name: str, workers: list[Pool], region: str, told: str) -> None:
    with pytest.raises(ClusterError, match=told):
        Cluster(name, workers, Pool("first", "cpx32"), new_in=region)


def test_a_new_cluster_needs_a_control_plane() -> None:
    with pytest.raises(ClusterError, match="Name its machines"):
        Cluster("prod", [Pool("workers", "cx33")], new_in="nbg1")


@pytest.mark.parametrize("api", ["v1beta1", "v1beta2"])
def test_a_field_that_does_not_exist_would_be_seen(api: Any) -> None:
    (document,) = of_kind(manifests(Cluster("prod", [Pool("workers", "cx33")], api=api), IMAGE), "MachineDeployment")
    document["spec"]["template"]["spec"]["infrastructureReference"] = {}
    with pytest.raises(jsonschema.ValidationError, match="infrastructureReference"):
        check(document)


def test_machines_refer_to_the_template_of_the_image() -> None:
    documents = manifests(CLUSTER, IMAGE)
    templates = {item["metadata"]["name"]: item["spec"]["template"]["spec"] for item in documents[:2]}
    (control_plane,) = of_kind(documents, "KubeadmControlPlane")
    (workers,) = of_kind(documents, "MachineDeployment")
    reference = workers["spec"]["template"]["spec"]["infrastructureRef"]["name"]
    assert templates[reference] == {"imageName": IMAGE.name, "type": "cx33"}
    reference = control_plane["spec"]["machineTemplate"]["spec"]["infrastructureRef"]["name"]
    assert templates[reference] == {"imageName": IMAGE.name, "type": "cpx32"}
    assert workers["spec"]["template"]["spec"]["version"] == control_plane["spec"]["version"] == "v1.36.4"


def test_templates_come_before_what_refers_to_them() -> None:
    kinds = [item["kind"] for item in manifests(CLUSTER, Image(IMAGE.name, IMAGE.kubernetes, ["old"]))]
    assert kinds == ["HCloudMachineTemplate"] * 4 + ["KubeadmControlPlane", "MachineDeployment"]


@pytest.mark.parametrize(
    "other",
    [
        Pool("workers", "cx43"),
        Pool("workers", "cx33", machine={"sshKeys": [{"name": "admin"}]}),
    ],
)
def test_another_content_is_another_template(other: Pool) -> None:
    first, second = (
        manifests(Cluster("prod", [pool]), IMAGE)[0]["metadata"]["name"] for pool in (Pool("workers", "cx33"), other)
    )
    assert first != second


def test_another_number_of_machines_is_the_same_template() -> None:
    first, second = (manifests(Cluster("prod", [Pool("workers", "cx33", count)]), IMAGE)[0] for count in (1, 2))
    assert first == second


def test_without_a_number_of_machines_whoever_scales_decides() -> None:
    (workers,) = of_kind(manifests(Cluster("prod", [Pool("workers", "cx33")]), IMAGE), "MachineDeployment")
    assert "replicas" not in workers["spec"]


def test_the_earlier_template_is_the_one_that_was_made_for_it() -> None:
    """So nothing is made or deleted when the image changes but for the new template."""
    before = manifests(CLUSTER, Image("old", "1.36.3"))[:2]
    after = manifests(CLUSTER, Image("new", "1.36.4", ["old"]))
    assert all(template in after for template in before)


# --- bare metal ---


def selecting(operator: str, *values: str) -> dict[str, Any]:
    return {"hostSelector": {"matchExpressions": [{"key": "rack", "operator": operator, "values": list(values)}]}}


def metal_cluster(workers: list[Pool], control_plane: Pool | None = None, api: Any = "v1beta2") -> Cluster:
    return Cluster("prod", workers, control_plane, api=api, tarballs_url=URL)


def machine(document: dict[str, Any]) -> dict[str, Any]:
    return document["spec"]["template"]["spec"]


def test_bare_metal_installs_the_tarball_on_hosts_that_are_labelled_for_the_pool() -> None:
    template, workers = manifests(metal_cluster([METAL]), PACKED)
    assert machine(template) == {
        "hostSelector": {"matchLabels": {"baremetal-pool": "metal"}},
        "sshSpec": {
            "portAfterInstallImage": 22,
            "secretRef": {
                "name": "robot-ssh",
                "key": {"name": "sshkey-name", "publicKey": "ssh-publickey", "privateKey": "ssh-privatekey"},
            },
        },
        "installImage": install_image(URL, FILE),
    }
    assert machine(template)["installImage"]["image"] == {
        "name": "Debian-1300-trixie-amd64-kube-1.36.4-0a1b2c3d",
        "url": f"{URL}/{FILE}",
    }
    assert machine(workers)["infrastructureRef"] == {
        "apiGroup": template["apiVersion"].partition("/")[0],
        "kind": template["kind"],
        "name": template["metadata"]["name"],
    }
    assert template["metadata"]["name"].startswith(f"prod-metal-{IMAGE.name}-")


def test_what_a_pool_says_of_its_machines_goes_before_all_but_the_image() -> None:
    partitions = [{"mount": "/", "fileSystem": "xfs", "size": "all"}]
    more = {
        "hostSelector": {"matchLabels": {"rack": "a"}},
        "skipCheckDisk": True,
        "installImage": {"image": {"path": "/old.tar.gz"}, "partitions": partitions, "swraid": 1},
    }
    made = machine(manifests(metal_cluster([Pool("metal", "bare-metal", machine=more)]), PACKED)[0])
    image = install_image(URL, FILE)["image"]
    assert made["installImage"] == {"image": image, "partitions": partitions, "swraid": 1}
    assert (made["hostSelector"], made["skipCheckDisk"]) == ({"matchLabels": {"rack": "a"}}, True)
    assert made["sshSpec"]["secretRef"]["name"] == "robot-ssh"


@pytest.mark.parametrize("change", ["image", "url", "machine"])
def test_another_content_is_another_template_of_bare_metal(change: str) -> None:
    first = manifests(metal_cluster([METAL]), PACKED)[0]
    other = {
        "image": lambda: manifests(metal_cluster([METAL]), Image("b", "1.36.4", tarballs={"b": {"amd64": "b.tar.gz"}})),
        "url": lambda: manifests(Cluster("prod", [METAL], tarballs_url=f"{URL}/b"), PACKED),
        "machine": lambda: manifests(
            metal_cluster([Pool("metal", "bare-metal", machine={"installImage": {"swraid": 1}})]), PACKED
        ),
    }[change]()[0]
    assert first["metadata"]["name"] != other["metadata"]["name"]


def test_the_earlier_template_of_bare_metal_is_the_one_that_was_made_for_it() -> None:
    """From the exports alone, which name an earlier image's tarball as they did when it was the declared one."""
    old, new = image(digest="f0e1d2c3"), image()
    kept = earlier(tarballs={"amd64": {"path": tarball(old)["tarballs"]["amd64"]["path"]}})
    before = Image(old["name"], "1.36.4", tarballs=tarball_files([old | tarball(old)]))
    after = Image(new["name"], "1.36.4", [old["name"]], tarball_files([new | tarball(new), kept]))
    assert manifests(metal_cluster([METAL]), before)[0] in manifests(metal_cluster([METAL]), after)


def test_an_image_without_a_tarball_has_a_template_for_cloud_servers_alone() -> None:
    cluster = metal_cluster([METAL, Pool("workers", "cx33")])
    documents = manifests(cluster, Image(PACKED.name, PACKED.kubernetes, ["old"], PACKED.tarballs))
    assert [item["kind"] for item in documents[:3]] == [
        "HetznerBareMetalMachineTemplate",
        "HCloudMachineTemplate",
        "HCloudMachineTemplate",
    ]
    assert len(documents) == 5


ARM = Pool("arm", "bare-metal", architecture="arm64")


@pytest.mark.parametrize(
    ("pool", "chosen", "told"),
    [
        (ARM, PACKED, r"no tarball of arm64, .*; there is one of amd64\. Use that \(--architecture"),
        (METAL, IMAGE, r"no tarball of amd64, .*; no image of the stack has one\. Write .*forms"),
        (
            METAL,
            Image("b", "1.35.8", [IMAGE.name], {"b": {}, **PACKED.tarballs}),
            rf"b has no tarball of amd64, .*; there is one of {IMAGE.name}\. Write .*forms",
        ),
    ],
)
def test_bare_metal_needs_a_tarball_of_its_architecture(pool: Pool, chosen: Image, told: str) -> None:
    with pytest.raises(ClusterError, match=told):
        manifests(metal_cluster([pool]), chosen)


@pytest.mark.parametrize("url", ["", "images.example.com", "oci://ghcr.io/nodes"])
def test_bare_metal_needs_a_place_to_download_from(url: str) -> None:
    with pytest.raises(ClusterError, match=r"Copy the tarballs to a web server.*--url"):
        Cluster("prod", [METAL], tarballs_url=url)


@pytest.mark.parametrize("name", ["baremetal", "bare_metal", "metal", "CX33", ""])
def test_a_type_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ClusterError, match="Use a server type such as cx33, or bare-metal"):
        Pool("workers", name)


NAMES = {"debian-13/1.36.4": "a", "debian-13/1.36.10": "b", "debian-12/1.36.11": "c", "debian-13/1.35.8": "d"}


@pytest.mark.parametrize(
    ("kubernetes", "name", "version"), [("1.36.4", "a", "1.36.4"), ("1.36", "b", "1.36.10"), ("1.35", "d", "1.35.8")]
)
def test_a_minor_takes_its_newest_patch_release(kubernetes: str, name: str, version: str) -> None:
    image = choose(NAMES, ["e", "a"], "debian-13", kubernetes)
    assert (image.name, image.kubernetes) == (name, version)
    assert set(image.others) == {"a", "b", "c", "d", "e"} - {name}


@pytest.mark.parametrize(
    ("os", "kubernetes"), [("debian-13", "1.3"), ("debian-13", "1.36.1"), ("ubuntu-24.04", "1.36")]
)
def test_a_version_that_the_stack_does_not_keep_is_refused_with_those_it_has(os: str, kubernetes: str) -> None:
    with pytest.raises(ClusterError, match=r"it has debian-12/1.36.11, debian-13/1.35.8, .*add the version"):
        choose(NAMES, [], os, kubernetes)


@pytest.mark.parametrize("version", [None, 2, "1"])
def test_another_interface_is_refused(version: object) -> None:
    check_interface(1)
    with pytest.raises(ClusterError, match="Run `up` in that stack"):
        check_interface(version)


def test_a_rollover_in_words() -> None:
    kept = [earlier(servers=["worker-1", "worker-2"]), earlier(digest="deadbeef")]
    assert rollover(IMAGE, kept) == [
        "new machines boot debian-13-kube-1.36.4-0a1b2c3d",
        "2 servers run from debian-13-kube-1.36.4-f0e1d2c3, which stays until they are gone: worker-1, worker-2",
        "no server runs from debian-13-kube-1.36.4-deadbeef: it is kept to go back to",
    ]


# --- what CAPH would refuse of machines ---


def told(fields: dict[str, Any], kind: str = "cx33") -> list[str]:
    return [f"{fault.place}: {fault.rule}" for fault in machine_faults(fields, bare_metal=kind == "bare-metal")]


def shape_of(schema: dict[str, Any]) -> Any:
    """A definition, in the words of clusters/capi.py."""
    if "enum" in schema:
        return tuple(schema["enum"])
    match schema["type"]:
        case "object" if "properties" in schema:
            required = schema.get("required", [])
            return {
                f"{name}*" if name in required else name: shape_of(part) for name, part in schema["properties"].items()
            }
        case "array":
            return [shape_of(schema["items"])]
        case kind:
            return {"string": TEXT, "integer": NUMBER, "boolean": TRUTH, "object": TEXTS}[kind]


@pytest.mark.parametrize(
    ("kind", "ours", "refused"),
    [
        ("HCloudMachineTemplate", CLOUD_FIELDS, {"type*", "imageName", "imageURL", "imageURLCommand"}),
        ("HetznerBareMetalMachineTemplate", BARE_METAL_FIELDS, {"installImage*"}),
    ],
)
def test_the_fields_of_machines_are_those_of_the_release(kind: str, ours: dict[str, Any], refused: set[str]) -> None:
    (version,) = crd(kind)["spec"]["versions"]
    theirs = shape_of(version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]["template"])["spec*"]
    assert theirs.keys() - ours.keys() == refused
    assert {key: value for key, value in ours.items() if key != "installImage"}.items() <= theirs.items()
    if "installImage" in ours:
        install = theirs["installImage*"]
        assert install.keys() - ours["installImage"].keys() == {
            *(
                "imageURLCommand",
                "deviceStringType",
                "image*",
                "partitions*",
            )  # the first two are refused, the others ours
        }
        assert {name.removesuffix("*"): part for name, part in install.items()}.items() >= ours["installImage"].items()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"imageURL": "https://x/a", "imageURLCommand": "a"}, ["imageURL: CAPH takes either imageName or imageURL"] * 2),
        ({"imageName": "debian-13"}, ["imageName: it is the pool's"]),
        ({"type": "cx43"}, ["type: it is the pool's"]),
        ({"sshKey": []}, ["sshKey: CAPH has no such field"]),
        ({"sshKeys": "admin"}, ["sshKeys: not a list"]),
        ({"sshKeys": ["admin"]}, ["sshKeys[0]: not a mapping of fields"]),
        ({"sshKeys": [{"nme": "a"}]}, ["sshKeys[0].name: it is required", "sshKeys[0].nme: CAPH has no such field"]),
        ({"sshKeys": [{"name": 1}]}, ["sshKeys[0].name: not a text"]),
        ({"publicNetwork": {"enableIPv4": "no"}}, ["publicNetwork.enableIPv4: not true or false"]),
        ({"placementGroupName": "a", "publicNetwork": {"enableIPv6": False}, "sshKeys": [{"name": "a"}]}, []),
    ],
)  # fmt: skip
def test_fields_of_cloud_servers_that_caph_refuses(fields: dict[str, Any], said: list[str]) -> None:
    found = told(fields)
    assert len(found) == len(said)
    assert all(one.split(": ")[1].startswith(other.split(": ")[1]) for one, other in zip(found, said, strict=True))
    with pytest.raises(ClusterError, match="machine of pool workers") if said else nullcontext():
        Pool("workers", "cx33", machine=fields)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"installImage": {"imageURLCommand": "a"}}, "installImage.imageURLCommand: CAPH takes no name of an image beside it"),
        ({"installImage": {"deviceStringType": "wwn"}}, "installImage.deviceStringType: CAPH takes it beside"),
        ({"installImage": {"swraid": 2}}, "installImage.swraid: 2 is none of its values"),
        ({"installImage": {"swraid": True}}, "installImage.swraid: True is none of its values"),
        ({"installImage": 1}, "installImage: not a mapping of fields"),
        ({"imageName": "a"}, "imageName: CAPH has no such field"),
        ({"sshSpec": {"portAfterInstallImage": 22}}, "sshSpec.secretRef: it is required"),
        ({"hostSelector": {"matchLabels": {"rack": 1}}}, "hostSelector.matchLabels: not a mapping of texts"),
        ({"hostSelector": {"matchLabels": {"-rack": "a"}}}, "hostSelector.matchLabels.-rack: -rack is not the key of a label"),
        ({"hostSelector": {"matchLabels": {"rack": "a b"}}}, "hostSelector.matchLabels.rack: a b is not the value of a label"),
        (selecting("DoesNotExist"), "hostSelector.matchExpressions[0].operator: DoesNotExist is none of CAPH's"),
        (selecting("In"), "hostSelector.matchExpressions[0].values: in has 0 of them"),
        (selecting("Gt", "a"), "hostSelector.matchExpressions[0].values: gt compares whole numbers"),
        (selecting("Exists", "a"), "hostSelector.matchExpressions[0].values: exists has 1 of them"),
    ],
)  # fmt: skip
def test_fields_of_dedicated_servers_that_caph_refuses(fields: dict[str, Any], said: str) -> None:
    (found,) = told(fields, "bare-metal")
    assert found.startswith(said)


@pytest.mark.parametrize(
    "selector",
    [selecting("In", "a", "b"), selecting("exists"), selecting("!"), selecting("=", "a"), selecting("Lt", "2"), {}],
)
def test_hosts_that_caph_can_look_for(selector: dict[str, Any]) -> None:
    assert told(selector, "bare-metal") == []


def test_a_file_that_caph_would_refuse_is_told_with_each_of_its_fields(tmp_path: Path) -> None:
    file = tmp_path / "workers.yaml"
    file.write_text("imageURL: https://x.example.com/a\nsshKey: []\n")
    result = run(exports(), "--workers", "workers=cx33", "--machine", f"workers={file}")
    assert result.exit_code == 1
    assert f"{file}: imageURL\n    CAPH takes either imageName or imageURL" in result.output
    assert f"{file}: sshKey\n    CAPH has no such field" in result.output


# --- the command ---


def test_the_command_writes_what_the_example_declares() -> None:
    documents = written(exports(image(), kept=(earlier(),)))
    assert documents == manifests(CLUSTER, Image(IMAGE.name, "1.36.4", [earlier()["name"]]))


def test_a_stack_with_tarballs_changes_nothing_for_cloud_servers() -> None:
    packed = image()
    assert written(exports(packed | tarball(packed))) == written(exports())


def test_the_command_writes_both_kinds_in_one_cluster(tmp_path: Path) -> None:
    packed, file = image(), tmp_path / "metal.yaml"
    file.write_text("installImage: {swraid: 1}\n")
    options = ["--workers", "metal=bare-metal:3", "--machine", f"metal={file}", "--url", URL]
    documents = written(exports(packed | tarball(packed)), *options)
    pool = Pool("metal", "bare-metal", 3, {"installImage": {"swraid": 1}})
    assert documents == manifests(metal_cluster([*CLUSTER.workers, pool], CLUSTER.control_plane), PACKED)


def test_the_command_takes_the_tarball_of_the_architecture() -> None:
    packed = image()
    result = run(
        exports(packed | tarball(packed, "amd64", "arm64")),
        *["--control-plane", "bare-metal", "--architecture", "arm64", "--url", URL],
    )
    template, _ = yaml.safe_load_all(result.stdout)
    assert machine(template)["installImage"]["image"]["name"] == FILE.removesuffix(".tar.gz").replace("amd64", "arm64")


def test_a_file_of_fields_is_for_cloud_servers_too(tmp_path: Path) -> None:
    file = tmp_path / "workers.yaml"
    file.write_text("sshKeys: [{name: 2026-11-01}]\n")
    template = written(exports(), "--machine", f"workers={file}")[1]
    assert machine(template) == {"sshKeys": [{"name": "2026-11-01"}], "type": "cx33", "imageName": IMAGE.name}


def test_what_render_writes_is_such_a_file(tmp_path: Path) -> None:
    file, packed = tmp_path / "metal.yaml", image()
    arguments = ["--os", "debian-13", "--kubernetes", "1.36.4", "--url", "https://elsewhere.example.com"]
    result = CliRunner().invoke(app, ["render", "install-image", *arguments, "--output", str(file)])
    assert result.exit_code == 0, result.output
    options = ["--workers", "metal=bare-metal:3", "--machine", f"metal={file}", "--url", URL]
    made = run(exports(packed | tarball(packed)), *options).stdout
    assert machine(next(yaml.safe_load_all(made)))["installImage"] == install_image(URL, FILE)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("installImage: [", "not valid YAML"),
        ("a: 2026-99-99", "not valid YAML"),
        ("- a", "not the fields"),
        ("installImage: 1", "CAPH has no such field"),
    ],
)
def test_a_file_of_no_fields_is_told_in_words(text: str, told: str, tmp_path: Path) -> None:
    file = tmp_path / "metal.yaml"
    file.write_text(text)
    result = run(exports(), "--workers", "workers=cx33", "--machine", f"workers={file}")
    assert result.exit_code == 1
    assert told in result.output
    assert str(file) in result.output
    assert "Traceback" not in result.output


def test_the_command_writes_a_new_cluster() -> None:
    documents = written(exports(), "--control-plane", "cpx32:3", "--new-cluster", "nbg1")
    assert documents == manifests(
        Cluster("prod", CLUSTER.workers, Pool("control-plane", "cpx32", 3), new_in="nbg1"), IMAGE
    )


def test_json_is_a_list_that_kubectl_takes() -> None:
    result = run(exports(), "--workers", "workers=cx33", "--format", "json")
    document = json.loads(result.stdout)
    assert (document["apiVersion"], document["kind"]) == ("v1", "List")
    assert [item["kind"] for item in document["items"]] == ["HCloudMachineTemplate", "MachineDeployment"]


def test_names_for_shells_and_terraform() -> None:
    document = exports(image(), image("1.35.8"))
    assert run(document, "--format", "env").stdout.splitlines() == [
        "NODE_IMAGE_DEBIAN_13_1_36_4=debian-13-kube-1.36.4-0a1b2c3d",
        "NODE_IMAGE_DEBIAN_13_1_35_8=debian-13-kube-1.35.8-0a1b2c3d",
    ]
    assert run(document, "--format", "tfvars").stdout == (
        "node_images = {\n"
        '  "debian-13/1.36.4" = "debian-13-kube-1.36.4-0a1b2c3d"\n'
        '  "debian-13/1.35.8" = "debian-13-kube-1.35.8-0a1b2c3d"\n'
        "}\n"
    )


@pytest.mark.parametrize(
    ("document", "arguments", "told"),
    [
        (exports(), [], "--control-plane cpx32"),
        (exports(), ["--workers", "cx33"], "write it NAME=TYPE"),
        (exports(), ["--control-plane", "cpx32:three"], "write it TYPE or TYPE:REPLICAS"),
        (exports(), ["--workers", "w=cx33", "--new-cluster", "nbg1"], "Name its machines (--control-plane"),
        (exports(image(), image("1.35.8")), ["--control-plane", "cx33"], "debian-13/1.35.8, debian-13/1.36.4"),
        (exports(), ["--control-plane", "cx33", "--kubernetes", "1.33"], "no image of debian-13 with Kubernetes 1.33"),
        (exports(), ["--control-plane", "cx33", "--os", "debian13"], "--kubernetes"),
        (exports(), ["--workers", "w=cx33", "--workers", "w=cx23"], "pool w: 2 pools have that name"),
        (exports(), ["--control-plane", "cx33", "--workers", "control-plane=cx33"], "pool control-plane: 2 pools"),
        (
            exports(),
            ["--control-plane", "cx33", "--os", "debian-13", "--kubernetes", "1.33"],
            "it has debian-13/1.36.4",
        ),
        (
            exports(),
            ["--workers", "metal=bare-metal", "--url", URL],
            "no tarball of amd64, which bare-metal boots from",
        ),
        (exports(), ["--workers", "metal=bare-metal", "--url", URL], "forms: [snapshot, tarball]"),
        (exports(), ["--workers", "metal=bare-metal"], "--url"),
        (exports(), ["--workers", "metal=baremetal"], "or bare-metal"),
        (exports(), ["--control-plane", "baremetal"], "or bare-metal"),
        (
            exports(),
            ["--workers", "workers=cx33", "--machine", "worker=x.yaml"],
            "POOL=FILE, with one of the pools workers",
        ),
        (exports(), ["--workers", "workers=cx33", "--machine", "workers"], "--machine = workers\n"),
        (exports(), ["--workers", "workers=cx33", "--machine", "workers=/nowhere.yaml"], "/nowhere.yaml"),
        ({"snapshots": {}}, ["--format", "env"], "older than interface 1"),
        ({}, ["--format", "env"], "no outputs yet"),
        ([], ["--format", "env"], "one JSON object"),
    ],
)
def test_mistakes_are_told_in_words(document: Any, arguments: list[str], told: str) -> None:
    result = run(document, *arguments)
    assert result.exit_code == 1
    assert told in result.output
    assert "Traceback" not in result.output


def test_what_is_no_json_is_told_in_words(tmp_path: Path) -> None:
    file = tmp_path / "exports.json"
    file.write_text("error: no stack")
    result = CliRunner().invoke(app, ["manifests", "--exports", str(file), "--format", "env"])
    assert result.exit_code == 1
    assert f"{file}" in result.output
    assert "stack output --json" in result.output


@pytest.mark.parametrize(
    ("name", "namespace", "said"), [("Prod_x", "default", "cluster Prod_x"), ("a", "-", "namespace -")]
)
def test_a_name_that_kubernetes_refuses_is_refused(name: str, namespace: str, said: str) -> None:
    with pytest.raises(ClusterError, match=said):
        Cluster(name, namespace=namespace)
