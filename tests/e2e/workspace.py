"""A checkout of its own with a sandbox, a mirror and a state of its own, driven as a user drives it."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import requests
import yaml
from hcloud import Client
from hcloud.images import BoundImage, Image
from hcloud.servers import BoundServer

from sandbox.machines.network import HOST
from sandbox.settings import TOKEN

ROOT = Path(__file__).parents[2]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def free_port_of_mirror() -> int:
    """A free port, the next of which is free as well: the registry of images listens there."""
    while True:
        port = free_port()
        with socket.socket() as probe:
            if port < 65535 and probe.connect_ex(("127.0.0.1", port + 1)) != 0:
                return port


def checkout(target: Path) -> Path:
    """What git tracks, and what it does not ignore, as it stands."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode().split("\0")  # fmt: skip
    for name in filter(None, files):
        source = ROOT / name
        if source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name)
    (target / ".venv").symlink_to((ROOT / ".venv").resolve())
    return target


@dataclass
class Workspace:
    """One user's machine: `root` is the checkout, `ssh_port` where the servers' sshd listen.

    `servers` is what a server is, and `from_snapshot` what one made from a snapshot is, where that is another kind. `emulate`
    is another architecture than this machine's (x86, arm), whose servers boot as well.
    """

    root: Path
    api_port: int
    mirror_port: int
    ssh_port: int
    servers: str = "real"
    from_snapshot: str = ""
    emulate: str = ""

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.api_port}/v1"

    @property
    def mirror_for_servers(self) -> str:
        """The artifact mirror as the sandbox's machines reach it."""
        return f"http://{HOST}:{self.mirror_port}"

    @property
    def registry_for_servers(self) -> str:
        """The mirror's registry of images, as the sandbox's machines reach it."""
        return f"http://{HOST}:{self.mirror_port + 1}"

    @property
    def client(self) -> Client:
        return Client(token=TOKEN, api_endpoint=self.endpoint, poll_interval=0.1, poll_max_retries=600)

    def environment(self) -> dict[str, str]:
        mine = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI", "HCLOUD"))}
        kinds = {"SANDBOX_MACHINES": self.servers, "SANDBOX_FROM_SNAPSHOT": self.from_snapshot or self.servers}
        if self.emulate:
            kinds["SANDBOX_EMULATE"] = self.emulate
        return {**mine, "NO_COLOR": "1", "PULUMI_STACK": "sandbox", **kinds}

    def run(self, *command: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, cwd=self.root, env=self.environment(), capture_output=True, text=True, timeout=3600, **options
        )

    def python(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run(".venv/bin/python", "-m", *arguments)

    def pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return self.run("./pulumiw", *arguments, "--non-interactive")

    def up(self) -> subprocess.CompletedProcess[str]:
        return self.pulumi("up", "--yes", "--skip-preview")

    def settle(self) -> None:
        """An `up` that must succeed."""
        result = self.up()
        assert result.returncode == 0, result.stdout + result.stderr

    def unchanged(self) -> None:
        result = self.pulumi("preview", "--expect-no-changes", "--diff")
        assert result.returncode == 0, result.stdout + result.stderr

    def output(self, name: str) -> Any:
        result = self.pulumi("stack", "output", "--json")
        assert result.returncode == 0, result.stderr
        return json.loads(result.stdout).get(name)

    # --- stack file and recipe ---

    @property
    def stack_file(self) -> Path:
        return self.root / "stacks" / "Pulumi.sandbox.yaml"

    def configure(self, **settings: Any) -> None:
        """Set keys of the stack file; `hcloud__endpoint` stands for `hcloud:endpoint`."""
        document = yaml.safe_load(self.stack_file.read_text())
        for key, value in settings.items():
            document["config"][key.replace("__", ":") if "__" in key else f"node-images:{key}"] = value
        self.stack_file.write_text(yaml.safe_dump(document))

    def declare(self, *versions: str) -> None:
        self.configure(images=[{"os": "debian-13", "kubernetes": list(versions)}])

    def append(self, file: str, text: str) -> None:
        path = self.root / file
        path.write_text(path.read_text() + text)

    def sell_out(self, *server_types: str) -> None:
        """Leave no server of these types, in any location; without one, everything is in stock again."""
        places = [{"server_type": name, "location": "*"} for name in server_types]
        control = self.endpoint.removesuffix("/v1") + "/_sandbox/conditions"
        requests.put(control, json={"sold_out": places}, timeout=5).raise_for_status()

    def fault(self, **fault: Any) -> None:
        """Order a fault of the sandbox."""
        requests.post(self.endpoint.removesuffix("/v1") + "/_sandbox/faults", json=fault, timeout=5).raise_for_status()

    # --- what is there ---

    def facts(self, server: BoundServer) -> dict[str, Any]:
        """What the sandbox says of a server's machine: `pid` of its process, `console` (a file), and more."""
        answer = requests.get(self.endpoint.removesuffix("/v1") + "/_sandbox/facts", timeout=30)
        return next(facts for facts in answer.json()["servers"] if facts["id"] == server.id)

    def snapshots(self) -> dict[str, int]:
        """Published name -> id."""
        images = self.client.images.get_all(type=["snapshot"])
        return {(image.labels or {}).get("caph-image-name", f"unpublished-{image.id}"): image.id for image in images}

    def nothing_left_over(self) -> None:
        assert self.client.servers.get_all() == []
        assert self.client.ssh_keys.get_all() == []
        assert self.client.firewalls.get_all() == []

    def processes(self) -> list[str]:
        """Command lines of running processes that name this checkout."""
        listing = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
        return [line for line in listing.splitlines() if str(self.root) in line]

    def machines(self) -> list[str]:
        return [line for line in self.processes() if "systemd-nspawn" in line or "unshare" in line]


def prepare_workspace(root: Path) -> Workspace:
    """A fresh clone whose stack file names free ports."""
    workspace = Workspace(checkout(root), free_port(), free_port_of_mirror(), free_port())
    workspace.configure(
        hcloud__endpoint=workspace.endpoint,
        hcloud__token=TOKEN,
        sshPort=workspace.ssh_port,
        artifacts={
            "mirror": f"http://127.0.0.1:{workspace.mirror_port}",
            "mirrorForServers": workspace.mirror_for_servers,
            "localBuilds": True,
        },
    )
    return workspace


def start_workspace(workspace: Workspace) -> None:
    for command in (
        ["make", "sandbox-start"],
        ["./pulumiw", "stack", "select", "--create", "sandbox", "--non-interactive"],
    ):
        result = workspace.run(*command)
        assert result.returncode == 0, result.stdout + result.stderr


def close_workspace(workspace: Workspace) -> None:
    result = workspace.run("make", "clean")
    sys.stdout.write(result.stdout + result.stderr)
    assert result.returncode == 0
    assert workspace.processes() == []
    assert str(workspace.root) not in Path("/proc/mounts").read_text()


def use_small_recipe(workspace: Workspace) -> None:
    """Two steps and one test instead of the whole node, no download, and light machines, which boot in no time.

    For what does not depend on what is on a node.
    """
    workspace.servers = "light"
    steps, tests = workspace.root / "recipe" / "steps", workspace.root / "recipe" / "acceptance"
    for file in [*steps.glob("[2-7]*.sh"), *tests.glob("*.yaml")]:
        file.unlink()
    (steps / "50-marker.sh").write_text('say "Kubernetes $KUBERNETES_VERSION"\ninstall_text 0644 /etc/marker <<<ok\n')
    (steps / "80-manifest.sh").write_text('install_text 0644 /etc/node-image.json <<<"$MANIFEST"\n')
    clean = steps / "90-clean.sh"
    clean.write_text(clean.read_text().replace("systemctl stop containerd.service\n", ""))
    (tests / "run.sh").write_text(
        # Its text changes with the tests, as that of the whole recipe does.
        "[[ $TESTS && $WHERE != restarted ]] || exit 0\n"
        'grep --quiet ok /etc/marker || die "/etc/marker is not ok: 1 acceptance tests failed"\n'
        """printf '%s\\n' '{"passed": 1, "total": 1}'\n"""
    )
    document = yaml.safe_load(workspace.stack_file.read_text())
    del document["config"]["node-images:artifacts"]
    workspace.stack_file.write_text(yaml.safe_dump(document))


def over_ssh(workspace: Workspace, address: str, key: Path, command: str, text: str = "", seconds: float = 60) -> str:
    """What the command prints within `seconds`; `text` is its standard input."""
    options = ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]
    arguments = ["ssh", "-i", str(key), "-p", str(workspace.ssh_port), *options, f"root@{address}", command]
    for _ in range(60):
        result = subprocess.run(arguments, input=text, capture_output=True, text=True, timeout=seconds)
        if result.returncode != 255:
            break
        time.sleep(0.5)
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


@contextmanager
def booted(workspace: Workspace, folder: Path, image: str | int, user_data: str = "") -> Iterator[Callable[..., str]]:
    """A server of a system image or a snapshot, as a function that runs a command on it, with a text on standard input."""
    key, client = folder / "key", workspace.client
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    mine = client.ssh_keys.create("mine", key.with_suffix(".pub").read_text())
    try:
        server_type = client.server_types.get_by_name("cx23")
        found = (
            client.images.get_by_id(image)
            if isinstance(image, int)
            else client.images.get_by_name_and_architecture(image, "x86")
        )
        created = client.servers.create("node-1", server_type, image=found, ssh_keys=[mine], user_data=user_data)
        try:
            created.action.wait_until_finished()
            yield partial(over_ssh, workspace, created.server.public_net.ipv4.ip, key)
        finally:
            created.server.delete()
    finally:
        mine.delete()


FORMS = {"image": "image.json", "script": "provision.sh", "acceptance": "acceptance.sh", "packer": "node.pkr.hcl"}
"""The files of those who build without Pulumi, by form."""
NODE = ("--os", "debian-13", "--kubernetes", "1.36.4", "--stack", "sandbox")


def rendered(workspace: Workspace, form: str) -> str:
    """A form of the stack's node."""
    result = workspace.run("./node-images", "render", form, *NODE)
    assert result.returncode == 0, result.stderr
    return result.stdout


def first_boot_done(node: Callable[..., str]) -> None:
    """Wait until cloud-init has ended well, on a server as `booted` gives it."""
    state = "status: running"
    while "running" in state:
        time.sleep(1)
        state = node("cloud-init status --long || true")
    assert "status: done" in state, state + node("tail -n 40 /var/log/cloud-init-output.log")


def shut_down(workspace: Workspace, server: BoundServer) -> None:
    """Until it is off."""
    server.shutdown().wait_until_finished()
    while workspace.client.servers.get_by_id(server.id or 0).status != "off":
        time.sleep(0.05)


def snapshot_of(server: BoundServer) -> Image:
    """Make one."""
    created = server.create_image(type="snapshot", description="made by hand")
    created.action.wait_until_finished()
    return created.image


def render_forms(workspace: Workspace, folder: Path) -> Path:
    """All of their files."""
    for form, name in FORMS.items():
        (folder / name).write_text(rendered(workspace, form))
    return folder


def _env(workspace: Workspace, **variables: str) -> list[str]:
    """What begins the command line of a client of the sandbox, and gives it more variables."""
    cloud = {"HCLOUD_ENDPOINT": workspace.endpoint, "HCLOUD_TOKEN": TOKEN, **variables}
    return ["env", *(f"{name}={value}" for name, value in cloud.items())]


def by_curl(workspace: Workspace, *arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run `examples/curl/node-image.sh`."""
    return workspace.run(*_env(workspace, **variables), "examples/curl/node-image.sh", *map(str, arguments))


def by_packer(workspace: Workspace, forms: Path, folder: Path) -> BoundImage:
    """The snapshot that Packer makes with the template, without a name; the folder is for what Packer keeps."""
    settings = _env(workspace, CHECKPOINT_DISABLE="1", PACKER_CONFIG_DIR=str(folder))
    built = workspace.run(*settings, "packer", "build", "-color=false", str(forms / "node.pkr.hcl"))
    assert built.returncode == 0, built.stdout[-4000:] + built.stderr
    (snapshot,) = workspace.client.images.get_all(label_selector="managed-by=packer")
    return snapshot
