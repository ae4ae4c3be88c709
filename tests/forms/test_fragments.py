"""Fragments for Cluster API and cloud-init: valid by the published schemas, and small enough."""

import base64
import gzip
import random
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cli.render import doubt
from recipe import Node, load_catalog, load_lock, render
from recipe.forms import OF_CONTROL_PLANE, USER_DATA_LIMIT, cloud_init, pre_kubeadm_commands, user_data
from recipe.options import NodeOptions
from recipe.problems import ProblemsError
from recipe.render import Recipe

CATALOG, LOCK = load_catalog(), load_lock()
HARDENED = NodeOptions.model_validate({"hardening": "cis", "extraPackages": ["htop"], "modules": ["ip_vs"]})
CRDS = {
    "KubeadmControlPlane": ("kubeadmcontrolplanes", ("spec", "kubeadmConfigSpec")),
    "KubeadmConfigTemplate": ("kubeadmconfigtemplates", ("spec", "template", "spec")),
}


def node_of(os: str = "debian-13", **more: object) -> tuple[Node, Recipe]:
    node = Node(os, "1.36.4", "amd64", **more)
    return node, render(CATALOG, LOCK, node)


@pytest.mark.parametrize("os", list(CATALOG.operating_systems))
@pytest.mark.parametrize("options", [NodeOptions(), HARDENED], ids=["plain", "hardened"])
def test_user_data_fits_and_carries_the_script(os: str, options: NodeOptions) -> None:
    text = cloud_init(*node_of(os, options=options))
    assert len(text.encode()) + OF_CONTROL_PLANE <= USER_DATA_LIMIT, "there must be room for what Cluster API writes"
    (file,) = yaml.safe_load(text)["write_files"]
    script = gzip.decompress(base64.b64decode(file["content"])).decode()
    assert "step kubernetes <<" in script
    assert "# fetch URL SHA256 FILE" not in script, "its comments would take the room of options"
    assert "step clean" not in script, "the machine is itself: its keys must stay"
    checked = subprocess.run(["shellcheck", "--exclude=SC2016", "-"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_same_node_gives_the_same_text() -> None:
    assert cloud_init(*node_of()) == cloud_init(*node_of())


def test_too_much_for_user_data_is_refused() -> None:
    certificate = type("File", (), {"name": "a.pem", "text": "\n".join(map(str, range(40_000)))})
    with pytest.raises(ProblemsError, match="Hetzner Cloud takes 32768"):
        cloud_init(*node_of(options=NodeOptions().model_copy(update={"ca_certificates": [certificate]})))


def noise(count: int) -> NodeOptions:
    """Options whose script does not get smaller by compression: as many bytes in it."""
    text = base64.b64encode(random.Random(0).randbytes(count)).decode()
    certificate = type("File", (), {"name": "a.pem", "text": text})
    return NodeOptions().model_copy(update={"ca_certificates": [certificate]})


def test_pre_kubeadm_commands_tell_the_whole_user_data() -> None:
    size = user_data(yaml.safe_load(pre_kubeadm_commands(*node_of())))
    assert size.fits_control_plane
    assert f"# {size}\n" in pre_kubeadm_commands(*node_of())
    assert doubt("pre-kubeadm-commands", pre_kubeadm_commands(*node_of())) == ""


def test_what_a_control_plane_cannot_have_is_told() -> None:
    text = pre_kubeadm_commands(*node_of(options=noise(9_000)))
    assert "too much for a control plane" in text
    assert doubt("pre-kubeadm-commands", text).startswith("warning: user data of ")
    assert "keep this to workers" in doubt("pre-kubeadm-commands", text)


def test_what_no_machine_can_have_is_refused() -> None:
    with pytest.raises(ProblemsError, match=r"user data of \d+ bytes on a worker, .* Hetzner Cloud takes 32768"):
        pre_kubeadm_commands(*node_of(options=noise(20_000)))


@pytest.mark.parametrize("kind", list(CRDS))
@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_pre_kubeadm_commands_are_valid(kind: str, version: str) -> None:
    file, place = CRDS[kind]
    schema = yaml.safe_load(gzip.decompress(Path(f"tests/data/crds/{file}.yaml.gz").read_bytes()))
    (schema,) = [item["schema"]["openAPIV3Schema"] for item in schema["spec"]["versions"] if item["name"] == version]
    for part in place:
        schema = schema["properties"][part]
    fragment = yaml.safe_load(pre_kubeadm_commands(*node_of(), "http://127.0.0.1:8788"))
    problems = [
        f"{error.json_path}: {error.message[-200:]}"
        for error in jsonschema.Draft202012Validator(closed(schema)).iter_errors(fragment)
    ]
    assert problems == []
    assert (
        fragment["preKubeadmCommands"][-1]
        == "MIRROR=http://127.0.0.1:8788 bash /var/lib/node-image/provision.sh --node"
    )


def test_pre_kubeadm_commands_give_the_script(tmp_path: Path) -> None:
    text = pre_kubeadm_commands(*node_of(options=HARDENED)).replace("/var/lib/node-image", str(tmp_path))
    fragment = yaml.safe_load(text)
    for file in fragment["files"]:
        Path(file["path"]).write_text(file["content"])
    subprocess.run(["bash", "-c", fragment["preKubeadmCommands"][0]], check=True)
    assert "step hardening <<" in (tmp_path / "provision.sh").read_text()


def closed(schema: Any) -> Any:
    """The schema with unknown keys refused, as the API server does."""
    if isinstance(schema, dict):
        rest = {key: closed(value) for key, value in schema.items()}
        return {**rest, "additionalProperties": False} if "properties" in schema else rest
    return [closed(item) for item in schema] if isinstance(schema, list) else schema
