"""A real container registry on loopback (Debian's docker-registry), with images that the tests make."""

import ctypes
import gzip
import hashlib
import io
import ipaddress
import json
import subprocess
import tarfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from sandbox.machines.network import HOST
from tests.e2e.workspace import free_port

OCI = "application/vnd.oci.image"
SECONDS = 20


@dataclass
class Registry:
    """`url` is its base; images are `<name>:<tag>`. A `guarded` one has TLS, by an authority of its own, and one user."""

    port: int
    folder: Path
    guarded: bool = False
    session: requests.Session = field(default_factory=requests.Session)

    @property
    def url(self) -> str:
        return f"{'https' if self.guarded else 'http'}://127.0.0.1:{self.port}"

    @property
    def host_for_servers(self) -> str:
        return f"{HOST}:{self.port}"

    @property
    def url_for_servers(self) -> str:
        return f"{'https' if self.guarded else 'http'}://{self.host_for_servers}"

    @property
    def authority(self) -> Path:
        return self.folder / "authority.pem"

    @property
    def log(self) -> Path:
        return self.folder / "registry.log"

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
        answer = self.session.put(
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
        begun = self.session.post(f"{self.url}/v2/{name}/blobs/uploads/", timeout=SECONDS)
        begun.raise_for_status()
        digest = _digest(content)
        place = begun.headers["Location"]
        self.session.put(place, params={"digest": digest}, data=content, timeout=SECONDS).raise_for_status()
        return {"mediaType": kind, "digest": digest, "size": len(content)}


@contextmanager
def registry(folder: Path, user: str = "", password: str = "") -> Iterator[Registry]:
    """Runs in a folder, from Debian's package, which is unpacked there and not installed. With a user it is guarded."""
    subprocess.run(["apt-get", "download", "--quiet=2", "docker-registry"], cwd=folder, check=True, capture_output=True)
    (package,) = folder.glob("docker-registry_*.deb")
    subprocess.run(["dpkg-deb", "--extract", package, folder / "program"], check=True)
    made = Registry(free_port(), folder, guarded=bool(user))
    settings: dict[str, Any] = {
        "version": 0.1,
        "log": {"accesslog": {"disabled": False}},
        "storage": {"filesystem": {"rootdirectory": str(folder / "images")}},
        "http": {"addr": f"127.0.0.1:{made.port}"},
    }
    if user:
        settings |= {"auth": {"htpasswd": {"realm": "company", "path": str(_users(folder, user, password))}}}
        settings["http"]["tls"] = _tls(made)
        made.session.auth, made.session.verify, made.session.trust_env = (user, password), str(made.authority), False
    (folder / "config.yml").write_text(yaml.safe_dump(settings))
    command = [folder / "program/usr/bin/docker-registry", "serve", folder / "config.yml"]
    with made.log.open("w") as log, subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT) as process:
        try:
            _wait(made)
            yield made
        finally:
            process.terminate()


def _users(folder: Path, user: str, password: str) -> Path:
    """The registry takes bcrypt alone."""
    library = ctypes.CDLL("libcrypt.so.1")
    library.crypt.restype = ctypes.c_char_p
    hashed: bytes = library.crypt(password.encode(), b"$2b$05$" + b"a" * 21 + b"u")
    (folder / "users").write_text(f"{user}:{hashed.decode()}\n")
    return folder / "users"


def _tls(made: Registry) -> dict[str, str]:
    """A certificate for its addresses, which is its own authority."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "r")])
    now, addresses = datetime.now(UTC), [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", HOST)]
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = (
        builder.serial_number(1).not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=9))
    )
    builder = builder.add_extension(x509.SubjectAlternativeName(addresses), critical=False)
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    made.authority.write_bytes(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (made.folder / "key.pem").write_bytes(private)
    return {"certificate": str(made.authority), "key": str(made.folder / "key.pem")}


def _wait(made: Registry) -> None:
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            made.session.get(f"{made.url}/v2/", timeout=SECONDS).raise_for_status()
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
