"""The acceptance tests of a snapshot, on servers that are booted from it."""

from collections.abc import Mapping, Sequence

from pulumi import Input, Output, ResourceOptions

from components.build_server import BuildServer, Site, known
from components.records import Connected, Restarted
from images.names import Part, Role, worker_name
from images.plan import Build
from images.report import address_in, report_and_inventory, wants_restart, whole_report
from recipe.render import assignments, exported
from recipe.sbom import Inventory, read_inventory

LONGER = "STEP_SECONDS=$((STEP_SECONDS + CLUSTER_SECONDS))"
"""Tests that make a cluster have a time limit for that beside the one of a step."""


class Verification:
    """A server booted from the snapshot, and the acceptance tests on it; at the level `join` a second one.

    `servers` are no longer needed once `last` is done. `report` and `inventory` are what the tests have printed.
    """

    def __init__(  # noqa: PLR0913 - Pulumi's shape: what it is, arguments, options
        self,
        build: Build,
        snapshot_id: Input[str],
        builder: Mapping[str, Input[str]],
        site: Site,
        opts: ResourceOptions,
        *,
        verified: bool,
        let_go: Sequence[BuildServer] = (),
    ) -> None:
        server = BuildServer(Role.VERIFIER, build, snapshot_id, site, opts, done=verified, let_go=let_go)
        # In the script, not in the connection's environment: sshd takes only variables that it was told of.
        facts = "" if verified else Output.all(**builder).apply(lambda facts: f"{exported(facts)}\n{LONGER}")
        tests = server.run(Part.TESTS.of(build.key), variables=facts)
        told = tests.stdout.apply(report_and_inventory)
        self.report: Output[str] = told.apply(lambda texts: texts[0])
        self.inventory: Output[Inventory] = told.apply(lambda texts: read_inventory(texts[1]))
        self.servers, self.last = [server], tests
        if build.restarted:
            self._after_a_restart(build, server)
        if build.join:
            self._join(build, snapshot_id, site, opts, verified=verified)

    def _after_a_restart(self, build: Build, server: BuildServer) -> None:
        """The tests of a server that was started anew, with the cluster that was made on it. Without one, nothing is done."""
        restarted = Restarted(
            Part.RESTARTED.of(worker_name(build.key, Role.VERIFIER)),
            {
                "server_id": server.server.server_id,
                "host": server.server.host,
                "ssh_port": server.server.ssh_port,
                "wanted": self.report.apply(wants_restart),
            },
            server.after(self.last),
        )
        self.last = server.run(Part.TESTS_AFTER_RESTART.of(build.key), restarted, variables=LONGER)
        self.report = _both(self.report, self.last.stdout)

    def _join(
        self, build: Build, snapshot_id: Input[str], site: Site, opts: ResourceOptions, *, verified: bool
    ) -> None:
        first = self.servers[0]
        after_tests = ResourceOptions.merge(opts, ResourceOptions(depends_on=[self.last]))
        second = BuildServer(Role.JOINER, build, snapshot_id, site, after_tests, done=verified, first=first)
        self.servers.append(second)
        self.last = Join(build.key, first, second).met
        self.report = _both(self.report, self.last.stdout)


def _both(first: Output[str], second: Output[str]) -> Output[str]:
    return Output.all(first, second).apply(lambda texts: whole_report(*texts))


class Join:
    """A second server of the snapshot, which joins the cluster of the first one; what stands in JoinScripts, step by step."""

    def __init__(self, name: str, first: BuildServer, second: BuildServer) -> None:
        # What it prints opens the cluster.
        invited = first.run(Part.INVITE.of(name), beside=second, variables=LONGER, secret=True)
        invitation: Output[str] = Output.secret(known(invited.stdout, ""))
        introduced = second.run(Part.INTRODUCE.of(name), variables=_told(INVITATION=invitation))
        introduction = known(introduced.stdout, "")
        addresses = [Output.unsecret(invitation.apply(address_in)), introduction.apply(address_in)]
        connected = Connected(
            Part.CONNECTED.of(worker_name(name, Role.JOINER)),
            {
                "server_ids": [first.server.server_id, second.server.server_id],
                "nodes": [
                    {"name": server.name, "labels": server.labels, "address": address}
                    for server, address in zip((first, second), addresses, strict=True)
                ],
            },
            second.after(),
        )
        joined = second.run(Part.JOIN.of(name), connected, variables=_told(INVITATION=invitation))
        told = {"INTRODUCTION": introduction, "JOINED": known(joined.stdout, "")}
        self.met = first.run(Part.MEET.of(name), beside=second, variables=_told(**told))


def _told(**variables: Output[str]) -> Output[str]:
    """Variables that are known once other scripts have ended."""
    return Output.all(**variables).apply(lambda known: f"{assignments(known)}\n{LONGER}")
