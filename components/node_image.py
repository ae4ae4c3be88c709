"""NodeImage: from a build of the plan to a published snapshot, as a chain of resources."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_hcloud as hcloud
from pulumi import Input, Output, ResourceOptions

from components.bills import write_bill
from components.build_server import BuildServer, Site, known
from components.inputs import Named, Proof, PublishedInputs, Seen
from components.records import PoweredOff, Published, SbomFile
from components.tarball import PackedTarball, TarballFile, archiver
from components.verification import Verification
from images.adoption import Adoption
from images.names import BILL_SUFFIX, NODE_IMAGE, Part, Role, build_key, worker_name
from images.plan import Build, Tarballs
from images.snapshot import Snapshot
from recipe.render import assignments


class Provisioning:
    """The phases of the recipe, one after the other, and then the clean shutdown."""

    def __init__(self, build: Build, server: BuildServer, logins: Input[str] = "") -> None:
        """`logins` go to the phase that pulls images, and to no other."""
        pulls = {step.phase for step in build.steps if step.name == "images"}
        phases = dict.fromkeys(step.phase for step in build.steps)
        told = {Part.phase(phase).of(build.key): _variables(logins) if phase in pulls else "" for phase in phases}
        (first, variables), *others = told.items()
        last = server.run(first, variables=variables)
        self.machine_id = last.stdout
        for name, variables in others:
            last = server.run(name, last, variables=variables)
        self.powered_off = PoweredOff(
            Part.POWERED_OFF.of(build.key), {"server_id": server.server.server_id}, server.after(last)
        )


def _variables(logins: Input[str]) -> Input[str]:
    """As shell text for the step `images`."""
    return Output.from_input(logins).apply(lambda text: assignments({"REGISTRY_CREDENTIALS": text}) if text else "")


@dataclass(frozen=True)
class Told:
    """What is known of an image by its tests: their report, its manifest (both JSON), and the sha256 of its bill of materials.

    All are empty where nobody knows them any more.
    """

    report: Input[str] = ""
    manifest: Input[str] = ""
    bill: Input[str] = ""


class _Image(pulumi.ComponentResource):
    """A declared image: its snapshot, and what comes after its tests."""

    snapshot: hcloud.Snapshot

    def _publish(
        self,
        build: Build,
        site: Site,
        found: Adoption | None,
        verification: Verification | None,
        opts: ResourceOptions,
    ) -> None:
        """Give it its name, once its tests are passed. What the state knows already is taken from there."""
        told, bill = _told(build, site, found, verification), _bill_path(build, site)
        self.report, self.manifest = Output.from_input(told.report), Output.from_input(told.manifest)
        self.published = publish(
            build.key,
            {
                "name": build.image,
                "architecture": build.architecture,
                "hcloud_architecture": build.hcloud_architecture,
                "protect": build.protect,
                **_proof(build, told, found, verification),
            },
            self.snapshot,
            found.snapshot if found else None,
            ResourceOptions.merge(opts, ResourceOptions(depends_on=[verification.last] if verification else [])),
        )
        own = ResourceOptions(parent=self)
        self.sbom = SbomFile(Part.BILL.of(build.key), {"path": bill, "sha256": told.bill}, own) if told.bill else None
        self.tarball = _packed(build, site, self)
        self.finished = self.tarball.tarball if self.tarball else self.published
        _register(self, build.image, self.snapshot)


class NodeImage(_Image):
    """One snapshot: built, verified, published under the image's name, and nothing else left behind."""

    def __init__(
        self,
        build: Build,
        site: Site,
        build_date: str,
        after: Input[Sequence[pulumi.Resource]] = (),
        found: Adoption | None = None,
    ) -> None:
        """`found` is the snapshot of an earlier run, also of one that never came to know that it had made it."""
        super().__init__(NODE_IMAGE, build.key, contents(build))
        first = ResourceOptions(parent=self, depends_on=after)
        builder = BuildServer(Role.BUILDER, build, build.base_image, site, first, done=found is not None)
        provisioning = Provisioning(build, builder, site.logins)
        self.snapshot = hcloud.Snapshot(
            build.key,
            server_id=known(builder.server.server_id, 0).apply(int),
            description=build.image,
            labels={**build.labels, "build_date": build_date},
            opts=ResourceOptions.merge(
                builder.after(provisioning.powered_off),
                ResourceOptions(
                    ignore_changes=_AS_FOUND if found else ["labels"],
                    import_=str(found.snapshot.id) if found else None,
                    custom_timeouts=pulumi.CustomTimeouts(create=f"{site.timeouts.snapshot}s"),
                ),
            ),
        )
        facts: dict[str, Input[str]] = {
            "BUILDER_NAME": builder.name,
            "BUILDER_MACHINE_ID": provisioning.machine_id,
            "BUILDER_HOST_KEY": builder.server.host_public_key,
            "BUILDER_LOGIN_KEY": builder.server.login_public_key,
        }
        own = ResourceOptions(parent=self)
        verified = bool(found and found.verified)
        verification = Verification(build, self.snapshot.id, facts, site, own, verified=verified, let_go=[builder])
        self._publish(build, site, found, verification, own)


class AdoptedImage(_Image):
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
        verification = None
        if adoption.verify:
            facts = {**_LOST_FACTS, "BUILDER_NAME": worker_name(build.server_name, Role.BUILDER)}
            verification = Verification(build, self.snapshot.id, facts, site, first, verified=adoption.verified)
        self._publish(build, site, adoption, verification, first)


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
        _register(self, earlier.image, self.snapshot)


def contents(build: Build) -> Mapping[str, Input[object]]:
    """What a declared image will be. Nothing here uses it: a preview shows the inputs of a component, and so can tell."""
    return {"image": build.image, "components": dict(build.components), "inputs": dict(build.inputs)}


def _register(image: pulumi.ComponentResource, name: str, snapshot: hcloud.Snapshot) -> None:
    """Tell the engine that an image is complete, and what it is called."""
    image.register_outputs({"name": name, "snapshotId": known(snapshot.id, "")})


# "*" keeps the recorded inputs; the provider itself understands only names, and so needs "labels" as well.
_AS_FOUND = ["*", "labels"]

_LOST_FACTS = dict.fromkeys(["BUILDER_MACHINE_ID", "BUILDER_HOST_KEY", "BUILDER_LOGIN_KEY"], "lost with the state")
"""What the tests compare a booted server with, where nobody knows any more what its builder had."""


def _found_snapshot(name: str, found: Snapshot, opts: ResourceOptions) -> hcloud.Snapshot:
    as_found = ResourceOptions(ignore_changes=_AS_FOUND, import_=str(found.id))
    return hcloud.Snapshot(name, server_id=0, opts=ResourceOptions.merge(opts, as_found))


def publish(
    name: str,
    what: Named,
    snapshot: hcloud.Snapshot,
    found: Snapshot | None,
    opts: ResourceOptions,
) -> Published:
    """The promotion gate of a snapshot, which the start of the program `found` or not."""
    seen: Seen | None = {"name": found.image, "protected": found.protected} if found else None
    inputs: PublishedInputs = {**what, "snapshot_id": snapshot.id.apply(int), "found": seen}
    return Published(Part.PUBLISHED.of(name), inputs, opts)


def _packed(build: Build, site: Site, image: _Image) -> PackedTarball | None:
    if build.tarball is None:
        return None
    hooks = site.failures.hooks(archiver(build))
    after_publication = ResourceOptions(parent=image, depends_on=[image.published], hooks=hooks)
    return PackedTarball(build, image.snapshot.id, site.ssh_port, site.ssh_from, after_publication)


def _told(build: Build, site: Site, found: Adoption | None, verification: Verification | None) -> Told:
    if found and found.facts and (found.verified or not verification):
        return Told(found.facts.report, found.facts.manifest, found.bill)
    if not verification:
        return Told()
    inventory = verification.inventory
    return Told(
        verification.report,
        inventory.apply(lambda item: json.dumps(dict(item.manifest))),
        inventory.apply(lambda item: write_bill(_bill_path(build, site), build.image, item)),
    )


def _bill_path(build: Build, site: Site) -> str:
    return f"{site.sboms}/{build.key}{BILL_SUFFIX}"


def _proof(build: Build, told: Told, found: Adoption | None, verification: Verification | None) -> Proof:
    """What the publication keeps of the tests, and which servers it lets go; nothing where nobody knows of any tests.

    What they told is in the state with them; where they are declared no longer, it is kept here.
    """
    if verification:
        return {"tests": build.tests_digest, "let_go": [server.whereabouts for server in verification.servers]}
    if found and found.facts:
        return {"tests": found.facts.tests, "report": told.report, "manifest": told.manifest, "let_go": []}
    return {}
