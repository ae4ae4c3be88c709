"""A small upstream, a builder that needs no compiler, and a mirror between them, all in temporary folders."""

import hashlib
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

import pytest
import yaml

from mirror import Artifact, ensure
from mirror.errors import MirrorError
from mirror.gobuild import FLAGS
from mirror.programs import Build
from mirror.store import Store
from recipe.files import write_atomically

ROOT = Path(__file__).resolve().parents[2]
KUBELET = "https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet"
KUBEADM = "https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubeadm"
GOSS = "https://github.com/goss-org/goss/releases/download/v0.4.9/goss-linux-amd64"
NO_PROGRAM = "https://example.com/some/package.deb"
CONTENT = {url: f"upstream's {url}".encode() * 1000 for url in (KUBELET, KUBEADM, GOSS, NO_PROGRAM)}


# On a machine without Go the mirror has upstream only, and says so: that is tested everywhere.
needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="builds with the go command, which is not installed")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class FakeUpstream:
    """Serves files at <base>/<host>/<path>; can break off in the middle of one."""

    def __init__(self) -> None:
        self.files = {f"/{url.removeprefix('https://')}": content for url, content in CONTENT.items()}
        self.break_off: set[str] = set()
        self.requests: list[str] = []
        self.delay = 0.0
        self.after_answer: Callable[[], None] = lambda: None
        fake = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                fake.requests.append(self.path)
                time.sleep(fake.delay)
                content = fake.files.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if self.path in fake.break_off else content)
                fake.after_answer()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def put(self, url: str, content: bytes) -> None:
        self.files[f"/{url.removeprefix('https://')}"] = content

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@dataclass
class FakeBuilder:
    """Makes a file per URL; remembers what it was asked."""

    builds: list[Build] = field(default_factory=list)
    refuse: str = ""
    flags: str = ""
    hook: Callable[[Path], None] = lambda work: None
    stopped: bool = False

    def build(self, build: Build, work: Path, update: Callable[[str], None]) -> tuple[dict[str, Path], dict[str, str]]:
        self.builds.append(build)
        update("compiling")
        files = {url: work / url.rsplit("/", 1)[1] for url in build.urls}
        for url, path in files.items():
            path.write_bytes(built_content(url))
        self.hook(work)
        if self.refuse in str(build) and self.refuse:
            raise MirrorError(f"{build}: cannot")
        facts = {"module": f"{build.program.module}@v{build.version}"}
        return files, facts | ({FLAGS: self.flags} if self.flags else {})

    def stop(self) -> None:
        self.stopped = True


def built_content(url: str) -> bytes:
    return f"built {url}".encode()


@dataclass
class Place:
    """Temporary cache, lock and local lock, and the upstream and builder in use."""

    path: Path
    upstream: str
    builder: FakeBuilder = field(default_factory=FakeBuilder)

    def __post_init__(self) -> None:
        self.cache, self.home = self.path / "cache", self.path / "home"
        self.lock, self.local_lock = self.path / "lock.yaml", self.path / "lock.local.yaml"
        self.publish({url: sha256(content) for url, content in CONTENT.items()})

    def publish(self, sums: dict[str, str]) -> None:
        # Two processes may do this at once.
        write_atomically(self.lock, yaml.safe_dump(sums))

    def ensure(self, *urls: str, upstream: str | None = None) -> list[Artifact]:
        return ensure(
            urls,
            cache=self.cache,
            lock=self.lock,
            local_lock=self.local_lock,
            upstream=upstream or self.upstream,
            builder=self.builder,
        )

    def local(self) -> dict[str, str] | None:
        return yaml.safe_load(self.local_lock.read_text()) if self.local_lock.exists() else None

    def kept(self) -> list[str]:
        return [artifact.url for artifact in Store(self.cache).all()]

    def leftovers(self) -> list[Path]:
        return list((self.cache / "artifacts" / "work").glob("*"))

    def command(self, name: str, *arguments: str) -> list[str]:
        places = {
            "start": ["cache", "home", "lock"],
            "serve": ["cache", "home", "lock"],
            "ensure": ["cache", "lock", "local_lock"],
        }
        options = [f"--{key.replace('_', '-')}={getattr(self, key)}" for key in places.get(name, ["cache", "home"])]
        options += [f"--upstream={self.upstream}"] if name in places else []
        return [sys.executable, "-m", "mirror", name, *options, *arguments]

    def run(self, name: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(name, *arguments),
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


def get(url: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    try:
        with build_opener(ProxyHandler({})).open(Request(url, method=method), timeout=20) as answer:
            return answer.status, {k.lower(): v for k, v in answer.headers.items()}, answer.read()
    except HTTPError as error:
        return error.code, dict(error.headers), error.read()


def within(seconds: float, condition: Callable[[], object]) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
