"""Records: dynamic resources that stand for something a build did, not for something that must go on existing.

The engine serves them with four worker threads, so none of them waits for another. Token and endpoint come through
`configure`, never through captured values.

The provider classes here must keep their names, and this module its path: the engine pickles them by reference, and the states
of all stacks refer to them. The same holds for components/tarball.py.
"""

import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pulumi
from pulumi.dynamic import (
    ConfigureRequest,
    CreateResult,
    DiffResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from adapters.hetzner.cloud import Cloud
from adapters.hetzner.errors import MOVED, CloudError
from adapters.hetzner.servers import ClusterNode, ServerRequest, address_of
from components.identity import PRIVATE, new_identity, user_data
from components.inputs import (
    BillInputs,
    ConnectedInputs,
    PoweredOffInputs,
    PublishedInputs,
    RestartedInputs,
    ServerInputs,
)
from components.logins import forget as forget_login
from components.sources import refused, refusing
from components.ssh import greets, lets_in, wait_for_ssh
from images.names import PACKAGE, Record, build_key

Properties = dict[str, Any]
"""What a provider gets from the engine: the keys of components/inputs.py, and what it has added itself."""


class RecordProvider(ResourceProvider):
    """A provider whose resources are replaced when one of the inputs in `identity` changes, and otherwise left as recorded."""

    identity: ClassVar[tuple[str, ...]] = ()
    cloud: Cloud

    def configure(self, req: ConfigureRequest) -> None:
        if not os.environ.get("NODE_IMAGES_DEBUG"):
            # The host of dynamic resources reports errors with their traceback; people need the message alone.
            sys.tracebacklimit = 0
        self.cloud = Cloud.from_settings(req.config.get, MOVED)

    def remove(self, servers: Sequence[Properties]) -> None:
        """Delete servers that have done their work, whichever of them still exist."""
        for server in servers:
            self.cloud.remove_server(server["name"], server["labels"], int(server["server_id"]))
            forget_login(server["name"])

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        changed = [key for key in self.identity if _olds.get(key) != _news.get(key)]
        return _replacement(changed) if changed else DiffResult(changes=False)


class _SshIdentityProvider(RecordProvider):
    """Of states that were made when an identity was a record of its own: it leaves them, without any effect."""


class _ReleasedProvider(RecordProvider):
    """Of states that were made when a deletion was a record of its own: it leaves them, without any effect."""


_OF_ITS_TIME = ("variables", "ssh_port")
"""What a server that has done its work keeps as it was: its steps would run again, on a server that is gone."""


class _EphemeralServerProvider(RecordProvider):
    identity = ("digest", "image")

    def create(self, props: Properties) -> CreateResult:
        made = {**props, **new_identity()}
        with self._letting_go(props["let_go"]):
            server_id, address = self._welcome(made)
        return CreateResult(str(server_id), {**made, "server_id": server_id, "host": address})

    def _welcome(self, props: Properties) -> tuple[int | None, str]:
        """Id and address of a new server. One that hosts of files refuse, by its address, gives way to another, once."""
        request = server_request(props)
        server_id, address = self._make(props, request)
        if self._refusing(props, address, "Another server is made, which has another address."):
            self.cloud.remove_server(request.name, request.labels)
            first, *others = request.locations
            server_id, address = self._make(props, replace(request, locations=[*others, first]))
            self._refusing(props, address, "The step that needs it will tell.")
        return server_id, address

    def _refusing(self, props: Properties, address: str, fate: str) -> list[str]:
        urls = refusing(address, int(props["ssh_port"]), props, props.get("sources") or [])
        if urls:
            # The engine shows what a provider writes there; it gives dynamic ones no other way to warn.
            print(refused(address, urls, fate), file=sys.stderr, flush=True)
        return urls

    def _make(self, props: Properties, request: ServerRequest) -> tuple[int | None, str]:
        port = int(props["ssh_port"])
        server = self.cloud.create_server(request, partial(greets, port=port, seconds=1))
        address = address_of(server)
        try:
            there = partial(self.cloud.has_server, int(server.id or 0))
            wait_for_ssh(address, port, self.cloud.timeouts.boot, there)
        except BaseException:
            self.cloud.remove_server(props["name"], props["labels"])
            raise
        return server.id, address

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        """No change when the server has done its work. One that is there to do it is reached and told as it is now."""
        if _news["done"]:
            return DiffResult(changes=False)
        difference = super().diff(_id, _olds, _news)
        if difference.changes:
            return difference
        if self._can_go_on(int(_id), _olds, int(_news["ssh_port"])):
            return DiffResult(changes=any(_olds.get(key) != _news[key] for key in _OF_ITS_TIME))
        return _replacement(["digest"])

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        return UpdateResult({**_olds, **{key: _news[key] for key in _OF_ITS_TIME}})

    def delete(self, _id: str, _props: Properties) -> None:
        self.cloud.remove_server(_props["name"], _props["labels"], int(_id))
        forget_login(_props["name"])

    @contextmanager
    def _letting_go(self, servers: Sequence[Properties]) -> Iterator[None]:
        """Delete servers meanwhile."""
        with ThreadPoolExecutor(1) as pool:
            going = pool.submit(self.remove, servers)
            yield
            going.result()

    def _can_go_on(self, server_id: int, olds: Properties, port: int) -> bool:
        """Not where a run was killed in the middle of the step `clean`, which takes our key away: nothing can end that step."""
        status = self.cloud.server_status(server_id)
        return status == "off" or (bool(status) and lets_in(olds["host"], port, olds))


class _PoweredOffProvider(RecordProvider):
    identity = ("server_id",)

    def create(self, props: Properties) -> CreateResult:
        self.cloud.power_off(int(props["server_id"]))
        return CreateResult(_id_of(props, "off"), props)


class _RestartedProvider(RecordProvider):
    identity = ("server_id",)

    def create(self, props: Properties) -> CreateResult:
        if props["wanted"]:
            self.cloud.restart(int(props["server_id"]))
            wait_for_ssh(props["host"], int(props["ssh_port"]), self.cloud.timeouts.boot)
        return CreateResult(_id_of(props, "restarted"), props)


class _ConnectedProvider(RecordProvider):
    identity = ("server_ids",)

    def create(self, props: Properties) -> CreateResult:
        self.cloud.connect([ClusterNode(**node) for node in props["nodes"]])
        return CreateResult("-".join([*(str(int(number)) for number in props["server_ids"]), "connected"]), props)


def _id_of(props: Properties, done: str) -> str:
    """The id of a record of something that was done to a server."""
    return f"{int(props['server_id'])}-{done}"


_PROOF = ("tests", "report", "manifest", "let_go")
"""What a publication keeps of the tests before it, and the servers of these tests, which it lets go."""


class _PublishedProvider(RecordProvider):
    identity = ("snapshot_id", "name")

    def create(self, props: Properties) -> CreateResult:
        self.remove(props.get("let_go", []))
        return CreateResult(build_key(props["name"], props["architecture"]), self._publish(props))

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        difference = super().diff(_id, _olds, _news)
        if difference.changes:
            return difference
        found = _news.get("found")
        as_declared = found and found["name"] == _news["name"] and (found["protected"] or not _news["protect"])
        other_tests = any(_news.get(key) and _olds.get(key) != _news[key] for key in _PROOF)
        return DiffResult(changes=not as_declared or other_tests or bool(_olds.get("protect")) != _news["protect"])

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        self.remove(_news.get("let_go", []))
        if _olds.get("protect") and not _news["protect"]:
            self.cloud.protect(int(_news["snapshot_id"]), delete=False)
        return UpdateResult(self._publish(_news))

    def delete(self, _id: str, _props: Properties) -> None:
        found = self.cloud.snapshot(int(_props["snapshot_id"]))
        if found is None:
            return
        if found.protected:
            raise CloudError(
                f"snapshot {found.id} ({found.image}) is protected and stays. To let it go: protect: false in the stack file\n"
                f"    and `up`, or hcloud image disable-protection {found.id} delete; then again"
            )
        if servers := self.cloud.servers_from(found.id):
            # The engine shows what a provider writes there; it gives dynamic ones no other way to warn.
            print(_deleted_in_use(_props, servers), file=sys.stderr, flush=True)
        self.cloud.withdraw(found.id)

    def _publish(self, props: Properties) -> Properties:
        image = self.cloud.publish(int(props["snapshot_id"]), props["name"], props["hcloud_architecture"])
        if props["protect"]:
            self.cloud.protect(int(props["snapshot_id"]), delete=True)
        return {**props, "created": str(image.created), "size_gb": image.image_size, "disk_gb": image.disk_size}


def _deleted_in_use(props: Properties, servers: Sequence[str]) -> str:
    what = f"snapshot {int(props['snapshot_id'])} ({props['name']})"
    return (
        f"warning: {what} is deleted, but servers were created from it: {', '.join(servers)}. "
        "They run on; templates that name it get no more machines"
    )


class FileProvider(ResourceProvider):
    """A file beside the program. One that is missing is no change: it may lie on the machine of whoever ran the `up`."""

    compared: ClassVar[tuple[str, ...]] = ("path",)

    def create(self, props: Properties) -> CreateResult:
        return CreateResult(props["path"], props)

    def diff(self, _id: str, _olds: Properties, _news: Properties) -> DiffResult:
        return DiffResult(changes=any(_olds.get(key) != _news.get(key) for key in self.compared))

    def update(self, _id: str, _olds: Properties, _news: Properties) -> UpdateResult:
        old, new = Path(_olds["path"]), Path(_news["path"])
        if old != new and old.exists():
            new.parent.mkdir(parents=True, exist_ok=True)
            shutil.move(old, new)
        return UpdateResult(_news)

    def delete(self, _id: str, _props: Properties) -> None:
        Path(_props["path"]).unlink(missing_ok=True)


class _SbomFileProvider(FileProvider):
    """What the program has written (components/bills.py)."""

    compared = ("path", "sha256")


class EphemeralServer(Resource, module=PACKAGE, name=Record.SERVER):
    """A server that exists only while it builds or tests. The record outlives it; see docs/architecture.md.

    Its login key and its pinned host key are made with it, and kept as secrets. Servers to `let_go` are deleted meanwhile.
    `variables` is what its scripts are told of where they run, such as the artifact mirror of its time, `ssh_port` where it was
    reached: those of a server that has done its work stay what they were. `done`: it has, as the start of the program saw, so
    that no preview needs to look again.
    """

    server_id: pulumi.Output[int]
    host: pulumi.Output[str]
    ssh_port: pulumi.Output[int]
    variables: pulumi.Output[str]
    login_private_key: pulumi.Output[str]
    login_public_key: pulumi.Output[str]
    host_private_key: pulumi.Output[str]
    host_public_key: pulumi.Output[str]

    def __init__(self, name: str, inputs: ServerInputs, opts: pulumi.ResourceOptions) -> None:
        secret = pulumi.ResourceOptions(additional_secret_outputs=list(PRIVATE))
        made = dict.fromkeys(["server_id", "host", *PRIVATE, "login_public_key", "host_public_key"])
        super().__init__(
            _EphemeralServerProvider(), name, {**made, **inputs}, pulumi.ResourceOptions.merge(opts, secret)
        )


class PoweredOff(Resource, module=PACKAGE, name=Record.POWERED_OFF):
    """The server was shut down: a snapshot of a running disk is not consistent."""

    def __init__(self, name: str, inputs: PoweredOffInputs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(_PoweredOffProvider(), name, dict(inputs), opts)


class Restarted(Resource, module=PACKAGE, name=Record.RESTARTED):
    """The server was shut down and started again, where that is `wanted`, and its SSH answers."""

    def __init__(self, name: str, inputs: RestartedInputs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(_RestartedProvider(), name, dict(inputs), opts)


class Connected(Resource, module=PACKAGE, name=Record.CONNECTED):
    """The firewalls of `nodes`, each with name, labels and address, let them reach each other."""

    def __init__(self, name: str, inputs: ConnectedInputs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(_ConnectedProvider(), name, dict(inputs), opts)


class Published(Resource, module=PACKAGE, name=Record.PUBLISHED):
    """The promotion gate: CAPH finds the snapshot by this name. Deleting it takes the name away first.

    `found`: `name` and `protected` of the snapshot, as the start of the program saw it; nothing where there was none.
    """

    name: pulumi.Output[str]
    snapshot_id: pulumi.Output[int]
    created: pulumi.Output[str]
    size_gb: pulumi.Output[float]
    disk_gb: pulumi.Output[float]

    def __init__(self, name: str, inputs: PublishedInputs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(
            _PublishedProvider(), name, {"created": None, "size_gb": None, "disk_gb": None, **inputs}, opts
        )


class SbomFile(Resource, module=PACKAGE, name=Record.BILL):
    """The bill of materials of a snapshot, as a file; it goes when its image goes."""

    path: pulumi.Output[str]

    def __init__(self, name: str, inputs: BillInputs, opts: pulumi.ResourceOptions) -> None:
        super().__init__(_SbomFileProvider(), name, dict(inputs), opts)


def _replacement(changed: list[str]) -> DiffResult:
    return DiffResult(changes=True, replaces=changed, delete_before_replace=True)


def server_request(props: Properties) -> ServerRequest:
    """The server that a record's inputs ask for."""
    image = props["image"]
    return ServerRequest(
        name=props["name"],
        image=image if isinstance(image, str) and not image.isdecimal() else int(image),
        architecture=props["hcloud_architecture"],
        server_types=props["server_types"],
        locations=props["locations"],
        labels=props["labels"],
        login_key=props["login_public_key"],
        user_data=user_data(props["host_private_key"], props["host_public_key"]),
        ssh_port=int(props["ssh_port"]),
        ssh_from=props["ssh_from"],
        max_disk=int(props.get("max_disk") or 0),
    )
