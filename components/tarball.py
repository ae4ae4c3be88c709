"""Tarballs: archives for installimage, each packed on a server that was booted from a verified snapshot and is thrown away.

The provider classes here must keep their names, and this module its path: components/records.py says why.
"""

import hashlib
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pulumi
from pulumi import Input, ResourceOptions
from pulumi.dynamic import CreateResult, Resource

from adapters.hetzner.errors import CloudError
from adapters.hetzner.servers import address_of
from components.failure import Worker
from components.identity import new_identity
from components.inputs import FileInputs, TarballInputs
from components.records import FileProvider, Properties, RecordProvider, server_request
from components.ssh import Receive, Result, greets, run, wait_for_ssh
from images.failure import telling_lines
from images.names import PACKAGE, Part, Record, Role, worker_name
from images.plan import Build, Plan
from recipe.tarball import STARTED

TRIES, SECONDS_BETWEEN = 10, 3
PACK = 'bash -c "$(cat)" pack </dev/null'


@dataclass(frozen=True)
class Archive:
    """What was received."""

    sha256: str
    size: int


def check_tarballs(plan: Plan) -> None:
    """Raise CloudError where this machine could not take the archives that a plan asks for."""
    if plan.tarballs is None:
        return
    directory = Path(plan.tarballs.directory)
    for path in (directory, *directory.parents):
        if path.exists() and not path.is_dir():
            raise CloudError(
                f"node-images:tarballs: {path} is not a directory.\n    Name another one in the stack file."
            )


Run = Callable[[str, str, Receive, float], Result]
"""Runs a command on a server: what it reads, who takes what it writes, and its limit in seconds."""


def receive(run_there: Run, script: str, target: Path, seconds: float) -> Archive:
    """Run a script that writes an archive; `target` appears whole and with the sum that it was sent with.

    Raises CloudError, with the last lines of what the script said.
    """
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        return _receive(run_there, script, target, seconds)
    except TimeoutError as error:
        raise CloudError(
            f"packing took more than {seconds:.0f} s, and was stopped (node-images:timeouts.tarball)"
        ) from error
    except OSError as error:
        remedy = "Make room, or name another directory in node-images:tarballs"
        raise CloudError(f"{target} cannot be written ({error.strerror}).\n    {remedy}.") from error


def _receive(run_there: Run, script: str, target: Path, seconds: float) -> Archive:
    part = target.with_name(f"{target.name}.part")
    try:
        archive, result = _packed(run_there, script, part, seconds)
        if result.status != 0:
            raise CloudError(f"{_what_ended(result.status)}:\n{_telling(result.errors)}")
        sent = re.findall(r"^sha256 ([0-9a-f]{64})$", result.errors, re.MULTILINE)
        if sent[-1:] != [archive.sha256]:
            raise CloudError(
                f"{target.name}: sha256 is {archive.sha256}, but the server sent {sent[-1:]}: lost on the way"
            )
        part.replace(target)
        return archive
    finally:
        part.unlink(missing_ok=True)


def _packed(run_there: Run, script: str, part: Path, seconds: float) -> tuple[Archive, Result]:
    """Try again where no connection was had: once the script has begun, it is not begun again on the same server."""
    for _ in range(TRIES):
        archive, result = _packed_once(run_there, script, part, seconds)
        if result.status is not None or STARTED in result.errors:
            break
        time.sleep(SECONDS_BETWEEN)
    return archive, result


def _packed_once(run_there: Run, script: str, part: Path, seconds: float) -> tuple[Archive, Result]:
    digest, size = hashlib.sha256(), 0
    with part.open("wb") as file:

        def take(piece: bytes) -> None:
            nonlocal size
            digest.update(piece)
            size += file.write(piece)

        result = run_there(PACK, script, take, seconds)
    return Archive(digest.hexdigest(), size), result


def _what_ended(status: int | None) -> str:
    return "connection lost" if status is None else f"packing exited with status {status}"


def _telling(text: str) -> str:
    return "\n".join(telling_lines([line for line in text.splitlines() if line.strip()]))


class _TarballProvider(RecordProvider):
    """The whole life of a server is in one operation: whatever ends it, the server goes, and the next `up` starts anew."""

    identity = ("digest",)

    def create(self, props: Properties) -> CreateResult:
        keys = new_identity()
        port = int(props["ssh_port"])
        try:
            request = server_request({**props, **keys})
            address = address_of(self.cloud.create_server(request, partial(greets, port=port, seconds=1)))
            wait_for_ssh(address, port, self.cloud.timeouts.boot)
            seconds = self.cloud.timeouts.tarball
            script = f"STEP_SECONDS={seconds}\n{props['script']}"
            archive = receive(partial(run, address, port, keys), script, Path(props["path"]), seconds)
        finally:
            self.cloud.remove_server(props["name"], props["labels"])
        return CreateResult(f"{props['name']}-packed", {**props, "sha256": archive.sha256, "size": archive.size})


class _TarballFileProvider(FileProvider):
    """What was packed, beside the record of its packing."""


class Tarball(Resource, module=PACKAGE, name=Record.TARBALL):
    """The archive was packed and received."""

    sha256: pulumi.Output[str]
    size: pulumi.Output[int]

    def __init__(self, name: str, inputs: TarballInputs, opts: ResourceOptions) -> None:
        super().__init__(_TarballProvider(), name, {"sha256": None, "size": None, **inputs}, opts)


class TarballFile(Resource, module=PACKAGE, name=Record.TARBALL_FILE):
    """The file of an archive; it goes when its image goes, and not before: earlier images that stay keep theirs."""

    def __init__(self, name: str, path: str, opts: ResourceOptions) -> None:
        inputs: FileInputs = {"path": path}
        super().__init__(_TarballFileProvider(), Part.TARBALL_FILE.of(name), dict(inputs), opts)


def archiver(build: Build) -> Worker:
    """The server that the archive of a build is packed on."""
    labels = {**build.server_labels, "role": str(Role.ARCHIVER)}
    return Worker(worker_name(build.server_name, Role.ARCHIVER), labels, build.content)


class PackedTarball:
    """The archive of a build: `record` is what the exports say of it, once `tarball` is there."""

    def __init__(
        self, build: Build, snapshot_id: Input[str], ssh_port: int, ssh_from: Sequence[str], opts: ResourceOptions
    ) -> None:
        assert build.tarball is not None, "the caller asks first"  # noqa: S101
        server = archiver(build)
        inputs: TarballInputs = {
            "name": server.name,
            "digest": build.digest,
            "image": snapshot_id,
            "hcloud_architecture": build.hcloud_architecture,
            "server_types": list(build.server_types),
            "locations": list(build.locations),
            "labels": server.labels,
            "ssh_port": ssh_port,
            "ssh_from": list(ssh_from),
            "script": build.tarball.script,
            "path": build.tarball.path,
        }
        self.tarball = Tarball(Part.TARBALL.of(build.key), inputs, opts)
        after = ResourceOptions.merge(opts, ResourceOptions(depends_on=[self.tarball]))
        TarballFile(build.key, build.tarball.path, after)
        self.record = {"path": build.tarball.path, "sha256": self.tarball.sha256, "size": self.tarball.size.apply(int)}
