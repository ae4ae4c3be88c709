"""NodeImage: from a build of the plan to a published snapshot, as a chain of resources."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_hcloud as hcloud
from pulumi import Input, Output, ResourceOptions
from pulumi_command import remote

from components.failure import FailurePolicy
from components.records import EphemeralServer, PoweredOff, Published, Released, SbomFile, SshIdentity
from components.tarball import PackedTarball, TarballFile
from images.plan import Build, Tarballs
from images.retention import ExistingSnapshot
from recipe.render import Step, exported
from recipe.sbom import Inventory, read_inventory, sbom

RUN_STANDARD_INPUT = 'bash -c "$(cat)" {name} </dev/null'
"""Reads the whole script before it runs, so that nothing in it can swallow the rest; `{name}` shows in error messages."""


@dataclass(frozen=True)
class Site:
    """Where and how the images of a stack are built: what all of them share and none of them contains."""

    ssh_port: int
    mirror: str
    sboms: str
    failures: FailurePolicy


class BuildServer(pulumi.ComponentResource):
    """A server with an identity of its own, for the time of a build or a test. `role` is `builder` or `verifier`."""

    def __init__(  # noqa: PLR0913 - Pulumi's shape: name, arguments, options
        self, name: str, role: str, build: Build, image: Input[str], site: Site, opts: ResourceOptions
    ) -> None:
        """`role` is `builder`, one for each content of an image, or `verifier`, one for each set of tests."""
        super().__init__("node-images:index:BuildServer", name, None, opts)
        digest = build.digest if role == "builder" else f"{build.digest}-{build.tests_digest}"
        own = ResourceOptions(parent=self)
        self.server_name = f"{build.server_name}-{role}"
        self.labels = {**build.server_labels, "role": role}
        self.identity = SshIdentity(f"{name}-identity", {"name": self.server_name, "digest": digest}, own)
        self.server = EphemeralServer(
            f"{name}-server",
            {
                "name": self.server_name,
                "digest": digest,
                "image": image,
                "hcloud_architecture": build.hcloud_architecture,
                "server_types": list(build.server_types),
                "locations": list(build.locations),
                "labels": self.labels,
                "outcome": {**build.server_labels, "role": "snapshot", "architecture": build.architecture},
                "ssh_port": site.ssh_port,
                "mirror": site.mirror,
                "login_public_key": self.identity.login_public_key,
                "host_private_key": self.identity.host_private_key,
                "host_public_key": self.identity.host_public_key,
            },
            own,
        )
        self.connection = remote.ConnectionArgs(
            host=self.server.host,
            port=site.ssh_port,
            user="root",
            private_key=self.identity.login_private_key,
            host_key=self.identity.host_public_key,
            per_dial_timeout=15,
            dial_error_limit=5,
        )
        self.on_failure = site.failures.hooks(self.server_name)

    def run(
        self, name: str, script: Input[str], opts: ResourceOptions, logging: remote.Logging | None = None
    ) -> remote.Command:
        """Run a script on the server; it runs again only on another server."""
        return remote.Command(
            name,
            create=RUN_STANDARD_INPUT.format(name=name.rpartition("/")[2]),
            stdin=Output.concat("MIRROR='", self.server.mirror, "'\n", script),
            logging=logging,
            triggers=[self.server.server_id],
            connection=self.connection,
            opts=ResourceOptions.merge(opts, ResourceOptions(hooks=self.on_failure)),
        )

    def release(self, name: str, opts: ResourceOptions) -> Released:
        """Delete the server and its key, once what `opts` depends on is done."""
        inputs = {"server_id": self.server.server_id, "name": self.server_name, "labels": self.labels}
        return Released(name, inputs, opts)


class Provisioning(pulumi.ComponentResource):
    """The steps of the recipe, one after the other, and then the clean shutdown."""

    def __init__(self, name: str, server: BuildServer, steps: Sequence[Step], opts: ResourceOptions) -> None:
        super().__init__("node-images:index:Provisioning", name, None, opts)
        self.machine_id = server.run(f"{name}/machine-id", "cat /etc/machine-id", ResourceOptions(parent=self)).stdout
        last: pulumi.Resource = server.server
        for step in steps:
            options = ResourceOptions(parent=self, depends_on=[last])
            last = server.run(f"{name}/{step.name}", step.script, options)
        self.powered_off = PoweredOff(
            f"{name}-powered-off",
            {"server_id": server.server.server_id},
            ResourceOptions(parent=self, depends_on=[last], hooks=server.on_failure),
        )


class Verification(pulumi.ComponentResource):
    """A server booted from the snapshot, the acceptance tests on it, and its release."""

    def __init__(  # noqa: PLR0913 - Pulumi's shape: name, arguments, options
        self,
        name: str,
        build: Build,
        snapshot_id: Input[str],
        builder: Mapping[str, Input[str]],
        site: Site,
        opts: ResourceOptions,
    ) -> None:
        super().__init__("node-images:index:Verification", name, None, opts)
        own = ResourceOptions(parent=self)
        server = BuildServer(f"{name}-verifier", "verifier", build, snapshot_id, site, own)
        # In the script, not in the connection's environment: sshd takes only variables that it was told of.
        script = Output.all(**builder).apply(lambda facts: f"{exported(facts)}\n{build.acceptance}")
        self.tests = server.run(f"{name}/acceptance-tests", script, own)
        after_tests = ResourceOptions(parent=self, depends_on=[self.tests])
        self.inventory = server.run(f"{name}/inventory", build.inventory, after_tests, remote.Logging.NONE)
        after_all = ResourceOptions(parent=self, depends_on=[self.inventory])
        self.released = server.release(f"{name}-verifier-released", after_all)


class NodeImage(pulumi.ComponentResource):
    """One snapshot: built, verified, published under the image's name, and nothing else left behind."""

    def __init__(self, build: Build, site: Site, build_date: str, after: Sequence[pulumi.Resource] = ()) -> None:
        super().__init__("node-images:index:NodeImage", build.key, contents(build))
        own = ResourceOptions(parent=self)
        name = build.key
        first = ResourceOptions(parent=self, depends_on=list(after))
        builder = BuildServer(f"{name}-builder", "builder", build, build.base_image, site, first)
        provisioning = Provisioning(name, builder, build.steps, own)
        self.snapshot = hcloud.Snapshot(
            name,
            server_id=builder.server.server_id.apply(int),
            description=build.image,
            labels={**build.labels, "build_date": build_date},
            opts=ResourceOptions(
                parent=self,
                depends_on=[provisioning.powered_off],
                ignore_changes=["labels"],
                hooks=builder.on_failure,
            ),
        )
        after_snapshot = ResourceOptions(parent=self, depends_on=[self.snapshot])
        builder.release(f"{name}-builder-released", after_snapshot)
        facts: dict[str, Input[str]] = {
            "BUILDER_NAME": builder.server_name,
            "BUILDER_MACHINE_ID": provisioning.machine_id,
            "BUILDER_HOST_KEY": builder.identity.host_public_key,
            "BUILDER_LOGIN_KEY": builder.identity.login_public_key,
        }
        self.verification = Verification(name, build, self.snapshot.id, facts, site, after_snapshot)
        self.published = publish(
            name,
            build.image,
            build.architecture,
            build.hcloud_architecture,
            self.snapshot,
            ResourceOptions(parent=self, depends_on=[self.verification.released]),
        )
        self.report: Output[str] = self.verification.tests.stdout
        self.inventory: Output[Inventory] = self.verification.inventory.stdout.apply(read_inventory)
        self.sbom = SbomFile(
            f"{name}-sbom",
            {
                "path": f"{site.sboms}/{name}.cdx.json",
                "text": self.inventory.apply(lambda inventory: sbom(build.image, inventory)),
            },
            ResourceOptions(parent=self),
        )
        self.tarball: PackedTarball | None = None
        self.finished: pulumi.Resource = self.published
        if build.tarball:
            hooks = site.failures.hooks(f"{build.server_name}-archiver")
            after_publication = ResourceOptions(parent=self, depends_on=[self.published], hooks=hooks)
            self.tarball = PackedTarball(build, self.snapshot.id, site.ssh_port, after_publication)
            self.finished = self.tarball.tarball


class EarlierImage(pulumi.ComponentResource):
    """An earlier build that is kept: its snapshot, its published name and its tarball, under the same names as when it was built.

    The records of its build are no longer declared, so they leave the state without any effect on the API.
    """

    def __init__(self, earlier: ExistingSnapshot, tarballs: Tarballs | None = None) -> None:
        key = f"{earlier.image}-{earlier.architecture}"
        super().__init__("node-images:index:NodeImage", key, {"image": earlier.image, "earlier": True})
        self.snapshot = hcloud.Snapshot(
            key,
            server_id=0,
            # "*" keeps the recorded inputs; the provider itself understands only names, and so needs "labels" as well.
            opts=ResourceOptions(parent=self, ignore_changes=["*", "labels"], import_=str(earlier.id)),
        )
        self.published = publish(
            key,
            earlier.image,
            earlier.architecture,
            earlier.hcloud_architecture,
            self.snapshot,
            ResourceOptions(parent=self),
        )
        if tarballs and tarballs.serves(earlier.labels["os"]):
            path = tarballs.path(earlier.labels["os"], earlier.architecture, earlier.image)
            TarballFile(key, path, ResourceOptions(parent=self))


def contents(build: Build) -> Mapping[str, Input[object]]:
    """What a declared image will be. Nothing here uses it: a preview shows the inputs of a component, and so can tell."""
    return {"image": build.image, "components": dict(build.components), "inputs": dict(build.inputs)}


def publish(  # noqa: PLR0913 - what is published
    name: str, image: str, architecture: str, hcloud_architecture: str, snapshot: hcloud.Snapshot, opts: ResourceOptions
) -> Published:
    """The promotion gate of a snapshot."""
    inputs = {
        "name": image,
        "snapshot_id": snapshot.id.apply(int),
        "architecture": architecture,
        "hcloud_architecture": hcloud_architecture,
    }
    return Published(f"{name}-published", inputs, opts)
