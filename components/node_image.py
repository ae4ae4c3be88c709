"""NodeImage: from a build of the plan to a published snapshot, as a chain of resources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pulumi
import pulumi_hcloud as hcloud
from pulumi import Input, Output, ResourceOptions
from pulumi.output import contains_unknowns
from pulumi_command import remote

from components.failure import FailurePolicy, Worker
from components.logins import Login
from components.records import (
    Connected,
    EphemeralServer,
    PoweredOff,
    Published,
    Released,
    Restarted,
    SbomFile,
    SshIdentity,
)
from components.tarball import PackedTarball, TarballFile, archiver
from images.adoption import Adoption
from images.names import (
    BILL_SUFFIX,
    BUILD_SERVER,
    JOIN,
    NODE_IMAGE,
    PROVISIONING,
    VERIFICATION,
    Part,
    Role,
    build_key,
    key_and_step,
    step_name,
    worker_name,
)
from images.plan import Build, Tarballs
from images.report import address_in, wants_restart, whole_report
from images.snapshot import Snapshot
from images.stackfile import Timeouts
from recipe.joining import JoinScripts
from recipe.render import Step, assignments, exported
from recipe.sbom import Inventory, read_inventory, sbom

T = TypeVar("T")

RUN_STANDARD_INPUT = 'bash -c "$(cat)" {name} </dev/null'
"""Reads the whole script before it runs, so that nothing in it can swallow the rest; `{name}` shows in error messages."""


@dataclass(frozen=True)
class Site:
    """Where and how the images of a stack are built: what all of them share and none of them contains."""

    ssh_port: int
    mirror: str
    sboms: str
    ssh_from: Sequence[str]
    timeouts: Timeouts
    failures: FailurePolicy

    @property
    def variables(self) -> str:
        """What lib.sh is told of it, as shell text."""
        limits = {
            f"{name.upper()}_SECONDS": str(getattr(self.timeouts, name)) for name in ("step", "kubelet", "cluster")
        }
        return assignments({"MIRROR": self.mirror, **limits})


LONGER = "STEP_SECONDS=$((STEP_SECONDS + CLUSTER_SECONDS))"
"""Tests that make a cluster have a time limit for that beside the one of a step."""

NOT_MADE = "not-made.invalid"


def _known(output: Output[T], otherwise: T) -> Output[T]:
    """Something known in place of what became of a resource that failed.

    With --continue-on-error the engine checks the inputs of whatever depends on that resource before it leaves it out, and
    cannot pass a secret with something unknown in it.
    """

    def choose(value: T) -> T:
        return otherwise if contains_unknowns(value) and not pulumi.runtime.is_dry_run() else value

    return output.apply(choose, run_with_unknowns=True)


_PARTNERS = {Role.VERIFIER: Role.JOINER, Role.JOINER: Role.VERIFIER}


def _worker(build: Build, role: Role) -> Worker:
    def alone(role: Role) -> Worker:
        return Worker(worker_name(build.server_name, role), {**build.server_labels, "role": str(role)}, build.content)

    partner = _PARTNERS.get(role) if build.join else None
    return replace(alone(role), partner=alone(partner) if partner else None)


class BuildServer(pulumi.ComponentResource):
    """A server with an identity of its own, for the time of a build or a test."""

    server: EphemeralServer

    def __init__(  # noqa: PLR0913 - Pulumi's shape: what it is, arguments, options
        self,
        role: Role,
        build: Build,
        image: Input[str],
        site: Site,
        opts: ResourceOptions,
        first: "BuildServer | None" = None,
        *,
        done: bool,
    ) -> None:
        """A builder is one for each content of an image, a verifier for each set of tests. `done`: what it is for is there.

        A joiner is one for each server whose cluster it joins, which is the `first`.
        """
        name = worker_name(build.key, role)
        super().__init__(BUILD_SERVER, name, None, opts)
        tests = build.digest if role == Role.BUILDER else f"{build.digest}-{build.tests_digest}"
        digest = Output.concat(tests, "-", first.server.server_id.apply(_number)) if first else tests
        own = ResourceOptions(parent=self)
        worker = _worker(build, role)
        self.server_name, self.labels = worker.name, dict(worker.labels)
        self.on_failure = ResourceOptions(hooks=site.failures.hooks(worker))
        self.identity = SshIdentity(Part.IDENTITY.of(name), {"name": self.server_name, "digest": digest}, own)
        self.server = EphemeralServer(
            Part.SERVER.of(name),
            {
                "name": self.server_name,
                "digest": digest,
                "image": image,
                "hcloud_architecture": build.hcloud_architecture,
                "server_types": list(build.server_types),
                "locations": list(build.locations),
                "labels": self.labels,
                "done": done,
                "ssh_port": site.ssh_port,
                "ssh_from": list(site.ssh_from),
                "variables": site.variables,
                "login_public_key": self.identity.login_public_key,
                "login_private_key": self.identity.login_private_key,
                "host_private_key": self.identity.host_private_key,
                "host_public_key": self.identity.host_public_key,
            },
            ResourceOptions.merge(own, self.on_failure),
        )
        Output.all(
            host=self.server.host,
            host_key=self.identity.host_public_key,
            private_key=self.identity.login_private_key,
            port=self.server.ssh_port.apply(int),
        ).apply(lambda facts: site.failures.remember(Login(self.server_name, **facts)))
        self.connection = self._connection(site)

    def _connection(self, site: Site) -> remote.ConnectionArgs:
        return remote.ConnectionArgs(
            host=_known(self.server.host, NOT_MADE),
            port=_known(self.server.ssh_port, site.ssh_port).apply(int),
            user="root",
            private_key=_known(self.identity.login_private_key, NOT_MADE),
            host_key=_known(self.identity.host_public_key, NOT_MADE),
            per_dial_timeout=15,
            dial_error_limit=5,
        )

    def run(
        self,
        name: str,
        script: Input[str],
        opts: ResourceOptions,
        logging: remote.Logging | None = None,
        beside: Sequence[Input[int]] = (),
    ) -> remote.Command:
        """Run a script on the server; it runs again only on another server, or when another one is `beside` it."""
        return remote.Command(
            name,
            create=RUN_STANDARD_INPUT.format(name=key_and_step(name)[1]),
            stdin=Output.concat(self.server.variables, "\n", script),
            logging=logging,
            triggers=[self.server.server_id, *beside],
            connection=self.connection,
            opts=ResourceOptions.merge(opts, self.on_failure),
        )

    def release(self, opts: ResourceOptions) -> Released:
        """Delete the server and its key, once what `opts` depends on is done."""
        inputs = {"server_id": self.server.server_id, "name": self.server_name, "labels": self.labels}
        return Released(Part.RELEASED.of(self.pulumi_resource_name), inputs, opts)


class Provisioning(pulumi.ComponentResource):
    """The steps of the recipe, one after the other, and then the clean shutdown."""

    def __init__(
        self, name: str, server: BuildServer, steps: Sequence[Step], opts: ResourceOptions, *, done: bool
    ) -> None:
        """`done`: the snapshot is there. Then other tests are for the verifier alone, as the builder is gone."""
        super().__init__(PROVISIONING, name, None, opts)
        asked = server.run(Part.MACHINE_ID.of(name), "cat /etc/machine-id", ResourceOptions(parent=self))
        self.machine_id = asked.stdout
        # Before all steps: after `clean` nobody could ask for it any more.
        last: pulumi.Resource = asked
        for step in steps:
            ignored = ["stdin"] if done and not step.shapes else None
            options = ResourceOptions(parent=self, depends_on=[last], ignore_changes=ignored)
            last = server.run(step_name(name, step.name), step.script, options)
        self.powered_off = PoweredOff(
            Part.POWERED_OFF.of(name),
            {"server_id": server.server.server_id},
            ResourceOptions.merge(ResourceOptions(parent=self, depends_on=[last]), server.on_failure),
        )


class Join(pulumi.ComponentResource):
    """A second server of the snapshot, which joins the cluster of the first one; what stands in JoinScripts, step by step."""

    def __init__(  # noqa: PLR0913 - Pulumi's shape: name, arguments, options
        self,
        name: str,
        build: Build,
        scripts: JoinScripts,
        snapshot_id: Input[str],
        first: BuildServer,
        site: Site,
        opts: ResourceOptions,
        *,
        done: bool,
    ) -> None:
        super().__init__(JOIN, name, None, opts)
        own = ResourceOptions(parent=self)
        second = self.server = BuildServer(Role.JOINER, build, snapshot_id, site, own, first, done=done)
        # What it prints opens the cluster: it is a secret, and not shown.
        secret = ResourceOptions.merge(own, ResourceOptions(additional_secret_outputs=["stdout"]))
        beside = [second.server.server_id]
        invited = first.run(Part.INVITE.of(name), _timed(scripts.invite), secret, remote.Logging.NONE, beside)
        invitation: Output[str] = Output.secret(_known(invited.stdout, ""))
        introduced = second.run(Part.INTRODUCE.of(name), _told(scripts.introduce, INVITATION=invitation), own)
        introduction = _known(introduced.stdout, "")
        addresses = [Output.unsecret(invitation.apply(address_in)), introduction.apply(address_in)]
        connected = Connected(
            Part.CONNECTED.of(second.pulumi_resource_name),
            {
                "server_ids": [first.server.server_id, second.server.server_id],
                "nodes": [
                    {"name": server.server_name, "labels": server.labels, "address": address}
                    for server, address in zip((first, second), addresses, strict=True)
                ],
            },
            ResourceOptions.merge(own, second.on_failure),
        )
        reachable = ResourceOptions(parent=self, depends_on=[connected])
        joined = second.run(Part.JOIN.of(name), _told(scripts.join, INVITATION=invitation), reachable)
        told = {"INTRODUCTION": introduction, "JOINED": _known(joined.stdout, "")}
        self.met = first.run(Part.MEET.of(name), _told(scripts.meet, **told), own, beside=beside)


def _timed(script: str) -> str:
    return f"{LONGER}\n{script}"


def _told(script: str, **variables: Output[str]) -> Output[str]:
    """The script with more variables, which are known once other scripts have ended."""
    return Output.all(**variables).apply(lambda known: f"{assignments(known)}\n{_timed(script)}")


def _number(value: float | None) -> str:
    """The id of a server as text: the engine has numbers with a fraction alone."""
    return "" if value is None else str(int(value))


class Verification(pulumi.ComponentResource):
    """A server booted from the snapshot, the acceptance tests on it, and its release; at the level `join` a second one."""

    def __init__(  # noqa: PLR0913 - Pulumi's shape: name, arguments, options
        self,
        name: str,
        build: Build,
        snapshot_id: Input[str],
        builder: Mapping[str, Input[str]],
        site: Site,
        opts: ResourceOptions,
        made: Snapshot | None,
    ) -> None:
        super().__init__(VERIFICATION, name, None, opts)
        own = ResourceOptions(parent=self)
        done = bool(made and made.image)
        server = BuildServer(Role.VERIFIER, build, snapshot_id, site, own, done=done)
        # In the script, not in the connection's environment: sshd takes only variables that it was told of.
        script = Output.all(**builder).apply(lambda facts: f"{exported(facts)}\n{_timed(build.acceptance)}")
        tests = server.run(Part.TESTS.of(name), script, own)
        after_tests = ResourceOptions(parent=self, depends_on=[tests])
        self.inventory = server.run(Part.INVENTORY.of(name), build.inventory, after_tests, remote.Logging.NONE)
        self.report = tests.stdout
        last: pulumi.Resource = self.inventory
        if build.restarted:
            last = self._after_a_restart(name, build, server)
        self.released: list[pulumi.Resource] = []
        if build.join:
            after_last = ResourceOptions(parent=self, depends_on=[last])
            join = Join(name, build, build.join, snapshot_id, server, site, after_last, done=done)
            last = join.met
            self.report = _both(self.report, join.met.stdout)
            self.released += [join.server.release(ResourceOptions(parent=self, depends_on=[last]))]
        self.released += [server.release(ResourceOptions(parent=self, depends_on=[last]))]

    def _after_a_restart(self, name: str, build: Build, server: BuildServer) -> remote.Command:
        """The tests of a server that was started anew, with the cluster that was made on it. Without one, nothing is done."""
        restarted = Restarted(
            Part.RESTARTED.of(server.pulumi_resource_name),
            {
                "server_id": server.server.server_id,
                "host": server.server.host,
                "ssh_port": server.server.ssh_port,
                "wanted": self.report.apply(wants_restart),
            },
            ResourceOptions.merge(ResourceOptions(parent=self, depends_on=[self.inventory]), server.on_failure),
        )
        after_restart = ResourceOptions(parent=self, depends_on=[restarted])
        tests = server.run(Part.TESTS_AFTER_RESTART.of(name), _timed(build.restarted), after_restart)
        self.report = _both(self.report, tests.stdout)
        return tests


def _both(first: Output[str], second: Output[str]) -> Output[str]:
    return Output.all(first, second).apply(lambda texts: whole_report(*texts))


class NodeImage(pulumi.ComponentResource):
    """One snapshot: built, verified, published under the image's name, and nothing else left behind."""

    def __init__(
        self,
        build: Build,
        site: Site,
        build_date: str,
        after: Input[Sequence[pulumi.Resource]] = (),
        made: Snapshot | None = None,
    ) -> None:
        """`made` is the snapshot of an earlier run, also of one that never came to know that it had made it."""
        super().__init__(NODE_IMAGE, build.key, contents(build))
        own = ResourceOptions(parent=self)
        name = build.key
        first = ResourceOptions(parent=self, depends_on=after)
        builder = BuildServer(Role.BUILDER, build, build.base_image, site, first, done=made is not None)
        provisioning = Provisioning(name, builder, build.steps, own, done=made is not None)
        options = ResourceOptions(
            parent=self,
            depends_on=[provisioning.powered_off],
            ignore_changes=_AS_FOUND if made else ["labels"],
            import_=str(made.id) if made else None,
            custom_timeouts=pulumi.CustomTimeouts(create=f"{site.timeouts.snapshot}s"),
        )
        self.snapshot = hcloud.Snapshot(
            name,
            server_id=_known(builder.server.server_id, 0).apply(int),
            description=build.image,
            labels={**build.labels, "build_date": build_date},
            opts=ResourceOptions.merge(options, builder.on_failure),
        )
        after_snapshot = ResourceOptions(parent=self, depends_on=[self.snapshot])
        builder.release(after_snapshot)
        facts: dict[str, Input[str]] = {
            "BUILDER_NAME": builder.server_name,
            "BUILDER_MACHINE_ID": provisioning.machine_id,
            "BUILDER_HOST_KEY": builder.identity.host_public_key,
            "BUILDER_LOGIN_KEY": builder.identity.login_public_key,
        }
        self.verification = Verification(name, build, self.snapshot.id, facts, site, after_snapshot, made)
        after_tests = ResourceOptions(parent=self, depends_on=self.verification.released)
        self.published = _publish_build(build, self.snapshot, made, after_tests)
        self.report: Output[str] = self.verification.report
        self.inventory: Output[Inventory] = self.verification.inventory.stdout.apply(read_inventory)
        self.sbom = _bill_of_materials(build, site, self.inventory, own)
        self.tarball = _packed(build, site, self)
        self.finished = self.tarball.tarball if self.tarball else self.published


class AdoptedImage(pulumi.ComponentResource):
    """A declared image whose snapshot is there and whose build the state knows nothing of: no build, only its publication.

    It passes its tests again where it has no name yet, or the stack file asks for it. The records of a half-finished build of
    the same content are no longer declared, so they leave the state, and their server goes.
    """

    def __init__(
        self, build: Build, adoption: Adoption, site: Site, after: Input[Sequence[pulumi.Resource]] = ()
    ) -> None:
        super().__init__(NODE_IMAGE, build.key, contents(build))
        first = ResourceOptions(parent=self, depends_on=after)
        self.snapshot = _found_snapshot(build.key, adoption.snapshot, first)
        self.report: Output[str] = Output.from_input("")
        self.inventory: Output[Inventory | None] = Output.from_input(None)
        self.sbom: SbomFile | None = None
        after_tests = first
        if adoption.verify:
            facts = {**_LOST_FACTS, "BUILDER_NAME": worker_name(build.server_name, Role.BUILDER)}
            after_snapshot = ResourceOptions(parent=self, depends_on=[self.snapshot])
            verification = Verification(
                build.key, build, self.snapshot.id, facts, site, after_snapshot, adoption.snapshot
            )
            self.report = verification.report
            told: Output[Inventory] = verification.inventory.stdout.apply(read_inventory)
            self.inventory = told
            self.sbom = _bill_of_materials(build, site, told, ResourceOptions(parent=self))
            after_tests = ResourceOptions(parent=self, depends_on=verification.released)
        self.published = _publish_build(build, self.snapshot, adoption.snapshot, after_tests)
        self.tarball = _packed(build, site, self)
        self.finished = self.tarball.tarball if self.tarball else self.published


class EarlierImage(pulumi.ComponentResource):
    """An earlier build that is kept: its snapshot, its published name and its tarball, under the same names as when it was built.

    The records of its build are no longer declared, so they leave the state without any effect on the API.
    """

    def __init__(self, earlier: Snapshot, tarballs: Tarballs | None = None) -> None:
        key = build_key(earlier.image, earlier.architecture)
        super().__init__(NODE_IMAGE, key, {"image": earlier.image, "earlier": True})
        own = ResourceOptions(parent=self)
        self.snapshot = _found_snapshot(key, earlier, own)
        self.published = publish(
            key,
            {
                "name": earlier.image,
                "architecture": earlier.architecture,
                "hcloud_architecture": earlier.hcloud_architecture,
                "protect": earlier.protected,
            },
            self.snapshot,
            earlier,
            own,
        )
        if tarballs and tarballs.serves(earlier.os):
            path = tarballs.path(earlier.os, earlier.architecture, earlier.image)
            TarballFile(key, path, ResourceOptions(parent=self))


def contents(build: Build) -> Mapping[str, Input[object]]:
    """What a declared image will be. Nothing here uses it: a preview shows the inputs of a component, and so can tell."""
    return {"image": build.image, "components": dict(build.components), "inputs": dict(build.inputs)}


# "*" keeps the recorded inputs; the provider itself understands only names, and so needs "labels" as well.
_AS_FOUND = ["*", "labels"]

_LOST_FACTS = dict.fromkeys(["BUILDER_MACHINE_ID", "BUILDER_HOST_KEY", "BUILDER_LOGIN_KEY"], "lost with the state")
"""What the tests compare a booted server with, where nobody knows any more what its builder had."""


def _found_snapshot(name: str, found: Snapshot, opts: ResourceOptions) -> hcloud.Snapshot:
    as_found = ResourceOptions(ignore_changes=_AS_FOUND, import_=str(found.id))
    return hcloud.Snapshot(name, server_id=0, opts=ResourceOptions.merge(opts, as_found))


def _publish_build(build: Build, snapshot: hcloud.Snapshot, found: Snapshot | None, opts: ResourceOptions) -> Published:
    what: dict[str, Input[str | bool]] = {
        "name": build.image,
        "architecture": build.architecture,
        "hcloud_architecture": build.hcloud_architecture,
        "protect": build.protect,
    }
    return publish(build.key, what, snapshot, found, opts)


def publish(
    name: str,
    what: Mapping[str, Input[str | bool]],
    snapshot: hcloud.Snapshot,
    found: Snapshot | None,
    opts: ResourceOptions,
) -> Published:
    """The promotion gate of a snapshot, which the start of the program `found` or not."""
    seen = {"name": found.image, "protected": found.protected} if found else None
    inputs = {**what, "snapshot_id": snapshot.id.apply(int), "found": seen}
    return Published(Part.PUBLISHED.of(name), inputs, opts)


def _packed(build: Build, site: Site, image: "NodeImage | AdoptedImage") -> PackedTarball | None:
    if build.tarball is None:
        return None
    hooks = site.failures.hooks(archiver(build))
    after_publication = ResourceOptions(parent=image, depends_on=[image.published], hooks=hooks)
    return PackedTarball(build, image.snapshot.id, site.ssh_port, site.ssh_from, after_publication)


def _bill_of_materials(build: Build, site: Site, inventory: Output[Inventory], opts: ResourceOptions) -> SbomFile:
    text = inventory.apply(lambda item: sbom(build.image, item))
    return SbomFile(Part.BILL.of(build.key), {"path": f"{site.sboms}/{build.key}{BILL_SUFFIX}", "text": text}, opts)
