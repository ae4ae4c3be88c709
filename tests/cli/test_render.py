"""`./node-images render`: every form from the command line, and mistakes told in words."""

import json
import subprocess
import sys

import pytest
import yaml

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


def test_a_packer_template_runs_the_script_beside_it() -> None:
    template = json.loads(run("render", "packer", *NODE).stdout)
    (builder,), (provisioner,) = template["builders"], template["provisioners"]
    assert builder["snapshot_labels"]["caph-image-name"] == builder["snapshot_name"]
    assert builder["snapshot_name"].startswith("debian-13-kube-1.36.4-")
    assert provisioner["script"] == "{{template_dir}}/provision.sh"
    assert template["sensitive-variables"] == ["token"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["render", "script", "--os", "debian-31", "--kubernetes", "1.36"],
            ["--os = debian-31", "Kubernetes version = 1.36"],
        ),
        (["render", "script", "--os", "debian-13", "--kubernetes", "1.37.99"], ["./node-images lock 1.37.99"]),
        (["lock", "1.2"], ["Kubernetes version = 1.2", "1.36.4"]),
    ],
)
def test_mistakes_are_told(arguments: list[str], said: list[str]) -> None:
    result = run(*arguments)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    for part in said:
        assert part in result.stderr
