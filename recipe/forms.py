"""The recipe in forms other than the program's own: one script, fragments for Cluster API, a Packer template.

Every form runs the same steps: the same node comes out, with the same manifest.
"""

import base64
import gzip
import json
import shlex
from dataclasses import replace
from typing import Any, Literal

import yaml

from recipe.problems import Problem, ProblemsError
from recipe.render import Node, Recipe, Step, library

Form = Literal["script", "cloud-init", "pre-kubeadm-commands", "packer"]

PROVISION = "/var/lib/node-image/provision.sh"
USER_DATA_LIMIT = 32 * 1024
"""Bytes of user data that Hetzner Cloud takes with a server."""

CONTENT_LIMIT = 10240
"""Characters of a file's content that Cluster API takes since v1beta2."""

_SCRIPT = """\
#!/bin/bash
# Makes a Kubernetes node of this server: {title}.
# Run it as root on a fresh {os} server. It downloads from upstream, or from the mirror that MIRROR names.
#   bash provision.sh          for an image: cleans up at the end, the keys in authorized_keys included; then power off
#                              and make a snapshot
#   bash provision.sh --node   this server is itself the node: nothing of its identity is touched
set -euo pipefail
[[ $EUID -eq 0 ]] || {{
    echo "error: run this as root" >&2
    exit 1
}}
[[ ${{1:-}} == "" || ${{1:-}} == --node ]] || {{
    echo "error: unknown argument $1; there is --node, or nothing" >&2
    exit 1
}}
node=${{1:-}}
export MIRROR=${{MIRROR:-}}
library=$(
    cat <<'NODE_IMAGE_LIBRARY'
{library}
NODE_IMAGE_LIBRARY
)

# step NAME: runs the text on standard input as one step.
step() {{
    echo "== $1"
    bash -c "$library"$'\\n'"$(cat)" "$1" </dev/null || {{
        echo "error: step $1 failed; when its cause is mended, run this script again" >&2
        exit 1
    }}
}}

# image_step NAME: a step that only an image needs.
image_step() {{
    if [[ $node ]]; then cat >/dev/null; else step "$1"; fi
}}
"""


def script(node: Node, recipe: Recipe) -> str:
    """One self-contained bash script."""
    head = _SCRIPT.format(title=_title(node), os=node.os, library=library().rstrip())
    return "\n".join([head, *map(_here_document, recipe.steps), 'echo "== done"\n'])


def cloud_init(node: Node, recipe: Recipe, mirror: str = "") -> str:
    """User data for a server that becomes a node at its first boot. Raises ProblemsError above Hetzner's limit."""
    document = {
        "write_files": [
            {"path": PROVISION, "encoding": "gz+b64", "permissions": "0700", "content": _packed(node, recipe)}
        ],
        "runcmd": [["env", f"MIRROR={mirror}", "bash", PROVISION, "--node"]],
    }
    text = f"#cloud-config\n# {_title(node)}\n{_yaml(document)}"
    if len(text.encode()) > USER_DATA_LIMIT:
        rule = f"the user data has {len(text.encode())} bytes, and Hetzner Cloud takes {USER_DATA_LIMIT}"
        remedy = "take options out of the stack file, or build an image: that is what this project is for"
        raise ProblemsError([Problem("cloud-init", node.os, node.kubernetes, rule, remedy)])
    return text


def pre_kubeadm_commands(node: Node, recipe: Recipe, mirror: str = "") -> str:
    """The part of a KubeadmConfigSpec that makes a node at its first boot, before kubeadm runs."""
    text = _packed(node, recipe)
    parts = [text[start : start + CONTENT_LIMIT] for start in range(0, len(text), CONTENT_LIMIT)]
    files = [
        {"path": f"{PROVISION}.part{number}", "owner": "root:root", "permissions": "0600", "content": part}
        for number, part in enumerate(parts)
    ]
    join = f"cat {PROVISION}.part? | base64 --decode | gunzip >{PROVISION}"
    run = f"MIRROR={shlex.quote(mirror)} bash {PROVISION} --node"
    document = {"files": files, "preKubeadmCommands": [join, run]}
    where = "KubeadmControlPlane: below spec.kubeadmConfigSpec; KubeadmConfigTemplate: below spec.template.spec"
    return f"# {_title(node)}\n# {where}\n{_yaml(document)}"


def packer(node: Node, name: str, hcloud_image: str, labels: dict[str, str]) -> str:
    """A Packer template for the hcloud builder; it runs `provision.sh`, which the form `script` gives, beside it."""
    builder = {
        "type": "hcloud",
        "token": "{{user `token`}}",
        "image": hcloud_image,
        "location": "{{user `location`}}",
        "server_type": "{{user `server_type`}}",
        "server_name": f"packer-{name}",
        "ssh_username": "root",
        "ssh_port": "{{user `ssh_port`}}",
        "snapshot_name": name,
        "snapshot_labels": labels,
    }
    provisioner = {
        "type": "shell",
        "script": "{{template_dir}}/provision.sh",
        "environment_vars": ["MIRROR={{user `mirror`}}"],
    }
    server_type = {"amd64": "cx23", "arm64": "cax11"}[node.architecture]
    variables = {
        "token": "{{env `HCLOUD_TOKEN`}}",
        "location": "nbg1",
        "server_type": server_type,
        "ssh_port": "22",
        "mirror": "",
    }
    template: dict[str, Any] = {
        "_comment": f"{_title(node)}; provision.sh: ./node-images render script",
        "variables": variables,
        "sensitive-variables": ["token"],
        "builders": [builder],
        "provisioners": [provisioner],
    }
    return json.dumps(template, indent=2) + "\n"


def _title(node: Node) -> str:
    return f"Kubernetes {node.kubernetes} on {node.os}, {node.architecture}"


def _here_document(step: Step) -> str:
    function = "image_step" if step.for_images else "step"
    return f"{function} {shlex.quote(step.name)} <<'NODE_IMAGE_STEP'\n{step.text.rstrip()}\nNODE_IMAGE_STEP\n"


def _packed(node: Node, recipe: Recipe) -> str:
    """The script without what only an image needs, compressed, as base64; the same node gives the same text."""
    own = replace(recipe, steps=tuple(step for step in recipe.steps if not step.for_images))
    return base64.b64encode(gzip.compress(script(node, own).encode(), mtime=0)).decode()


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=1_000_000)
