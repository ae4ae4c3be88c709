"""What is measured. Each scenario drives a workspace of its own as a user would, and yields figures."""

import json
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import yaml
from hcloud.images import Image
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer

from benchmarks.booting import boots
from benchmarks.load import load as loaded
from benchmarks.measure import Measure, kind_of_request, seconds
from benchmarks.ready import figures, turns
from benchmarks.ready import seconds as recorded_seconds
from benchmarks.scale import IMAGES, scaled
from components.ssh import greets
from mirror import Artifact, ensure
from mirror.daemon import Home
from sandbox.machines.disks import frozen
from tests.e2e.workspace import (
    Workspace,
    close_workspace,
    free_port,
    prepare_workspace,
    rendered,
    shut_down,
    snapshot_of,
    start_workspace,
    use_small_recipe,
)
from tests.kubernetes.outcomes import Outcome, node, quickness, record

EMPTY_PROJECT = "name: empty\nruntime:\n  name: python\n"
PREVIEW = ("{root}/pulumiw", "preview", "--non-interactive")
UP = ("{root}/pulumiw", "up", "--yes", "--skip-preview", "--non-interactive")
PROGRAMS = ("usr/local/bin", "opt/cni/bin")
KUBERNETES = "1.36.4"
KUBELET = "https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet"


def set_up(workspace: Workspace) -> Iterator[Measure]:
    """Measure set-up with everything cached, as a second clone meets it."""
    python = seconds(lambda: checked(workspace, ".venv/bin/python", "-c", ""), 3)
    yield Measure(
        "set-up, warm",
        seconds(lambda: checked(workspace, "toolchain/run"), 3),
        beside="empty Python",
        reference=python,
    )


def artifacts(workspace: Workspace) -> Iterator[Measure]:
    """Measure the mirror with everything kept: the check, and a transfer beside a copy."""
    (kubelet,) = ensure([KUBELET], local_lock=workspace.root / "recipe" / "lock.local.yaml")
    check = seconds(lambda: checked(workspace, ".venv/bin/python", "-m", "mirror", "ensure", KUBELET), 3)
    yield Measure("artifacts present, check", check)
    target = workspace.root / "kubelet"
    copy = seconds(lambda: shutil.copyfile(kubelet.path, target), 3)
    download = seconds(lambda: _download(workspace, kubelet, target), 3)
    yield Measure("kubelet (60 MB) from the mirror", download, beside="file copy", reference=copy)
    target.unlink()


def machines(workspace: Workspace) -> Iterator[Measure]:
    """Measure a machine's life: first and second boot, snapshot beside `cp -a`, a boot from it."""
    servers: list[BoundServer] = []
    first, second = (seconds(lambda: servers.append(new_server(workspace, Image(name="debian-13")))) for _ in range(2))
    yield Measure("server created until SSH answers, first", first)
    yield Measure("server created until SSH answers, again", second, beside="the first", reference=first)
    server = servers[0]
    yield Measure("shutdown until off", seconds(lambda: shut_down(workspace, server)))
    image: list[Image] = []
    snapshot = seconds(lambda: image.append(snapshot_of(server)))
    disk = workspace.root / ".sandbox" / "snapshots" / str(image[0].id)
    copy = seconds(lambda: subprocess.run(["cp", "-a", (disk / "base").resolve(), workspace.root / "copy"], check=True))
    shutil.rmtree(workspace.root / "copy")
    yield Measure("snapshot until available", snapshot, beside="cp -a of the base image", reference=copy)
    restored = seconds(lambda: servers.append(new_server(workspace, image[0])))
    yield Measure("server from snapshot until SSH answers", restored, beside="from base image", reference=second)
    for one in servers:
        one.delete().wait_until_finished()
    workspace.client.images.delete(workspace.client.images.get_by_id(image[0].id or 0))


def light_machines(workspace: Workspace) -> Iterator[Measure]:
    """Measure servers that boot in no time, one by one and fifty at once, in a sandbox of their own."""
    light = Workspace(workspace.root, free_port(), workspace.mirror_port, free_port(), "light")
    sandbox = (".venv/bin/python", "-m", "sandbox", "--home", "{root}/light")
    ports = ("--port", str(light.api_port), "--ssh-port", str(light.ssh_port))
    checked(light, *sandbox, "start", *ports, "--machines", "light")
    image = Image(name="debian-13")
    new_server(light, image)  # makes what all of them share
    python = seconds(lambda: checked(light, ".venv/bin/python", "-c", ""), 3)
    one = seconds(lambda: new_server(light, image), 5)
    yield Measure("light server created until SSH answers", one, "s", "empty Python", python)
    with ThreadPoolExecutor(50) as pool:
        fifty = seconds(lambda: list(pool.map(lambda _: new_server(light, image), range(50))))
    yield Measure("50 light servers at once", fifty, "s", "one of them", one)
    checked(light, *sandbox, "reset")


def load(workspace: Workspace) -> Iterator[Measure]:
    """Measure the API with ten thousand servers in a project, in a sandbox of its own."""
    port, home = free_port(), workspace.root / "loaded"
    sandbox = (".venv/bin/python", "-m", "sandbox", "--home", str(home))
    start = ("start", "--port", str(port), "--machines", "none")
    try:
        yield from loaded(
            port, home, lambda: checked(workspace, *sandbox, *start), lambda: checked(workspace, *sandbox, "stop")
        )
    finally:
        checked(workspace, *sandbox, "reset")


def engine(workspace: Workspace) -> Iterator[Measure]:
    """Measure the program beside an empty one: first preview, `up` of one image, then nothing to do, then one more."""
    empty = _empty_program(workspace)
    idle_preview = seconds(lambda: checked(workspace, *empty, *PREVIEW), 3)
    idle_up = seconds(lambda: checked(workspace, *empty, *UP), 3)

    def preview(name: str) -> Measure:
        return Measure(name, seconds(lambda: checked(workspace, *PREVIEW), 3), "s", "empty program", idle_preview)

    def up(name: str) -> Measure:
        return Measure(name, seconds(lambda: checked(workspace, *UP)), "s", "empty program", idle_up)

    workspace.declare("1.36.4")
    yield preview("preview before the first up")
    yield up("up, one image")
    yield preview("preview with nothing to do")
    yield up("up with nothing to do")
    workspace.declare("1.36.4", "1.36.3")
    yield preview("preview with a second version declared")


def requests(workspace: Workspace) -> Iterator[Measure]:
    """Count the API requests of one image, and of previews before and after it, with actions as slow as at Hetzner.

    In a checkout of its own, with a small recipe: what runs on a server asks nothing of the API.
    """
    own = prepare_workspace(workspace.root / "requests")
    use_small_recipe(own)
    try:
        start_workspace(own)
        own.declare("1.36.4")
        _control(own, "PUT", "/speed", {"speed": "realistic"})
        yield from _requests_of(own, "preview of one new image", *PREVIEW)
        yield from _requests_of(own, "one image", *UP)
        yield from _requests_of(own, "preview with nothing to do", *PREVIEW)
    finally:
        close_workspace(own)


def scale(workspace: Workspace) -> Iterator[Measure]:
    """Measure state, resources and an idle preview of many images of the real recipe, on light machines that run no step."""
    own = prepare_workspace(workspace.root / "scale")
    own.servers = "light"
    try:
        start_workspace(own)
        yield from scaled(own, checked, PREVIEW, UP, _empty_program(own))
        yield from _requests_of(own, f"preview of {IMAGES} images", *PREVIEW)
    finally:
        close_workspace(own)


def _requests_of(workspace: Workspace, name: str, *command: str) -> Iterator[Measure]:
    _control(workspace, "DELETE", "/requests")
    checked(workspace, *command)
    asked = _control(workspace, "GET", "/requests")["requests"]
    yield Measure(f"{name}, API requests", len(asked), "requests")
    kinds = Counter(kind_of_request(item["method"], item["route"], item["query"]) for item in asked)
    for kind, count in kinds.most_common():
        yield Measure(f"{name}: {kind}", count, "requests")


def _control(workspace: Workspace, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - its JSON
    """Ask the sandbox's control plane."""
    url = f"http://127.0.0.1:{workspace.api_port}/_sandbox{path}"
    content = None if body is None else json.dumps(body).encode()
    with urlopen(Request(url, content, {"Content-Type": "application/json"}, method=method)) as answer:
        return json.loads(answer.read() or b"null")


def size(workspace: Workspace) -> Iterator[Measure]:
    """Measure what an image adds to the system image that it starts from, beside the programs that it is made for."""
    workspace.declare("1.36.4")
    checked(workspace, *UP)
    disk = workspace.root / ".sandbox" / "snapshots" / str(max(workspace.snapshots().values()))
    layers = [layer.resolve() for layer in frozen(disk)]
    programs = sum(_on_disk(layer / folder) for layer in layers for folder in PROGRAMS if (layer / folder).exists())
    added = sum(map(_on_disk, layers)) + _on_disk(disk / "plain")
    yield Measure("added to the base image", added, "MB", "upstream's programs, unpacked", programs)


def memory(workspace: Workspace) -> Iterator[Measure]:
    """Measure the peak resident memory of the daemons over all that was done before, beside an empty Python."""
    bare = _peak_of_empty_python(workspace)
    with urlopen(f"http://127.0.0.1:{workspace.api_port}/_sandbox/health") as answer:
        yield Measure("peak memory of the sandbox", _peak(json.load(answer)["pid"]), "MB", "empty Python", bare)
    if mirror := Home(workspace.root / ".sandbox" / "mirror").running():
        yield Measure("peak memory of the mirror", _peak(mirror.pid), "MB", "empty Python", bare)


def boot(workspace: Workspace) -> Iterator[Measure]:
    """Measure from power-on to SSH and to a healthy kubelet beside the stock image, with kernels of their own (minutes)."""
    workspace.declare("1.36.4")
    checked(workspace, *UP)
    yield from boots(workspace, max(workspace.snapshots().values()))


def ready(workspace: Workspace) -> Iterator[Measure]:
    """Measure from creation to a Ready node, beside a stock image with preKubeadmCommands (an hour where QEMU translates).

    The figures are recorded for docs/ran-kubernetes.md.
    """
    began = time.monotonic()
    checked(workspace, ".venv/bin/python", "-m", "mirror", "images", KUBERNETES)
    workspace.declare(KUBERNETES)
    # What is on the image is installed and pulled by the other server as well.
    workspace.configure(node=dict(node(None, workspace.registry_for_servers)))
    checked(workspace, *UP)
    fragment = yaml.safe_load(rendered(workspace, "pre-kubeadm-commands"))
    runs = turns(workspace, max(workspace.snapshots().values()), KUBERNETES, fragment)
    record(
        Outcome.now(
            began,
            name=quickness("debian-13", KUBERNETES),
            accelerator=runs["image"][0].accelerator,
            seconds=recorded_seconds(runs),
        )
    )
    yield from figures(runs)


Scenario = Callable[[Workspace], Iterator[Measure]]
SCENARIOS: tuple[Scenario, ...] = (
    set_up,
    artifacts,
    machines,
    light_machines,
    load,
    engine,
    requests,
    scale,
    size,
    memory,
)
ON_REQUEST: tuple[Scenario, ...] = (boot, ready)
"""Those that take long, and run only when they are named."""


def checked(workspace: Workspace, *command: str) -> None:
    """Run a command in the workspace ("{root}" is its folder); an error with its output where it fails."""
    result = workspace.run(*(word.format(root=workspace.root) for word in command))
    if result.returncode:
        raise RuntimeError(f"{' '.join(command)}: exit {result.returncode}\n{result.stdout}{result.stderr}")


def new_server(workspace: Workspace, image: Image) -> BoundServer:
    """Create a server and wait until its sshd says what it is."""
    name = f"bench-{time.monotonic_ns()}"
    created = workspace.client.servers.create(name=name, server_type=ServerType(name="cx23"), image=image)
    address = created.server.public_net.ipv4.ip  # type: ignore[union-attr]  # every server of the sandbox has one
    deadline = time.monotonic() + 60
    while not greets(address, workspace.ssh_port, 1):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{name}: no SSH at {address}:{workspace.ssh_port}")
        time.sleep(0.02)
    return created.server


def _download(workspace: Workspace, artifact: Artifact, target: Path) -> None:
    url = f"http://127.0.0.1:{workspace.mirror_port}/{artifact.url.removeprefix('https://')}"
    with urlopen(url) as answer, target.open("wb") as file:
        shutil.copyfileobj(answer, file, 1 << 20)


def _empty_program(workspace: Workspace) -> list[str]:
    """Make a program that declares nothing; return what goes before ./pulumiw to run it there."""
    folder = workspace.root / "empty"
    folder.mkdir()
    (folder / "Pulumi.yaml").write_text(EMPTY_PROJECT)
    (folder / "__main__.py").write_text("import pulumi\n")
    here = ["env", f"--chdir={folder}", "PULUMI_CONFIG_PASSPHRASE=none"]
    checked(workspace, *here, "{root}/pulumiw", "stack", "select", "--create", "sandbox")
    return here


def _on_disk(folder: Path) -> float:
    command = ["du", "--summarize", "--one-file-system", "--block-size=1", str(folder)]
    return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[0]) / 1e6


def _peak(pid: int) -> float:
    return _megabytes(Path(f"/proc/{pid}/status").read_text())


def _peak_of_empty_python(workspace: Workspace) -> float:
    return _megabytes(workspace.run(".venv/bin/python", "-c", "print(open('/proc/self/status').read())").stdout)


def _megabytes(status: str) -> float:
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / 1e6
