"""The wiring of an image, seen through Pulumi mocks: what is declared, in which order, with which secrets."""

import asyncio
import base64
import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pulumi
import pytest
import yaml

from adapters.hetzner.cloud import Cloud
from components.build_server import Site, worker_of
from components.environment import Environment
from components.environment import declare as declare_all
from components.failure import FailurePolicy
from components.node_image import AdoptedImage, EarlierImage, NodeImage
from components.records import _EphemeralServerProvider
from images.adoption import Adoption
from images.exports import read_exports
from images.labels import CAPH_IMAGE_NAME
from images.names import Role
from images.plan import Build, Plan, Tarballs, make_plan
from images.recorded import Facts
from images.snapshot import Snapshot
from images.stackfile import Timeouts, parse_stack_file
from recipe import load_catalog, load_lock

SECRET = "4dabf18193072939515e22adb298388d"
"""The engine's mark of a secret value."""


def packed(text: str) -> str:
    """As recipe/runner.sh prints it."""
    return base64.b64encode(gzip.compress(text.encode())).decode()


REPORT = '{"passed": 3, "total": 3, "level": "cluster", "seconds": {"ssh": 8.5}}'
MANIFEST = {
    "os": "debian-13",
    "kubernetes": "1.36.4",
    "architecture": "amd64",
    "recipe": "0" * 64,
    "asOf": None,
    "components": {"pause": {"version": "3.10.2"}},
}
INVENTORY = json.dumps(MANIFEST, indent=2) + "\n---\nos\tdebian\t13\ndeb\tjq\t1.7\tamd64\tjq\t1.7\n"
STDOUT = {
    "prepare": "machine",
    "acceptance-tests": f"{REPORT}\n{packed(INVENTORY)}",
    "tests-after-restart": '{"passed": 2, "total": 2, "level": "cluster", "seconds": {"restart": 40.0}}',
    "invite": json.dumps(
        {
            "address": "198.51.100.7",
            "unique": {},
            "discovery": {"bootstrapToken": {"token": "abcdef.0123456789abcdef"}},
        }
    ),
    "introduce": '{"address": "198.51.100.8", "name": "second"}',
    "join": '{"join": 41.5}',
    "meet": '{"passed": 14, "total": 14, "level": "join", "seconds": {"join": 41.5}}',
}


SBOMS = ""


class Mocks(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.resources: list[pulumi.runtime.MockResourceArgs] = []
        self.failing = ""

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        self.resources.append(args)
        if self.failing and args.name.endswith(self.failing):
            raise RuntimeError(f"{args.name} failed")
        outputs = {**args.inputs}
        if args.typ.endswith(":EphemeralServer"):
            outputs |= {key: f"{args.name}-{key}" for key in ("login_private_key", "login_public_key")}
            outputs |= {key: f"{args.name}-{key}" for key in ("host_private_key", "host_public_key")}
            outputs |= {"server_id": 42, "host": "127.1.2.3"}
            outputs |= {"variables": "MIRROR=http://m\nSTEP_SECONDS=60", "ssh_port": 2200.0}
        if args.typ == "command:remote:Command":
            outputs |= {"stdout": STDOUT.get(args.name.rpartition("/")[2], "")}
        if args.typ.endswith(":Tarball"):
            outputs |= {"sha256": "0" * 64, "size": 7.0}
        if args.typ.endswith(":Published"):
            outputs |= {"created": "2026-01-01", "size_gb": 0.5, "disk_gb": 40.0}
        identifier = "7" if args.typ == "hcloud:index/snapshot:Snapshot" else f"{args.name}-id"
        return identifier, outputs

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[str, Any]:
        raise AssertionError(f"the program calls no function, but it called {args.token}")

    def of(self, kind: str) -> list[pulumi.runtime.MockResourceArgs]:
        return [resource for resource in self.resources if resource.typ.endswith(kind)]


@pytest.fixture
def mocks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Mocks]:
    mocks = Mocks()
    # Files of the program, such as bundles, lie in its working directory.
    monkeypatch.setattr("components.bundles.FOLDER", tmp_path / "bundles")
    monkeypatch.setattr("tests.components.test_components.SBOMS", f"{tmp_path}/sboms")
    # Pulumi takes the thread's event loop, which a test before may have closed.
    asyncio.set_event_loop(asyncio.new_event_loop())
    pulumi.runtime.set_mocks(mocks, project="node-images", stack="test")
    # Hooks are registered with the engine, which mocks do not have; the end-to-end tests prove them.
    monkeypatch.setattr("components.failure.pulumi.ErrorHook", lambda _name, _decide: None)
    monkeypatch.setattr("components.failure.pulumi.ResourceHookBinding", lambda on_error: None)
    yield mocks


def builds(*architectures: str, **settings: Any) -> list[Build]:
    return list(plan(*architectures, **settings).images[0].builds)


def plan(*architectures: str, **settings: Any) -> Plan:
    image = {"os": "debian-13", "kubernetes": "1.36.4", "architectures": list(architectures)}
    catalog = load_catalog()
    config = {"node-images:images": [image], **{f"node-images:{key}": value for key, value in settings.items()}}
    stack_file = parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test")
    return make_plan("test", stack_file, catalog, load_lock(), "test")


def declare(build: Build) -> Any:
    return NodeImage(build, site(), "20260101")


def site() -> Site:
    failures = FailurePolicy(Cloud("t" * 64, "http://127.0.0.1:1/v1"), "test", keep_servers=False, patience=1)
    return Site(2222, "http://127.0.0.1:1", SBOMS, ["203.0.113.7/32"], Timeouts(snapshot=60), failures)


def run(mocks: Mocks, build: Build) -> Any:
    made: list[Any] = []

    @pulumi.runtime.test
    def program() -> Any:
        made.append(declare(build))
        return made[0].published.urn

    program()
    return made[0]


PHASES = ["prepare", "runtime", "kubernetes", "finish"]


def test_one_image_is_one_chain(mocks: Mocks) -> None:
    run(mocks, builds("amd64")[0])
    phases = [resource.name.rpartition("/")[2] for resource in mocks.of("remote:Command")]
    assert phases == [*PHASES, "acceptance-tests", "tests-after-restart"]
    kinds = [":EphemeralServer", "CopyToRemote", "PoweredOff", "snapshot:Snapshot", "Restarted", "Published"]
    assert [len(mocks.of(kind)) for kind in kinds] == [2, 2, 1, 1, 1, 1]


@pytest.mark.parametrize(("level", "most"), [("boot", 14), ("cluster", 16)])
def test_an_image_is_few_resources(mocks: Mocks, level: str, most: int) -> None:
    run(mocks, builds("amd64", verification=level)[0])
    assert len(mocks.resources) == most


def test_every_resource_has_the_name_that_states_have(mocks: Mocks) -> None:
    build = builds("amd64", forms=["snapshot", "tarball"])[0]
    run(mocks, build)
    ours = [(kind.rpartition(":")[2], name.removeprefix(build.key)) for kind, name in declared(mocks)]
    assert sorted(ours) == sorted(
        [
            *[("NodeImage", ""), ("Snapshot", "")],
            *[("Command", f"/{phase}") for phase in (*PHASES, "acceptance-tests", "tests-after-restart")],
            *[("EphemeralServer", "-builder-server"), ("EphemeralServer", "-verifier-server")],
            *[("CopyToRemote", "-builder-bundle"), ("CopyToRemote", "-verifier-bundle")],
            *[("PoweredOff", "-powered-off"), ("Restarted", "-verifier-restarted"), ("Published", "-published")],
            *[("SbomFile", "-sbom"), ("Tarball", "/tarball"), ("TarballFile", "-tarball-file")],
        ]
    )
    assert {kind.rpartition(":")[0] for kind, _ in declared(mocks)} == {
        "node-images:index",
        "pulumi-python:dynamic/node-images",
        "hcloud:index/snapshot",
        "command:remote",
    }


LOGINS = '{"harbor.example.com": "robot:let me in"}'


def test_logins_reach_the_phase_that_pulls_images_alone_and_as_a_secret(mocks: Mocks) -> None:
    build = builds("amd64", node={"extraImages": ["harbor.example.com/app:1"]})[0]

    @pulumi.runtime.test
    def program() -> Any:
        return NodeImage(build, replace(site(), logins=pulumi.Output.secret(LOGINS)), "20260101").published.urn

    program()
    told = {item.name.rpartition("/")[2]: item.inputs["stdin"] for item in mocks.of("remote:Command")}
    assert [name for name, text in told.items() if "let me in" in str(text)] == ["kubernetes"]
    assert told["kubernetes"][SECRET]
    assert told["kubernetes"]["value"].endswith(f"REGISTRY_CREDENTIALS='{LOGINS}'")


def test_a_phase_that_pulls_nothing_gets_no_logins(mocks: Mocks) -> None:
    build = builds("amd64")[0]

    @pulumi.runtime.test
    def program() -> Any:
        return NodeImage(build, replace(site(), logins=pulumi.Output.secret(LOGINS)), "20260101").published.urn

    program()
    assert "let me in" not in json.dumps([item.inputs for item in mocks.of("remote:Command")], default=str)


def test_a_server_gets_one_file_with_all_that_it_runs(mocks: Mocks) -> None:
    build = builds("amd64")[0]
    run(mocks, build)
    copies = mocks.of("CopyToRemote")
    assert len({copy.inputs["source"].path for copy in copies}) == 1
    assert Path(copies[0].inputs["source"].path).read_bytes() == build.bundle.packed
    assert {copy.inputs["remotePath"] for copy in copies} == {"/var/tmp/node-image.tar.gz"}
    assert all(copy.inputs["triggers"] == [42] for copy in copies), "once more on another server"
    assert max(len(json.dumps(command.inputs, default=str)) for command in mocks.of("remote:Command")) < 2000


def test_the_server_that_makes_an_image_keeps_its_limit_and_reaches_its_sources(mocks: Mocks) -> None:
    (build,) = builds("amd64", maxDisk=40)
    run(mocks, build)
    servers = {item.inputs["labels"]["role"]: item.inputs for item in mocks.of(":EphemeralServer")}
    assert servers["builder"]["max_disk"] == 40
    assert servers["builder"]["sources"] == list(build.sources) != []
    assert not {"max_disk", "sources"} & servers["verifier"].keys()


def test_of_a_server_that_has_done_its_work_no_file_is_needed(mocks: Mocks) -> None:
    """As on a machine in CI, which never made it."""
    build = builds("amd64")[0]
    there = Snapshot(
        7, {**build.labels, CAPH_IMAGE_NAME: build.image}, datetime(2026, 1, 1, tzinfo=UTC), available=True
    )
    facts = Facts(build.tests_digest, REPORT, json.dumps(MANIFEST))
    adoption = Adoption(there, built_here=True, verify=True, verified=True, facts=facts, bill="b" * 64)

    @pulumi.runtime.test
    def program() -> Any:
        return NodeImage(build, site(), "20260101", found=adoption).published.urn

    program()
    assert [copy.inputs["source"].text for copy in mocks.of("CopyToRemote")] == ["", ""]
    (published,), (file,) = mocks.of(":Published"), mocks.of(":SbomFile")
    assert published.inputs["tests"] == build.tests_digest
    assert file.inputs["sha256"] == "b" * 64
    assert not Path(file.inputs["path"]).exists()


@pytest.mark.parametrize("found", [False, True])
def test_the_records_of_a_stack_are_those_of_the_interface(mocks: Mocks, found: bool) -> None:
    wanted = plan("amd64", forms=["snapshot", "tarball"])
    (image,) = wanted.images
    there = Snapshot(7, dict(image.builds[0].labels), datetime(2026, 1, 1, tzinfo=UTC), available=True)
    adopted = {image.builds[0].key: Adoption(there, built_here=False, verify=False)} if found else {}
    records: list[Any] = []

    @pulumi.runtime.test
    def program() -> Any:
        return declare_all(Environment(wanted, [], adopted, site())).apply(records.extend)

    program()
    (record,) = read_exports({"interface": 1, "images": records, "snapshots": {}, "earlier": []}, "test").images
    assert (record.name, record.digest, record.snapshots) == (image.name, image.digest, {"amd64": 7})
    assert records[0]["created"] == "2026-01-01T00:00:00"
    assert records[0]["tests"] == {"amd64": {} if found else json.loads(REPORT) | WHOLE}
    assert records[0]["manifests"] == ({} if found else {"amd64": MANIFEST})


WHOLE = {"passed": 5, "total": 5, "seconds": {"ssh": 8.5, "restart": 40.0}}
"""What the tests after the restart add."""


def declared(mocks: Mocks) -> list[tuple[str, str]]:
    """Type and name of each resource."""
    return [(resource.typ, resource.name) for resource in mocks.resources]


@pytest.mark.parametrize(("level", "wanted"), [("boot", False), ("cluster", True)])
def test_a_server_is_started_anew_only_where_a_cluster_was_made_on_it(
    mocks: Mocks, monkeypatch: pytest.MonkeyPatch, level: str, wanted: bool
) -> None:
    report = json.dumps({"passed": 3, "total": 3, "level": level})
    monkeypatch.setitem(STDOUT, "acceptance-tests", f"{report}\n{packed(INVENTORY)}")
    run(mocks, builds("amd64")[0])
    (restarted,) = mocks.of(":Restarted")
    assert restarted.inputs["wanted"] is wanted


def test_nothing_is_started_anew_at_the_level_boot(mocks: Mocks) -> None:
    run(mocks, builds("amd64", verification="boot")[0])
    assert mocks.of(":Restarted") == []
    assert [item.name for item in mocks.of("remote:Command") if "restart" in item.name] == []


JOIN_STEPS = ("invite", "introduce", "join", "meet")


def joined(mocks: Mocks) -> tuple[Build, Any, dict[str, Any]]:
    """An image at the level `join`: its build, itself, and the scripts of the join by name."""
    build = builds("amd64", verification="join")[0]
    image = run(mocks, build)
    commands = {item.name.rpartition("/")[2]: item for item in mocks.of("remote:Command")}
    return build, image, {name: commands[name] for name in JOIN_STEPS}


def order(mocks: Mocks, *endings: str) -> list[int]:
    names = [resource.name for resource in mocks.resources]
    return [next(number for number, name in enumerate(names) if name.endswith(ending)) for ending in endings]


def test_a_second_server_joins_once_the_first_has_passed_its_tests(mocks: Mocks) -> None:
    joined(mocks)
    chain = ["/tests-after-restart", "-joiner-server", "/invite", "/introduce", "-joiner-connected", "/join", "/meet"]
    assert order(mocks, *chain) == sorted(order(mocks, *chain))
    assert max(order(mocks, *chain)) < min(order(mocks, "-published"))


def test_servers_go_with_what_comes_after_them(mocks: Mocks) -> None:
    """The builder while the verifier is made; those of the tests before the image gets its name."""
    build, _, _ = joined(mocks)
    servers = {item.inputs["labels"]["role"]: item.inputs for item in mocks.of(":EphemeralServer")}
    (published,) = mocks.of(":Published")
    assert servers["builder"]["let_go"] == servers["joiner"]["let_go"] == []
    builder = {"server_id": 42, "name": f"{build.server_name}-builder", "labels": servers["builder"]["labels"]}
    assert servers["verifier"]["let_go"] == [builder]
    names = [f"{build.server_name}-verifier", f"{build.server_name}-joiner"]
    assert [server["name"] for server in published.inputs["let_go"]] == names


def test_the_second_server_is_of_the_same_snapshot_and_of_its_first_alone(mocks: Mocks) -> None:
    build, _, _ = joined(mocks)
    servers = {item.inputs["labels"]["role"]: item.inputs for item in mocks.of(":EphemeralServer")}
    assert servers["joiner"]["image"] == servers["verifier"]["image"] == "7"
    assert servers["joiner"]["digest"] == f"{build.digest}-{build.tests_digest}-42", "a new first server, a new second"
    assert servers["joiner"]["name"] == f"{build.server_name}-joiner"


def test_what_opens_the_cluster_is_a_secret(mocks: Mocks) -> None:
    _, _, scripts = joined(mocks)
    for name in ("introduce", "join"):
        told = scripts[name].inputs["stdin"]
        assert SECRET in told
        assert "INVITATION=" in told["value"]
        assert "abcdef.0123456789abcdef" in told["value"]
    assert scripts["invite"].inputs["logging"] == "none", "it is not shown"


def test_each_server_runs_its_scripts(mocks: Mocks) -> None:
    _, _, scripts = joined(mocks)
    roles = {"invite": "verifier", "introduce": "joiner", "join": "joiner", "meet": "verifier"}
    for name, role in roles.items():
        assert scripts[name].inputs["connection"]["value"]["hostKey"].endswith(f"-{role}-server-host_public_key")
    for name in ("invite", "meet"):
        assert scripts[name].inputs["triggers"] == [42, 42], "once more where the second server is another one"
    assert "JOINED='{\"join\": 41.5}'" in scripts["meet"].inputs["stdin"]


def test_the_two_servers_may_reach_each_other(mocks: Mocks) -> None:
    joined(mocks)
    (connected,) = mocks.of(":Connected")
    assert [node["address"] for node in connected.inputs["nodes"]] == ["198.51.100.7", "198.51.100.8"]
    assert [node["labels"]["role"] for node in connected.inputs["nodes"]] == ["verifier", "joiner"]


def test_the_report_is_that_of_the_join_with_all_seconds(mocks: Mocks) -> None:
    _, image, _ = joined(mocks)

    @pulumi.runtime.test
    def asked() -> Any:
        return image.report.apply(texts.append)

    texts: list[str] = []
    asked()
    assert json.loads(texts[0]) == {
        "passed": 19, "total": 19, "level": "join", "seconds": {"ssh": 8.5, "restart": 40.0, "join": 41.5}
    }  # fmt: skip


def test_a_failed_join_publishes_nothing(mocks: Mocks) -> None:
    mocks.failing = "/join"
    with pytest.raises(Exception, match="join failed"):
        joined(mocks)
    assert mocks.of(":Published") == []


@pytest.mark.parametrize("level", ["auto", "boot", "cluster"])
def test_no_other_level_makes_a_second_server(mocks: Mocks, level: str) -> None:
    run(mocks, builds("amd64", verification=level)[0])
    assert {item.inputs["labels"]["role"] for item in mocks.of(":EphemeralServer")} == {"builder", "verifier"}
    assert mocks.of(":Connected") == []


def test_the_two_servers_of_a_test_are_partners(mocks: Mocks) -> None:
    build = builds("amd64", verification="join")[0]
    assert [item.name.rpartition("-")[2] for item in worker_of(build, Role.VERIFIER).both] == ["verifier", "joiner"]
    assert [item.labels["role"] for item in worker_of(build, Role.JOINER).both] == ["joiner", "verifier"]
    assert worker_of(build, Role.BUILDER).partner is None
    assert worker_of(builds("amd64")[0], Role.VERIFIER).partner is None


def test_no_step_begins_before_the_machine_id_is_known(mocks: Mocks) -> None:
    """The step `clean` takes our key away: nobody could ask for it afterwards, in this run or the next."""
    first = next(path for path in sorted(builds("amd64")[0].bundle.files) if path.startswith("prepare/"))
    assert first == "prepare/00-machine-id.result"
    mocks.failing = "/prepare"
    with pytest.raises(Exception, match="prepare failed"):
        run(mocks, builds("amd64")[0])
    assert [resource.name.rpartition("/")[2] for resource in mocks.of("remote:Command")] == ["prepare"]


def test_a_snapshot_is_made_without_the_name_that_caph_looks_for(mocks: Mocks) -> None:
    build = builds("amd64")[0]
    run(mocks, build)
    (snapshot,) = mocks.of("snapshot:Snapshot")
    assert "caph-image-name" not in snapshot.inputs["labels"]
    assert snapshot.inputs["labels"] == {**build.labels, "build_date": "20260101"}
    assert (snapshot.inputs["description"], snapshot.inputs["serverId"]) == (build.image, 42)


def test_every_command_pins_the_host_key(mocks: Mocks) -> None:
    run(mocks, builds("amd64")[0])
    for command in mocks.of("remote:Command"):
        assert SECRET in command.inputs["connection"], "the private key makes the connection a secret"
        connection = command.inputs["connection"]["value"]
        tests = ("/acceptance-tests", "/tests-after-restart", "/inventory")
        role = "verifier" if command.name.endswith(tests) else "builder"
        assert connection["hostKey"].endswith(f"-{role}-server-host_public_key")
        assert (connection["host"], connection["user"]) == ("127.1.2.3", "root")


def test_another_port_in_the_stack_file_runs_no_step_again_on_a_server_that_is_gone(mocks: Mocks) -> None:
    """A command runs again when its connection changes: that of a server stays the one that it was made with."""
    run(mocks, builds("amd64")[0])
    assert {server.inputs["ssh_port"] for server in mocks.of(":EphemeralServer")} == {2222}
    assert {command.inputs["connection"]["value"]["port"] for command in mocks.of("remote:Command")} == {2200}


def test_a_step_runs_again_on_another_server_alone(mocks: Mocks) -> None:
    run(mocks, builds("amd64")[0])
    assert all(command.inputs["triggers"] == [42] for command in mocks.of("remote:Command"))


def test_steps_are_told_of_the_mirror_and_time_limit_that_the_server_was_made_with(mocks: Mocks) -> None:
    run(mocks, builds("amd64")[0])
    for server in mocks.of(":EphemeralServer"):
        assert server.inputs["variables"] == "\n".join(
            ["MIRROR=http://127.0.0.1:1", "STEP_SECONDS=1800", "KUBELET_SECONDS=120", "CLUSTER_SECONDS=900"]
        )
    for command in mocks.of("remote:Command"):
        assert command.inputs["stdin"].startswith("MIRROR=http://m\nSTEP_SECONDS=60\n")


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("done", [True, False])
@pytest.mark.parametrize("now", [{"variables": "STEP_SECONDS=9"}, {"ssh_port": 2200}])
def test_a_server_that_has_work_to_do_takes_what_the_stack_file_says_now(
    there: bool, done: bool, now: dict[str, Any]
) -> None:
    provider = _EphemeralServerProvider()
    provider.cloud = type("Project", (), {"server_status": staticmethod(lambda _id: "off" if there else "")})()
    old = {"variables": "STEP_SECONDS=1", "ssh_port": 22, "server_id": 7, "host": ""}
    new = {**old, **now, "server_id": None, "done": done}
    difference = provider.diff("7", old, new)
    assert bool(difference.changes) == (not done)
    assert bool(difference.replaces) == (not done and not there)
    assert provider.update("7", old, new).outs == {**old, **now}


NAME = "the name of the image"


@pytest.mark.parametrize(("name", "done"), [(None, []), ("", ["builder"]), (NAME, ["builder", "verifier"])])
def test_what_the_start_of_the_program_saw_says_which_servers_have_done_their_work(
    mocks: Mocks, name: str | None, done: list[str]
) -> None:
    build = replace(builds("amd64")[0], image=NAME)
    labels = {**build.labels, **({"caph-image-name": name} if name else {})}
    made = Snapshot(7, labels, datetime(2026, 1, 1, tzinfo=UTC), available=True)

    @pulumi.runtime.test
    def program() -> Any:
        verified = name == build.image
        found = Adoption(made, built_here=True, verify=True, verified=verified) if name is not None else None
        return NodeImage(build, site(), "20260101", found=found).published.urn

    program()
    roles = [item.inputs["labels"]["role"] for item in mocks.of(":EphemeralServer") if item.inputs["done"]]
    assert sorted(roles) == done
    (published,) = mocks.of(":Published")
    assert published.inputs.get("found") == (None if name is None else {"name": name, "protected": False})


def test_other_tests_are_another_verifier_of_the_same_image(mocks: Mocks) -> None:
    build = builds("amd64")[0]
    run(mocks, replace(build, tests_digest="other"))
    digests = {
        resource.name.rpartition("-")[0].rpartition("-")[2]: resource.inputs["digest"]
        for resource in mocks.of(":EphemeralServer")
    }
    assert digests == {"builder": build.digest, "verifier": f"{build.digest}-other"}


def test_the_bill_of_materials_lies_in_the_directory_of_the_stack(mocks: Mocks) -> None:
    build = builds("amd64")[0]
    run(mocks, build)
    (file,) = mocks.of(":SbomFile")
    path = Path(file.inputs["path"])
    assert path == Path(SBOMS) / f"{build.key}.cdx.json"
    assert json.loads(path.read_text())["metadata"]["component"]["name"] == build.image
    assert file.inputs["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_verifier_boots_from_the_snapshot_and_knows_the_builder(mocks: Mocks) -> None:
    run(mocks, builds("amd64")[0])
    (server,) = [resource for resource in mocks.of(":EphemeralServer") if "verifier" in resource.name]
    assert server.inputs["image"] == "7"
    (tests,) = [resource for resource in mocks.of("remote:Command") if "acceptance" in resource.name]
    for fact in ("BUILDER_NAME", "BUILDER_MACHINE_ID=machine", "BUILDER_HOST_KEY", "BUILDER_LOGIN_KEY"):
        assert f"export {fact}" in tests.inputs["stdin"]


def test_everything_made_is_labelled(mocks: Mocks) -> None:
    run(mocks, builds("amd64")[0])
    roles = {resource.inputs["labels"]["role"] for resource in mocks.of(":EphemeralServer")}
    assert roles == {"builder", "verifier"}
    for resource in mocks.of(":EphemeralServer"):
        assert {"managed-by": "node-images", "stack": "test"}.items() <= resource.inputs["labels"].items()


def test_an_earlier_image_declares_its_snapshot_and_name_and_no_build(mocks: Mocks) -> None:
    labels = {"caph-image-name": "old-name", "architecture": "amd64"}

    @pulumi.runtime.test
    def program() -> Any:
        return EarlierImage(Snapshot(9, labels, datetime(2026, 1, 1, tzinfo=UTC), available=True)).published.urn

    program()
    assert sorted(resource.name for resource in mocks.resources) == ["old-name-amd64"] * 2 + [
        "old-name-amd64-published"
    ]
    assert mocks.of("remote:Command") == []


def adopt(mocks: Mocks, build: Build, *, verify: bool) -> AdoptedImage:
    found = Snapshot(7, dict(build.labels), datetime(2026, 1, 1, tzinfo=UTC), available=True)
    made: list[AdoptedImage] = []

    @pulumi.runtime.test
    def program() -> Any:
        made.append(AdoptedImage(build, Adoption(found, built_here=False, verify=verify), site()))
        return made[0].published.urn

    program()
    return made[0]


def test_an_adopted_image_is_published_under_the_names_of_a_built_one_and_builds_nothing(mocks: Mocks) -> None:
    build = builds("amd64")[0]
    adopt(mocks, build, verify=False)
    assert sorted(resource.name for resource in mocks.resources) == [build.key] * 2 + [f"{build.key}-published"]
    (published,) = mocks.of(":Published")
    assert published.inputs["snapshot_id"] == 7


def test_an_adopted_image_without_a_name_passes_its_tests_first(mocks: Mocks) -> None:
    build = builds("amd64")[0]
    adopt(mocks, build, verify=True)
    names = {resource.name.rpartition("/")[2] for resource in mocks.of("remote:Command")}
    assert names == {"acceptance-tests", "tests-after-restart"}
    (server,) = mocks.of(":EphemeralServer")
    assert (server.inputs["image"], server.inputs["labels"]["role"]) == ("7", "verifier")
    (tests,) = [item for item in mocks.of("remote:Command") if "acceptance" in item.name]
    assert f"export BUILDER_NAME={build.server_name}-builder" in tests.inputs["stdin"]


def test_ssh_comes_in_only_from_where_the_stack_file_says(mocks: Mocks) -> None:
    run(mocks, builds("amd64")[0])
    assert [server.inputs["ssh_from"] for server in mocks.of(":EphemeralServer")] == [["203.0.113.7/32"]] * 2


def test_a_tarball_is_packed_on_a_server_of_the_published_snapshot(mocks: Mocks) -> None:
    build = builds("amd64", forms=["snapshot", "tarball"])[0]
    image = run(mocks, build)
    (tarball,), (file,) = mocks.of(":Tarball"), mocks.of(":TarballFile")
    assert tarball.name == f"{build.key}/tarball"
    assert tarball.inputs["image"] == "7"
    assert tarball.inputs["labels"] == {**build.server_labels, "role": "archiver"}
    assert build.tarball
    assert tarball.inputs["path"] == file.inputs["path"] == build.tarball.path
    assert image.finished is image.tarball.tarball, "the next build of the lane waits for its server, too"


def test_nothing_is_packed_unless_asked_for(mocks: Mocks) -> None:
    image = run(mocks, builds("amd64")[0])
    assert mocks.of(":Tarball") == mocks.of(":TarballFile") == []
    assert image.finished is image.published


def test_an_earlier_image_keeps_its_tarball(mocks: Mocks) -> None:
    labels = {"caph-image-name": "debian-13-kube-1.36.4-old", "architecture": "amd64", "os": "debian-13"}

    @pulumi.runtime.test
    def program() -> Any:
        earlier = Snapshot(9, labels, datetime(2026, 1, 1, tzinfo=UTC), available=True)
        return EarlierImage(earlier, Tarballs("tarballs/test", load_catalog())).published.urn

    program()
    (file,) = mocks.of(":TarballFile")
    assert file.name == "debian-13-kube-1.36.4-old-amd64-tarball-file"
    assert file.inputs["path"] == "tarballs/test/Debian-1300-trixie-amd64-kube-1.36.4-old.tar.gz"
