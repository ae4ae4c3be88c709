"""Run the registry: read-only for machines, beside the mirror; writable on a free port while images are added."""

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from mirror.children import Children, tied_to_parent
from mirror.daemon import answers
from mirror.errors import MirrorError
from mirror.images.own_programs import REGISTRY
from mirror.images.store import ImageStore

ADDRESS = "127.0.0.1"
START_SECONDS = 15.0
STOP_SECONDS = 3.0
LOOK_SECONDS = 1.0
# The registry sends traces to a collector on this machine unless it is told that there is none.
_ENVIRONMENT = {"OTEL_TRACES_EXPORTER": "none"}


def settings(store: ImageStore, port: int, *, writable: bool) -> dict[str, Any]:
    """Return the registry's configuration."""
    return {
        "version": "0.1",
        "log": {"level": "warn"},
        "storage": {
            "filesystem": {"rootdirectory": str(store.storage)},
            "maintenance": {"readonly": {"enabled": not writable}, "uploadpurging": {"enabled": False}},
        },
        # Of no use where all is on loopback, but without one the registry warns and makes one up.
        "http": {"addr": f"{ADDRESS}:{port}", "secret": "loopback"},
    }


class Process:
    """One registry that runs."""

    def __init__(self, store: ImageStore, port: int, folder: Path, *, writable: bool) -> None:
        self.address = f"{ADDRESS}:{port}"
        self._log = folder / "registry.log"
        configuration = folder / "registry.yml"
        configuration.write_text(yaml.safe_dump(settings(store, port, writable=writable)))
        store.storage.mkdir(parents=True, exist_ok=True)
        with self._log.open("w") as log:
            self._child = subprocess.Popen(
                [*tied_to_parent("KILL"), REGISTRY.path(store), "serve", configuration],
                env=os.environ | _ENVIRONMENT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait_ready(self) -> None:
        """Return once it answers. Raises MirrorError with its last words where it does not."""
        deadline = time.monotonic() + START_SECONDS
        while self._child.poll() is None and time.monotonic() < deadline:
            if answers(self.address, "/v2/"):
                return
            time.sleep(0.02)
        self.stop()
        words = "\n".join(self._log.read_text().splitlines()[-3:])
        raise MirrorError(f"the registry at {self.address} did not come up\n{words}".rstrip(), f"see {self._log}")

    def wait(self) -> int:
        """Return the exit code when it has ended."""
        return self._child.wait()

    def stop(self) -> None:
        """End it."""
        self._child.terminate()
        try:
            self._child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()


def free_port() -> int:
    """Return a port of loopback that nobody uses now."""
    with socket.create_server((ADDRESS, 0)) as server:
        port: int = server.getsockname()[1]
        return port


@contextmanager
def writable(store: ImageStore, folder: Path) -> Iterator[str]:
    """Run a registry that takes images while the block runs; yield its address."""
    process = Process(store, free_port(), folder, writable=True)
    try:
        process.wait_ready()
        yield process.address
    finally:
        process.stop()


def collect_garbage(store: ImageStore, folder: Path, children: Children) -> None:
    """Delete what no tag leads to any more."""
    if not store.repositories.exists():
        return
    configuration = folder / "collect.yml"
    configuration.write_text(yaml.safe_dump(settings(store, 0, writable=True)))
    options = ["garbage-collect", "--delete-untagged", "--quiet", str(configuration)]
    ended = children.run([REGISTRY.path(store), *options], folder, os.environ | _ENVIRONMENT)
    if ended.code:
        raise MirrorError(f"{store.storage}: the registry could not tidy up\n{ended.errors.strip()[-500:]}")


class RegistryKeeper:
    """Keeps a read-only registry running, from the moment on when its program is there."""

    def __init__(self, store: ImageStore, port: int, folder: Path) -> None:
        self._store, self._port, self._folder = store, port, folder
        self._starting = threading.Lock()
        self._stopping = threading.Event()
        self._settled = threading.Event()
        self._problem: MirrorError | None = None
        self._process: Process | None = None
        self._thread = threading.Thread(target=self._keep, name="registry", daemon=True)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run it while the block runs. Raises MirrorError where it does not come up."""
        _refuse_taken(self._port)
        self._thread.start()
        try:
            self._settled.wait()
            if self._problem:
                raise self._problem
            yield
        finally:
            self._stopping.set()
            with self._starting:
                if self._process:
                    self._process.stop()
            self._thread.join()

    def _keep(self) -> None:
        # One thread starts it and stays: the kernel ends the registry with the thread that started it.
        while not self._stopping.is_set():
            if REGISTRY.path(self._store).exists():
                self._run()
            self._settled.set()
            self._stopping.wait(LOOK_SECONDS)

    def _run(self) -> None:
        with self._starting:
            if self._stopping.is_set():
                return
            self._process = Process(self._store, self._port, self._folder, writable=False)
        try:
            self._process.wait_ready()
        except MirrorError as error:
            self._problem = error
            return
        self._settled.set()
        self._process.wait()


def _refuse_taken(port: int) -> None:
    try:
        socket.create_server((ADDRESS, port)).close()
    except OSError as error:
        raise MirrorError(
            f"{ADDRESS}:{port}: the registry cannot listen ({error.strerror})",
            f"`ss -ltnp 'sport = :{port}'` tells what uses the port: end that, or choose another with --registry-port",
        ) from None
