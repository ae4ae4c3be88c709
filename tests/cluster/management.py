"""A management cluster, as far as it takes manifests: etcd and kube-apiserver of the images that nodes have, on loopback.

It has the definitions of the releases in tests/data, and no controllers: nothing is made of what it takes.
"""

import gzip
import json
import socket
import subprocess
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from mirror import ensure
from mirror.images import KeptImage, ensure_images
from mirror.images.store import ImageStore
from toolchain.layout import cache_root

DATA = Path(__file__).parents[1] / "data"
KUBECTL = "https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubectl"
IMAGES = {"kube-apiserver": "registry.k8s.io/kube-apiserver:v1.36.4", "etcd": "registry.k8s.io/etcd:3.6.8-0"}
PATIENCE = 120.0
TOKEN = "management"


@dataclass(frozen=True)
class Management:
    """The API server. `kubeconfig` is for any client."""

    folder: Path
    kubectl_program: Path
    kubeconfig: Path

    def kubectl(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        command = [str(self.kubectl_program), "--kubeconfig", str(self.kubeconfig), *arguments]
        return subprocess.run(command, input=given, capture_output=True, text=True, timeout=PATIENCE)

    def must(self, *arguments: str, given: str = "") -> str:
        result = self.kubectl(*arguments, given=given)
        assert result.returncode == 0, f"{arguments}: {result.stdout}{result.stderr}"
        return result.stdout

    def define(self, api: str) -> None:
        """Know the definitions of tests/data, with this version of Cluster API's own objects alone.

        Its controllers convert between the two, and there are none here.
        """
        self.must("delete", "crd", "--all", "--ignore-not-found")
        documents = [yaml.safe_load(gzip.decompress(file.read_bytes())) for file in sorted(DATA.glob("crds/*.gz"))]
        self.must("create", "--filename=-", given="\n".join(json.dumps(only(api, one)) for one in documents))
        self.must("wait", "--for=condition=Established", "--all", "crd", f"--timeout={PATIENCE:.0f}s")

    def namespace(self, name: str) -> str:
        self.must("create", "namespace", name)
        return name


@contextmanager
def management(folder: Path) -> Iterator[Management]:
    """Start it, and end it."""
    (kept,) = ensure([KUBECTL])
    kept.path.chmod(0o755)
    programs = {name: _program(folder, name, image) for name, image in IMAGES.items()}
    with ExitStack() as stack:
        etcd = stack.enter_context(_etcd(folder, programs["etcd"]))
        url = stack.enter_context(_apiserver(folder, programs["kube-apiserver"], etcd))
        found = Management(folder, kept.path, _kubeconfig(folder, url))
        _wait(lambda: found.kubectl("get", "--raw", "/readyz").stdout == "ok", folder / "kube-apiserver.log")
        yield found


def _program(folder: Path, name: str, image: str) -> Path:
    """Out of a kept image."""
    (kept,) = ensure_images([image])
    for layer in json.loads(_blob(kept, kept.digest).read_bytes())["layers"]:
        with tarfile.open(_blob(kept, layer["digest"])) as archive:
            if f"usr/local/bin/{name}" in archive.getnames():
                archive.extract(f"usr/local/bin/{name}", folder, filter="data")
    return folder / "usr/local/bin" / name


def _blob(_: KeptImage, digest: str) -> Path:
    digits = digest.removeprefix("sha256:")
    return ImageStore(cache_root()).storage / "docker/registry/v2/blobs/sha256" / digits[:2] / digits / "data"


@contextmanager
def _running(folder: Path, command: Sequence[object]) -> Iterator[None]:
    name = Path(str(command[0])).name
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([str(part) for part in command], stdout=log, stderr=subprocess.STDOUT, cwd=folder)
        try:
            yield
        finally:
            process.kill()
            process.wait()


@contextmanager
def _etcd(folder: Path, program: Path) -> Iterator[str]:
    client, peer = (f"http://127.0.0.1:{port}" for port in _free_ports(2))
    options = {
        "data-dir": folder / "etcd",
        "listen-client-urls": client,
        "advertise-client-urls": client,
        "listen-peer-urls": peer,
        "initial-advertise-peer-urls": peer,
        "initial-cluster": f"default={peer}",
        "unsafe-no-fsync": "true",
    }
    with _running(folder, [program, *_flags(options)]):
        yield client


@contextmanager
def _apiserver(folder: Path, program: Path, etcd: str) -> Iterator[str]:
    (port,) = _free_ports(1)
    key = folder / "service-accounts.pem"
    subprocess.run(["openssl", "genrsa", "-out", key, "2048"], check=True, capture_output=True)
    (folder / "tokens.csv").write_text(f"{TOKEN},admin,admin,system:masters\n")
    options = {
        "etcd-servers": etcd,
        "bind-address": "127.0.0.1",
        "secure-port": port,
        "cert-dir": folder / "certificates",
        "token-auth-file": folder / "tokens.csv",
        "authorization-mode": "RBAC",
        "service-account-issuer": "https://kubernetes.default.svc",
        "service-account-key-file": key,
        "service-account-signing-key-file": key,
        "service-cluster-ip-range": "10.96.0.0/24",
    }
    with _running(folder, [program, *_flags(options)]):
        yield f"https://127.0.0.1:{port}"


def _flags(options: dict[str, object]) -> list[str]:
    return [f"--{name}={value}" for name, value in options.items()]


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _kubeconfig(folder: Path, url: str) -> Path:
    """JSON is YAML."""
    cluster = {"server": url, "insecure-skip-tls-verify": True}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "m", "cluster": cluster}],
        "users": [{"name": "m", "user": {"token": TOKEN}}],
        "contexts": [{"name": "m", "context": {"cluster": "m", "user": "m"}}],
        "current-context": "m",
    }
    file = folder / "kubeconfig"
    file.write_text(json.dumps(document))
    return file


def only(api: str, definition: dict[str, Any]) -> dict[str, Any]:
    """A definition with one version; what has a single one keeps it."""
    versions = definition["spec"]["versions"]
    wanted = [{**one, "storage": True} for one in versions if one["name"] == api] or versions
    return {**definition, "spec": {**definition["spec"], "versions": wanted}}


def _wait(is_ready: Callable[[], bool], log: Path) -> None:
    end = time.monotonic() + PATIENCE
    while not is_ready():
        assert time.monotonic() < end, log.read_text()[-2000:]
        time.sleep(0.2)
