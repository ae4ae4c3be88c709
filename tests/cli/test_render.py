"""`./node-images render`: every form from the command line, and mistakes told in words."""

import json
import re
import shutil
import subprocess
import sys
from os import environ
from pathlib import Path

import pytest
import yaml

from clusters.capi import install_image
from recipe import load_catalog, load_lock
from recipe.lock import locked_versions

NEWEST = locked_versions(load_catalog(), load_lock(), "1.36")[-1]
NODE = ["--os", "debian-13", "--kubernetes", "1.36.4"]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "cli", *arguments], capture_output=True, text=True, timeout=60)


def test_a_script() -> None:
    result = run("render", "script", *NODE)
    assert result.returncode == 0, result.stderr
    names = [
        line.split()[1]
        for line in result.stdout.splitlines()
        if line.startswith(("step ", "image_step ")) and "<<" in line
    ]
    assert names[0] == "first-boot"
    assert names[-2:] == ["check", "clean"]


@pytest.mark.parametrize(("form", "key"), [("cloud-init", "runcmd"), ("pre-kubeadm-commands", "preKubeadmCommands")])
def test_fragments(form: str, key: str) -> None:
    assert yaml.safe_load(run("render", form, *NODE).stdout)[key]


def test_the_commands_of_the_docs_write_the_files(tmp_path: Path) -> None:
    (tmp_path / "image").mkdir()
    commands = re.findall(r"^\./node-images (render .+ --output .+)$", Path("docs/forms.md").read_text(), re.M)
    for command in commands:
        *arguments, file = command.split()
        assert run(*arguments, str(tmp_path / file)).returncode == 0, command
    written = {file.name for file in (tmp_path / "image").iterdir()}
    assert written == {"image.json", "provision.sh", "acceptance.sh", "node.pkr.hcl"}


def test_the_same_image_is_asked_for_in_every_form() -> None:
    order = json.loads(run("render", "image", *NODE).stdout)
    assert order["name"].startswith("debian-13-kube-1.36.4-")
    assert (order["image"], order["architecture"], order["serverTypes"][0]) == ("debian-13", "x86", "cx23")
    template = run("render", "packer", *NODE).stdout
    assert f'snapshot_name = "{order["name"]}"' in template
    assert f'default     = "{order["serverTypes"][0]}"' in template
    assert "${path.root}/provision.sh" in template
    labels = template[template.index("snapshot_labels") :].partition("}")[0]
    assert "caph-image-name" not in labels, "nothing has booted from it yet"
    for name, value in order["labels"].items():
        assert re.search(rf'{name} += "{value}"', labels)


@pytest.mark.skipif(not shutil.which("packer"), reason="this release of Debian or Ubuntu has no package of Packer")
@pytest.mark.parametrize(("os", "architecture"), [("debian-13", "amd64"), ("rocky-10", "arm64")])
def test_packer_takes_the_template(os: str, architecture: str, tmp_path: Path) -> None:
    arguments = ["--os", os, "--kubernetes", "1.36.4", "--architecture", architecture]
    for form, name in (("packer", "node.pkr.hcl"), ("script", "provision.sh")):
        assert run("render", form, *arguments, "--output", str(tmp_path / name)).returncode == 0
    environment = {**environ, "HCLOUD_TOKEN": "x", "CHECKPOINT_DISABLE": "1", "PACKER_CONFIG_DIR": str(tmp_path)}
    for command in (["validate"], ["fmt", "-check", "-diff"]):
        result = subprocess.run(
            ["packer", *command, str(tmp_path / "node.pkr.hcl")], env=environment, capture_output=True, text=True
        )
        assert (result.returncode, result.stdout) == (0, ""), result.stdout + result.stderr


def test_a_stack_file_says_where_to_build() -> None:
    order = json.loads(run("render", "image", *NODE, "--stack", "sandbox", "--architecture", "arm64").stdout)
    assert (order["sshPort"], order["mirror"], order["architecture"]) == (2222, "http://198.18.255.2:8788", "arm")
    assert order["serverTypes"] == ["cax11", "cax21"]


@pytest.mark.parametrize("os", load_catalog().operating_systems)
def test_the_tests_are_a_script(os: str) -> None:
    text = run("render", "acceptance", "--os", os, "--kubernetes", "1.36.4").stdout
    checked = subprocess.run(["shellcheck", "--exclude=SC2016", "-"], input=text, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stdout
    refused = subprocess.run(["bash", "-s", "--", "--nodes"], input=text, capture_output=True, text=True)
    assert (refused.returncode, refused.stderr) == (
        1,
        "error: unknown argument --nodes; there is --node, --restarted, or nothing\n",
    )


def test_the_section_that_installs_the_tarball() -> None:
    result = run("render", "install-image", *NODE, "--stack", "prod", "--url", "https://images.example.com/nodes")
    section = yaml.safe_load(result.stdout)["installImage"]
    name = section["image"]["name"]
    assert name.startswith("Debian-1300-trixie-amd64-kube-1.36.4-")
    assert section == install_image("https://images.example.com/nodes", f"{name}.tar.gz")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["render", "install-image", "--os", "rocky-9", "--kubernetes", "1.36.4"], ["--os = rocky-9", "--url"]),
        (
            ["render", "script", "--os", "debian-31", "--kubernetes", "1.36"],
            [
                "--os = debian-31",
                "did you mean debian-13?",
                "version = 1.36\n",
                f'write "{NEWEST}", the newest of 1.36',
            ],
        ),
        (["render", "script", "--os", "debian-13", "--kubernetes", "1.37.99"], ["./node-images lock 1.37.99"]),
        (["lock", "1.2"], ["Kubernetes version = 1.2", "1.36.4"]),
        (["lock", "1.20.1"], ["Kubernetes version = 1.20.1", "use one of 1.34, "]),
    ],
)
def test_mistakes_are_told(arguments: list[str], said: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for part in said:
        assert part in result.stderr
