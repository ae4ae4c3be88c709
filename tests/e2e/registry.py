"""A real container registry on loopback (Debian's docker-registry), with images that the tests make."""

import gzip
import hashlib
import io
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import requests
import yaml

from sandbox.machines.network import HOST
from tests.e2e.workspace import free_port

OCI = "application/vnd.oci.image"
SECONDS = 20


@dataclass
class Registry:
    """`url` is its base; images are `<name>:<tag>`."""

    url: str
    url_for_servers: str
    log: Path

    def push(self, name: str, tag: str, files: Mapping[str, str]) -> None:
        """An image of one layer with these files."""
        layer = _layer(files)
        root = {"type": "layers", "diff_ids": [_digest(layer)]}
        config = json.dumps({"architecture": "amd64", "os": "linux", "config": {}, "rootfs": root}).encode()
        packed = gzip.compress(layer, mtime=0)
        manifest = {
            "schemaVersion": 2,
            "mediaType": f"{OCI}.manifest.v1+json",
            "config": self._blob(name, f"{OCI}.config.v1+json", config),
            "layers": [self._blob(name, f"{OCI}.layer.v1.tar+gzip", packed)],
        }
        answer = requests.put(
            f"{self.url}/v2/{name}/manifests/{tag}",
            data=json.dumps(manifest),
            headers={"Content-Type": manifest["mediaType"]},
            timeout=SECONDS,
        )
        answer.raise_for_status()

    def pulls(self, name: str) -> int:
        """How often a manifest of the image was asked for by its tag or digest."""
        return self.log.read_text().count(f'"GET /v2/{name}/manifests/')

    def _blob(self, name: str, kind: str, content: bytes) -> dict[str, object]:
        begun = requests.post(f"{self.url}/v2/{name}/blobs/uploads/", timeout=SECONDS)
        begun.raise_for_status()
        digest = _digest(content)
        place = begun.headers["Location"]
        requests.put(place, params={"digest": digest}, data=content, timeout=SECONDS).raise_for_status()
        return {"mediaType": kind, "digest": digest, "size": len(content)}


@contextmanager
def registry(folder: Path) -> Iterator[Registry]:
    """Runs in a folder, from Debian's package, which is unpacked there and not installed."""
    subprocess.run(["apt-get", "download", "--quiet=2", "docker-registry"], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("docker-registry_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder / "program"], check=True)
    port = free_port()
    made = Registry(f"http://127.0.0.1:{port}", f"http://{HOST}:{port}", folder / "registry.log")
    settings = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": made.url.removeprefix("http://")},
    }
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    command = [folder / "program/usr/bin/docker-registry", "serve", folder / "config.yml"]
    with made.log.open("w") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            _wait(made)
            yield made
        finally:
            process.terminate()


def _wait(made: Registry) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            requests.get(f"{made.url}/v2/", timeout=SECONDS).raise_for_status()
            return
        except requests.ConnectionError:
            assert time.monotonic() < deadline, made.log.read_text()
            time.sleep(0.05)


def _layer(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(text.encode())
            archive.addfile(entry, io.BytesIO(text.encode()))
    return buffer.getvalue()


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
