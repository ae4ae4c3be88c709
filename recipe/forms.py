"""The recipe in forms other than the program's own: scripts, fragments for Cluster API, a Packer template.

Every form runs the same steps: the same node comes out, with the same manifest.
"""

import base64
import gzip
import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import yaml

from recipe.problems import Problem, ProblemsError
from recipe.render import Node, Recipe, Step, library

Form = Literal["script", "acceptance", "image", "cloud-init", "pre-kubeadm-commands", "packer", "install-image"]

CHECK = "check"
"""The step that runs the tests on the build server."""

PROVISION = "/var/lib/node-image/provision.sh"
USER_DATA_LIMIT = 32 * 1024
"""Bytes of user data that Hetzner Cloud takes with a server."""

OF_WORKER, OF_CONTROL_PLANE = 1_400, 14_500
"""Bytes of what Cluster API itself writes into the user data of a worker, and of the first machine of a control plane.

Measured with Cluster API v1.13.6: 600 and 12,850, of which most are certificates and keys, and some lines of kubeadm's
configuration more.
"""

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

_ACCEPTANCE = """\
#!/bin/bash
# The acceptance tests of {title}. Run it as root; it downloads goss from upstream, or from
# the mirror that MIRROR names. It prints the figures as JSON; where a test fails it says which, and its exit status is 1.
#   bash acceptance.sh          on a server that was booted from the image and is thrown away afterwards. What it is told of
#                               the server that the image was made on must be gone: BUILDER_NAME, BUILDER_MACHINE_ID, and
#                               the public keys BUILDER_HOST_KEY and BUILDER_LOGIN_KEY
#   bash acceptance.sh --restarted   after it, where it said "level": "cluster" and that server was started anew
#   bash acceptance.sh --node   on a server that was made a node of, by provision.sh --node or by cloud-init
set -euo pipefail
[[ ${{1:-}} == "" || ${{1:-}} == --node || ${{1:-}} == --restarted ]] || {{
    echo "error: unknown argument $1; there is --node, --restarted, or nothing" >&2
    exit 1
}}
export MIRROR=${{MIRROR:-}}
export BUILDER_NAME=${{BUILDER_NAME:-unknown-builder}} BUILDER_MACHINE_ID=${{BUILDER_MACHINE_ID:-unknown-builder}}
export BUILDER_HOST_KEY=${{BUILDER_HOST_KEY:-unknown-builder}} BUILDER_LOGIN_KEY=${{BUILDER_LOGIN_KEY:-unknown-builder}}
if [[ ${{1:-}} == --node ]]; then
    tests=$(
        cat <<'NODE_IMAGE_TESTS'
{of_node}
NODE_IMAGE_TESTS
    )
elif [[ ${{1:-}} == --restarted ]]; then
    tests=$(
        cat <<'NODE_IMAGE_TESTS'
{restarted}
NODE_IMAGE_TESTS
    )
else
    tests=$(
        cat <<'NODE_IMAGE_TESTS'
{of_image}
NODE_IMAGE_TESTS
    )
fi
exec bash -c "$tests" acceptance-tests </dev/null
"""

_PACKER = """\
# {title}: a snapshot made by Packer's builder for Hetzner Cloud.
#
#   ./node-images render script ... --output provision.sh     the recipe, in the folder of this file
#   packer plugins install github.com/hetznercloud/hcloud     once; Packer before 1.7 has the builder in it
#   packer build FILE                                         with the API token in HCLOUD_TOKEN
#
# The recipe tests the build server. Nothing has booted from the snapshot yet, so it carries no caph-image-name, by which
# Cluster API Provider Hetzner would find it: examples/curl/node-image.sh verify boots it, tests it and gives it that label.

variable "server_type" {{
  description = "Its disk is the smallest that a server of the snapshot can have."
  type        = string
  default     = {server_type}
}}

variable "location" {{
  type    = string
  default = {location}
}}

variable "ssh_port" {{
  type    = number
  default = {ssh_port}
}}

variable "mirror" {{
  description = "An artifact mirror's URL; empty for the publishers' own."
  type        = string
  default     = {mirror}
}}

source "hcloud" "node" {{
  image        = {base_image}
  server_type  = var.server_type
  location     = var.location
  server_name  = {server_name}
  ssh_username = "root"
  ssh_port     = var.ssh_port

  snapshot_name = {snapshot_name}
  snapshot_labels = {{
{labels}
  }}
}}

build {{
  sources = ["source.hcloud.node"]

  provisioner "shell" {{
    script           = "${{path.root}}/provision.sh"
    environment_vars = ["MIRROR=${{var.mirror}}"]
  }}
}}
"""


@dataclass(frozen=True)
class ImageOrder:
    """An image as Hetzner Cloud is asked for it: in order of preference `server_types` and `locations` of its servers."""

    name: str
    base_image: str
    architecture: str
    server_types: Sequence[str]
    locations: Sequence[str]
    ssh_port: int
    mirror: str
    labels: Mapping[str, str]


def script(node: Node, recipe: Recipe) -> str:
    """One self-contained bash script."""
    head = _SCRIPT.format(title=_title(node), os=node.os, library=library().rstrip())
    return "\n".join([head, *map(_here_document, recipe.steps), 'echo "== done"\n'])


@dataclass(frozen=True)
class UserData:
    """How many bytes of user data machines have with a fragment: what Cluster API writes of it, and of its own."""

    worker: int
    control_plane: int

    def __str__(self) -> str:
        return (
            f"user data of {self.worker} bytes on a worker, {self.control_plane} on the first machine of a control plane; "
            f"Hetzner Cloud takes {USER_DATA_LIMIT}"
        )

    @property
    def fits_control_plane(self) -> bool:
        return self.control_plane <= USER_DATA_LIMIT


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
        raise ProblemsError([_too_much("cloud-init", node, rule)])
    return text


def pre_kubeadm_commands(node: Node, recipe: Recipe, mirror: str = "") -> str:
    """The part of a KubeadmConfigSpec that makes a node at its first boot, before kubeadm runs.

    Raises ProblemsError where no machine could have it.
    """
    document = _fragment(node, recipe, mirror)
    size = user_data(document)
    if size.worker > USER_DATA_LIMIT:
        raise ProblemsError([_too_much("pre-kubeadm-commands", node, str(size))])
    where = "KubeadmControlPlane: below spec.kubeadmConfigSpec; KubeadmConfigTemplate: below spec.template.spec"
    total = str(size) if size.fits_control_plane else f"{size}: too much for a control plane"
    return f"# {_title(node)}\n# {where}\n# {total}\n{_yaml(document)}"


def user_data(fragment: Mapping[str, Any]) -> UserData:
    """Cluster API writes each file and each command with its indentation."""
    files = "".join(
        f"-   path: {file['path']}\n    owner: {file['owner']}\n    permissions: '{file['permissions']}'\n"
        f"    content: |\n      {file['content']}\n"
        for file in fragment["files"]
    )
    commands = "".join(f"  - {json.dumps(command)}\n" for command in fragment["preKubeadmCommands"])
    own = len((files + commands).encode())
    return UserData(own + OF_WORKER, own + OF_CONTROL_PLANE)


def _fragment(node: Node, recipe: Recipe, mirror: str) -> dict[str, Any]:
    text = _packed(node, recipe)
    parts = [text[start : start + CONTENT_LIMIT] for start in range(0, len(text), CONTENT_LIMIT)]
    files = [
        {"path": f"{PROVISION}.part{number}", "owner": "root:root", "permissions": "0600", "content": part}
        for number, part in enumerate(parts)
    ]
    join = f"cat {PROVISION}.part? | base64 --decode | gunzip >{PROVISION}"
    run = f"MIRROR={shlex.quote(mirror)} bash {PROVISION} --node"
    return {"files": files, "preKubeadmCommands": [join, run]}


def _too_much(form: Form, node: Node, size: str) -> Problem:
    remedy = "take options out of the stack file, or build an image: that is what this project is for"
    return Problem(form, node.os, node.kubernetes, size, remedy)


def acceptance(node: Node, recipe: Recipe) -> str:
    """The tests that an image must pass, on a server booted from it, and those of a server that is itself the node."""
    (check,) = (step for step in recipe.steps if step.name == CHECK)
    return _ACCEPTANCE.format(
        title=_title(node),
        of_node=check.script.rstrip(),
        restarted=recipe.restarted.rstrip(),
        of_image=recipe.acceptance.rstrip(),
    )


def image(order: ImageOrder) -> str:
    """What else there is to know for programs that make the image with the scripts, as JSON."""
    facts = {
        "name": order.name,
        "image": order.base_image,
        "architecture": order.architecture,
        "serverTypes": [*order.server_types],
        "locations": [*order.locations],
        "sshPort": order.ssh_port,
        "mirror": order.mirror,
        "labels": {**order.labels},
    }
    return json.dumps(facts, indent=2) + "\n"


def packer(node: Node, order: ImageOrder) -> str:
    """A template for the hcloud builder; it runs `provision.sh`, which the form `script` gives, beside it."""
    labels = {"managed-by": "packer", **order.labels}
    width = max(map(len, labels))
    return _PACKER.format(
        title=_title(node),
        server_type=json.dumps(order.server_types[0]),
        location=json.dumps(order.locations[0]),
        ssh_port=order.ssh_port,
        mirror=json.dumps(order.mirror),
        base_image=json.dumps(order.base_image),
        server_name=json.dumps(f"packer-{order.name.replace('.', '-')}"),
        snapshot_name=json.dumps(order.name),
        labels="\n".join(f"    {key:<{width}} = {json.dumps(value)}" for key, value in labels.items()),
    )


def _title(node: Node) -> str:
    return f"Kubernetes {node.kubernetes} on {node.os}, {node.architecture}"


def _here_document(step: Step) -> str:
    function = "image_step" if step.for_images else "step"
    return f"{function} {shlex.quote(step.name)} <<'NODE_IMAGE_STEP'\n{step.text.rstrip()}\nNODE_IMAGE_STEP\n"


def _packed(node: Node, recipe: Recipe) -> str:
    """The script without what only an image needs, compressed, as base64; the same node gives the same text."""
    own = replace(recipe, steps=tuple(step for step in recipe.steps if not step.for_images))
    text = script(node, own).replace(library().rstrip(), _without_comments(library().rstrip()), 1)
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _without_comments(library: str) -> str:
    """User data has little room, and the library, which has no here-documents, is a tenth comments."""
    lines = library.splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("#") or "shellcheck" in line)


def _yaml(document: object) -> str:
    return yaml.safe_dump(document, sort_keys=False, width=1_000_000)
