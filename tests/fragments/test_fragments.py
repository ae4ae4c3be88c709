"""Fragments for Cluster API and cloud-init: valid by the published schemas, small enough, and a real server becomes the node."""

import base64
import gzip
import json
import subprocess
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from recipe import Node, load_catalog, load_lock, render
from recipe.forms import USER_DATA_LIMIT, cloud_init, pre_kubeadm_commands
from recipe.options import NodeOptions
from recipe.problems import ProblemsError
from recipe.render import Recipe
from tests.e2e.workspace import Workspace, over_ssh

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
    assert len(text.encode()) < USER_DATA_LIMIT / 2, "there must be room for the rest of a cluster's user data"
    (file,) = yaml.safe_load(text)["write_files"]
    script = gzip.decompress(base64.b64decode(file["content"])).decode()
    assert "step kubernetes <<" in script
    assert "step clean" not in script, "the machine is itself: its keys must stay"
    checked = subprocess.run(["shellcheck", "--exclude=SC2016", "-"], input=script, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout


def test_the_same_node_gives_the_same_text() -> None:
    assert cloud_init(*node_of()) == cloud_init(*node_of())


def test_too_much_for_user_data_is_refused() -> None:
    certificate = type("File", (), {"name": "a.pem", "text": "\n".join(map(str, range(40_000)))})
    with pytest.raises(ProblemsError, match="Hetzner Cloud takes 32768"):
        cloud_init(*node_of(options=NodeOptions().model_copy(update={"ca_certificates": [certificate]})))


@pytest.mark.parametrize("kind", list(CRDS))
@pytest.mark.parametrize("version", ["v1beta1", "v1beta2"])
def test_pre_kubeadm_commands_are_valid(kind: str, version: str) -> None:
    file, place = CRDS[kind]
    schema = yaml.safe_load(gzip.decompress(Path(f"tests/data/{file}.yaml.gz").read_bytes()))
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


def test_a_server_becomes_the_node_at_its_first_boot(workspace: Workspace, tmp_path: Path) -> None:
    prepared = workspace.python("tools.prepare", "sandbox")
    assert prepared.returncode == 0, prepared.stderr
    arguments = ["--os", "debian-13", "--kubernetes", "1.36.4", "--stack", "sandbox"]
    rendered = workspace.run("./node-images", "render", "cloud-init", *arguments)
    assert rendered.returncode == 0, rendered.stderr
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    client = workspace.client
    mine = client.ssh_keys.create("mine", key.with_suffix(".pub").read_text())
    types = client.server_types.get_by_name("cx23"), client.images.get_by_name_and_architecture("debian-13", "x86")
    created = client.servers.create("node-1", types[0], image=types[1], ssh_keys=[mine], user_data=rendered.stdout)
    created.action.wait_until_finished()
    try:
        address = created.server.public_net.ipv4.ip
        state = "status: running"
        for _ in range(100):
            if "running" not in state:
                break
            time.sleep(3)
            state = over_ssh(workspace, address, key, "cloud-init status --long || true")
        assert "status: done" in state, state + over_ssh(
            workspace, address, key, "tail -n 40 /var/log/cloud-init-output.log"
        )
        manifest = json.loads(over_ssh(workspace, address, key, "cat /etc/node-image.json"))
        assert manifest["components"]["kubelet"]["version"] == "1.36.4"
        assert over_ssh(workspace, address, key, "systemctl is-active containerd") == "active"
        assert over_ssh(workspace, address, key, "cloud-init schema --system >/dev/null && echo valid") == "valid"
    finally:
        created.server.delete()
        mine.delete()
    workspace.nothing_left_over()
