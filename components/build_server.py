"""Servers that exist for the time of a build or a test, and the phases that run on them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pulumi
from pulumi import Input, Output, ResourceOptions
from pulumi.output import contains_unknowns
from pulumi_command import remote

from components.bundles import kept
from components.failure import FailurePolicy, Worker
from components.inputs import ServerInputs, Whereabouts
from components.logins import Login
from components.records import EphemeralServer
from images.names import Part, Role, key_and_step, worker_name
from images.plan import Build
from images.stackfile import Timeouts
from recipe.bundle import REMOTE_FILE, command
from recipe.render import assignments

T = TypeVar("T")


@dataclass(frozen=True)
class Site:
    """Where and how the images of a stack are built: what all of them share and none of them contains."""

    ssh_port: int
    mirror: str
    sboms: str
    ssh_from: Sequence[str]
    timeouts: Timeouts
    failures: FailurePolicy
    logins: Input[str] = ""
    """Of registries, as the JSON text that the step `images` takes: a secret."""

    @property
    def variables(self) -> str:
        """What lib.sh is told of it, as shell text."""
        limits = {
            f"{name.upper()}_SECONDS": str(getattr(self.timeouts, name)) for name in ("step", "kubelet", "cluster")
        }
        return assignments({"MIRROR": self.mirror, **limits})


NOT_MADE = "not-made.invalid"


def known(output: Output[T], otherwise: T) -> Output[T]:
    """Something known in place of what became of a resource that failed.

    With --continue-on-error the engine checks the inputs of whatever depends on that resource before it leaves it out, and
    cannot pass a secret with something unknown in it.
    """

    def choose(value: T) -> T:
        return otherwise if contains_unknowns(value) and not pulumi.runtime.is_dry_run() else value

    return output.apply(choose, run_with_unknowns=True)


_PARTNERS = {Role.VERIFIER: Role.JOINER, Role.JOINER: Role.VERIFIER}


def worker_of(build: Build, role: Role) -> Worker:
    """The server of a build, for what happens when it fails."""

    def alone(role: Role) -> Worker:
        return Worker(worker_name(build.server_name, role), {**build.server_labels, "role": str(role)}, build.content)

    partner = _PARTNERS.get(role) if build.join else None
    return replace(alone(role), partner=alone(partner) if partner else None)


class BuildServer:
    """A server for the time of a build or a test, and the bundle that it runs."""

    server: EphemeralServer

    def __init__(  # noqa: PLR0913 - all that one server differs from another by
        self,
        role: Role,
        build: Build,
        image: Input[str],
        site: Site,
        opts: ResourceOptions,
        *,
        done: bool,
        first: "BuildServer | None" = None,
        let_go: "Sequence[BuildServer]" = (),
    ) -> None:
        """`done`: what it is for is there. A joiner joins the cluster of the `first`. Those to `let_go` have done their work."""
        name = worker_name(build.key, role)
        worker = worker_of(build, role)
        self.name, self.labels = worker.name, dict(worker.labels)
        guarded = ResourceOptions.merge(opts, ResourceOptions(hooks=site.failures.hooks(worker)))
        # "*" keeps the recorded inputs: nothing of what was done is done again, nor compared.
        self._options = ResourceOptions.merge(guarded, ResourceOptions(ignore_changes=["*"] if done else None))
        wanted: ServerInputs = {
            "name": self.name,
            "labels": self.labels,
            "digest": _digest(role, build, first),
            "image": image,
            "hcloud_architecture": build.hcloud_architecture,
            "server_types": list(build.server_types),
            "locations": list(build.locations),
            "ssh_port": site.ssh_port,
            "ssh_from": list(site.ssh_from),
            "variables": site.variables,
            "done": done,
            "let_go": [server.whereabouts for server in let_go],
        }
        if role == Role.BUILDER:
            # Its disk becomes the snapshot's, and it downloads all files.
            wanted |= {"max_disk": build.max_disk, "sources": list(build.sources)}
        self.server = EphemeralServer(Part.SERVER.of(name), wanted, guarded)
        self._done = done
        self._connection = remote.ConnectionArgs(host=NOT_MADE) if done else self._reached(site)
        self._bundle = remote.CopyToRemote(
            Part.BUNDLE.of(name),
            source=pulumi.StringAsset("") if done else pulumi.FileAsset(kept(build.bundle)),
            remote_path=REMOTE_FILE,
            triggers=[] if done else [self.server.server_id],
            connection=self._connection,
            opts=self._options,
        )

    @property
    def whereabouts(self) -> Whereabouts:
        """What the records need to delete it."""
        return {"server_id": self.server.server_id, "name": self.name, "labels": self.labels}

    def after(self, *done: pulumi.Resource) -> ResourceOptions:
        """For what works on it, once other work is done."""
        return ResourceOptions.merge(self._options, ResourceOptions(depends_on=list(done)))

    def run(
        self,
        name: str,
        *after: pulumi.Resource,
        variables: Input[str] = "",
        beside: "BuildServer | None" = None,
        secret: bool = False,
    ) -> remote.Command:
        """Run a phase of the bundle; it runs again only on another server, or when another one is `beside` it.

        `secret`: what it prints is one, and not shown. Of what is done the state has all; a command without text runs nothing.
        """
        hidden = ResourceOptions(additional_secret_outputs=["stdout"] if secret else None)
        opts = ResourceOptions.merge(self.after(self._bundle, *after), hidden)
        if self._done:
            return remote.Command(name, connection=self._connection, opts=opts)
        other = [beside.server.server_id] if beside else []
        return remote.Command(
            name,
            create=Output.all(*other).apply(lambda ids: command(key_and_step(name)[1], "-".join(map(_number, ids)))),
            stdin=Output.concat(self.server.variables, "\n", variables),
            logging=remote.Logging.NONE if secret else remote.Logging.STDERR,
            triggers=[self.server.server_id, *other],
            connection=self._connection,
            opts=opts,
        )

    def _reached(self, site: Site) -> remote.ConnectionArgs:
        Output.all(
            host=self.server.host,
            host_key=self.server.host_public_key,
            private_key=self.server.login_private_key,
            port=self.server.ssh_port.apply(int),
        ).apply(lambda facts: site.failures.remember(Login(self.name, **facts)))
        return remote.ConnectionArgs(
            host=known(self.server.host, NOT_MADE),
            port=known(self.server.ssh_port, site.ssh_port).apply(int),
            user="root",
            private_key=known(self.server.login_private_key, NOT_MADE),
            host_key=known(self.server.host_public_key, NOT_MADE),
            per_dial_timeout=15,
            dial_error_limit=5,
        )


def _digest(role: Role, build: Build, first: BuildServer | None) -> Input[str]:
    """There is a builder for each content of an image, a verifier for each set of tests, and a joiner for each first server."""
    if role == Role.BUILDER:
        return build.digest
    if first is None:
        return build.verifier_digest
    return Output.concat(build.verifier_digest, "-", first.server.server_id.apply(_number))


def _number(value: float | None) -> str:
    """The id of a server as text: the engine has numbers with a fraction alone."""
    return "" if value is None else str(int(value))
