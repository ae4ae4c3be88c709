"""The main job with the whole recipe: a verified snapshot, nothing else left, and a node that is what was declared.

The tests tell one story in their order; each goes on from the one before.
"""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import jsonschema
import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from images.exports import Exports
from recipe.sbom import MAIN_MODULES
from tests.cli.test_manifests import check
from tests.e2e.workspace import Workspace, booted, by_curl, by_packer, free_port, over_ssh, render_forms

KUBERNETES = "1.36.4"


@pytest.fixture(scope="module")
def first_run(fresh_clone: Workspace) -> str:
    """What `make sandbox` prints in a fresh clone."""
    result = fresh_clone.run("make", "sandbox")
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def workspace(fresh_clone: Workspace, first_run: str) -> Workspace:
    assert first_run
    return fresh_clone


@pytest.fixture(scope="module")
def name(workspace: Workspace) -> str:
    return workspace.output("snapshots")[f"debian-13/{KUBERNETES}"]


def hcloud(workspace: Workspace, *arguments: str) -> str:
    script = 'eval "$(make --silent sandbox-env)" && exec hcloud "$@"'
    result = workspace.run("bash", "-c", script, "bash", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_first_run_ends_with_a_summary(first_run: str, name: str) -> None:
    summary = first_run[first_run.rindex(f"\n{name}\n") :]
    for part in ("Snapshot", "GB", f"Kubernetes  {KUBERNETES}", "containerd  2.3.4", f"imageName: {name}"):
        assert part in summary
    assert re.search(r"Tests +(\d+) of \1 passed", summary)
    for phase in ("Sandbox and artifact mirror", "Artifacts", "Provisioning", "Acceptance tests", "All"):
        assert re.search(rf"{phase} +\d+ s", summary), phase


def test_a_second_run_has_nothing_to_do(workspace: Workspace, name: str) -> None:
    before = workspace.snapshots()
    again = workspace.run("make", "sandbox")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "unchanged" in again.stdout
    assert " created" not in again.stdout
    assert name in again.stdout
    assert workspace.snapshots() == before


def test_the_exports_say_what_was_made(workspace: Workspace, name: str) -> None:
    (image,) = workspace.output("images")
    assert workspace.output("snapshots") == {f"debian-13/{KUBERNETES}": image["name"]}
    assert (image["os"], image["kubernetes"]) == ("debian-13", KUBERNETES)
    assert name.endswith(image["digest"][:8])
    assert image["snapshots"] == {"amd64": workspace.snapshots()[name]}
    assert image["components"]["containerd"] == "2.3.4"
    assert image["tests"]["amd64"]["passed"] == image["tests"]["amd64"]["total"] > 50
    assert image["created"].startswith("20")
    assert image["generations"] == []


def test_nothing_changes_after_up_and_after_refresh(workspace: Workspace) -> None:
    workspace.unchanged()
    refreshed = workspace.pulumi("refresh", "--yes", "--skip-preview")
    assert refreshed.returncode == 0, refreshed.stdout + refreshed.stderr
    workspace.unchanged()
    workspace.settle()
    workspace.unchanged()


def test_the_state_of_an_image_is_small_and_has_no_text_that_ran(workspace: Workspace) -> None:
    resources = json.loads(workspace.pulumi("stack", "export").stdout)["deployment"]["resources"]
    own = [item for item in resources if not item["type"].startswith("pulumi:")]
    assert len(own) <= 16
    text = json.dumps(own, separators=(",", ":"))
    assert len(text) <= 80_000
    assert "set -Eeuo pipefail" not in text
    assert (workspace.root / workspace.output("images")[0]["sboms"]["amd64"]).stat().st_size > 80_000


def test_the_hcloud_cli_sees_the_snapshot_and_nothing_else(workspace: Workspace, name: str) -> None:
    (image,) = json.loads(hcloud(workspace, "image", "list", "--type", "snapshot", "--output", "json"))
    build_date = image["labels"].pop("build_date")
    assert time.strptime(build_date, "%Y%m%d")
    assert image["labels"] == {
        "managed-by": "node-images",
        "stack": "sandbox",
        "role": "snapshot",
        "digest": workspace.output("images")[0]["digest"],
        "caph-image-name": name,
        "os": "debian-13",
        "architecture": "amd64",
        "kubernetes_version": KUBERNETES,
        "distribution": "debian",
        "distribution_version": "13",
    }
    assert image["status"] == "available"
    others = ["--selector", "!managed-by", "--output", "noheader"]
    assert hcloud(workspace, "image", "list", "--type", "snapshot", *others).strip() == ""
    assert hcloud(workspace, "server", "list", "--output", "noheader").strip() == ""
    assert hcloud(workspace, "ssh-key", "list", "--output", "noheader").strip() == ""
    assert workspace.machines() == []


def test_a_server_from_the_snapshot_is_the_declared_node(
    workspace: Workspace, name: str, tmp_path: Path, proves: Callable[..., None]
) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    (image,) = json.loads(
        hcloud(workspace, "image", "list", "--selector", f"caph-image-name={name}", "--output", "json")
    )
    hcloud(workspace, "ssh-key", "create", "--name", "mine", "--public-key-from-file", f"{key}.pub")
    hcloud(
        workspace,
        "server",
        "create",
        "--name",
        "node-1",
        "--type",
        "cx23",
        "--image",
        str(image["id"]),
        "--ssh-key",
        "mine",
    )
    address = hcloud(workspace, "server", "ip", "node-1").strip()
    try:
        assert over_ssh(workspace, address, key, "kubeadm version --output short") == f"v{KUBERNETES}"
        assert over_ssh(workspace, address, key, "systemctl is-active containerd") == "active"
        info = json.loads(over_ssh(workspace, address, key, "crictl info"))
        assert {item["type"]: item["status"] for item in info["status"]["conditions"]}["RuntimeReady"] is True
        assert over_ssh(workspace, address, key, "hostname") == "node-1"
        manifest = json.loads(over_ssh(workspace, address, key, "cat /etc/node-image.json"))
        (image,) = workspace.output("images")
        assert manifest == image["manifests"]["amd64"]
        versions = {part: item["version"] for part, item in manifest["components"].items()}
        assert image["components"].items() <= {**versions, "kubernetes": manifest["kubernetes"]}.items()
    finally:
        hcloud(workspace, "server", "delete", "node-1")
        hcloud(workspace, "ssh-key", "delete", "mine")
    workspace.nothing_left_over()
    proves("booted", "debian-13", KUBERNETES)


@pytest.mark.skipif(not shutil.which("packer"), reason="this release of Debian or Ubuntu has no package of Packer")
def test_packer_makes_the_same_node(
    workspace: Workspace, name: str, tmp_path: Path, proves: Callable[..., None]
) -> None:
    """A whole build with the template, and the same tests before it gets its name, which is the program's."""
    forms = render_forms(workspace, tmp_path)
    snapshot = by_packer(workspace, forms, tmp_path)
    try:
        assert snapshot.description == name
        refused = by_curl(workspace, "verify", forms, snapshot.id)
        assert refused.returncode == 1
        assert f"has caph-image-name={name} already" in refused.stderr, "CAPH would find two"
        order = json.loads((forms / "image.json").read_text())
        (forms / "image.json").write_text(json.dumps({**order, "name": f"{name}-packer"}))
        verified = by_curl(workspace, "verify", forms, snapshot.id)
        assert (verified.returncode, verified.stdout) == (0, f"{name}-packer\n"), verified.stderr
        (image,) = workspace.output("images")
        figures = json.loads(re.search(r"acceptance tests: (.*)", verified.stderr)[1])
        whole = {name: value for name, value in image["tests"]["amd64"].items() if name != "seconds"}
        assert {name: value for name, value in figures.items() if name != "seconds"} == whole
        with booted(workspace, tmp_path, snapshot.id) as node:
            assert json.loads(node("cat /etc/node-image.json")) == image["manifests"]["amd64"]
    finally:
        snapshot.delete()
    workspace.nothing_left_over()
    proves("booted", "debian-13", KUBERNETES, form="packer")


def test_cluster_code_takes_the_name_from_the_exports(workspace: Workspace, name: str) -> None:
    document = json.loads(workspace.pulumi("stack", "output", "--json").stdout)
    jsonschema.validate(document, json.loads(Path("docs/exports.schema.json").read_text()))
    described = Exports.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert described.keys() == document.keys()
    assert described["images"][0]["manifests"] == document["images"][0]["manifests"]
    result = workspace.run("./node-images", "manifests", "--workers", "workers=cx33:3")
    template, _ = yaml.safe_load_all(result.stdout)
    assert template["spec"]["template"]["spec"]["imageName"] == name
    check(template)


def test_the_bill_of_materials_names_files_and_packages(workspace: Workspace, name: str) -> None:
    text = (workspace.root / "sboms" / "sandbox" / f"{name}-amd64.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = {item["bom-ref"]: item for item in json.loads(text)["components"]}
    manifest = workspace.output("images")[0]["manifests"]["amd64"]
    assert parts["kubelet"]["hashes"][0]["content"] == manifest["components"]["kubelet"]["sha256"]
    packages = [item for ref, item in parts.items() if ref.startswith("deb:")]
    assert {"libc6", "systemd", "conntrack"} <= {item["name"] for item in packages}
    assert len(packages) == manifest["packages"]["count"]


def test_the_bill_of_materials_names_the_system_and_the_modules_of_each_program(
    workspace: Workspace, name: str
) -> None:
    document = json.loads((workspace.root / "sboms" / "sandbox" / f"{name}-amd64.cdx.json").read_text())
    (system,) = [item for item in document["components"] if item["type"] == "operating-system"]
    assert (system["name"], system["version"]) == ("debian", "13")
    parts = {item["bom-ref"] for item in document["components"]}
    components = workspace.output("images")[0]["manifests"]["amd64"]["components"]
    for component, module in MAIN_MODULES.items():
        version = components[component]["version"]
        assert {ref for ref in parts if re.fullmatch(rf"{component}:{module}(/v\d+)?@v{version}", ref)}, component
        assert any(ref.startswith(f"{component}:stdlib@v1.") for ref in parts), component
    assert {item["name"] for item in document["components"] if item["type"] == "application"} == set(MAIN_MODULES)


def test_where_files_came_from_and_servers_listened_is_no_change(workspace: Workspace) -> None:
    port = workspace.mirror_port
    workspace.configure(artifacts={"mirror": f"http://localhost:{port}", "localBuilds": True}, sshPort=free_port())
    workspace.unchanged()
    local = {
        "mirror": f"http://127.0.0.1:{port}",
        "mirrorForServers": workspace.mirror_for_servers,
        "localBuilds": True,
    }
    workspace.configure(artifacts=local, sshPort=workspace.ssh_port)


def test_no_secret_is_in_the_state_in_the_clear(workspace: Workspace) -> None:
    state = (workspace.root / ".pulumi" / ".pulumi" / "stacks" / "node-images" / "sandbox.json").read_text()
    assert "BEGIN OPENSSH PRIVATE KEY" not in state
    assert "caph-image-name" in state, "this is the state that was looked for"
