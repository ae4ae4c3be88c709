"""Manifests from exports: what CAPH and Cluster API take, named so that a change is a rollover, and nothing goes too early."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.__main__ import app
from clusters.capi import (
    Cluster,
    ClusterError,
    Image,
    Pool,
    check_interface,
    choose,
    install_image,
    manifests,
    rollover,
    tarball_files,
)
from tests.exports import earlier, exports, image, tarball

DATA = Path("tests/data")
IMAGE = Image("debian-13-kube-1.36.4-0a1b2c3d", "1.36.4")
CLUSTER = Cluster("prod", [Pool("workers", "cx33", 3)], Pool("control-plane", "cpx32"))

URL = "https://images.example.com/nodes"
FILE = "Debian-1300-trixie-amd64-kube-1.36.4-0a1b2c3d.tar.gz"
METAL = Pool("metal", "bare-metal", 3)
PACKED = Image(IMAGE.name, IMAGE.kubernetes, tarballs={IMAGE.name: {"amd64": FILE}})


@cache
def crd(kind: str) -> dict[str, Any]:
    (file,) = DATA.glob(f"{kind.lower()}s.yaml*")
    text = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_text()
    return yaml.safe_load(text)


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
    if document["apiVersion"] == "controlplane.cluster.x-k8s.io/v1beta1":
        # Required there, and so in the object to which this is applied on the server's side.
        document["spec"].setdefault("kubeadmConfigSpec", {})
    jsonschema.validate(document, wanted)


def run(document: Any, *arguments: str) -> Result:
    return CliRunner().invoke(app, ["manifests", "--exports", "-", *arguments], input=json.dumps(document))


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
    pool = Pool("metal", "bare-metal", machine={"installImage": {"swRaid": 1}})
    with pytest.raises(jsonschema.ValidationError, match="swRaid"):
        check(manifests(metal_cluster([pool]), PACKED)[0])


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
    reference = control_plane["spec"]["machineTemplate"]["infrastructureRef"]["name"]
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


def metal_cluster(workers: list[Pool], control_plane: Pool | None = None, api: Any = "v1beta1") -> Cluster:
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
        "apiVersion": template["apiVersion"],
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
        ("installImage: 1", "not the fields"),
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
