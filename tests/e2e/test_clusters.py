"""From image to cluster: whatever an `up` does, the names that clusters hold resolve, and a new image rolls through.

Real machines with a small recipe. CAPH and kubectl are played: the one by the look-up that it makes, the other by a script that
keeps what it is given. The tests tell one story in their order.
"""

import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import yaml
from hcloud import Client
from hcloud.images import BoundImage
from hcloud.server_types import ServerType

from images.exports import Exports, json_schema
from tests.e2e.workspace import Workspace

VERSION = "1.36.4"
KEY = f"debian-13/{VERSION}"
PATIENT = 3000
"""Polls of an action, ten a second."""

KUBECTL = """#!/usr/bin/env python3
import json, os, pathlib, sys
objects = pathlib.Path(os.environ["KUBECONFIG"]).parent / "objects"
if sys.argv[1] == "apply":
    given = json.load(sys.stdin)
    objects.mkdir(exist_ok=True)
    (objects / f"{given['kind']} {given['metadata']['name']}").write_text(json.dumps(given))
else:
    (objects / " ".join(sys.argv[-2:])).unlink()
"""


@dataclass(frozen=True)
class Caph:
    """Cluster API Provider Hetzner, as far as it looks for images and makes servers."""

    client: Client

    def image(self, name: str, architecture: str = "x86") -> BoundImage:
        """By label and architecture, whatever the status; none or more than one is an error."""
        found = self.client.images.get_all(label_selector=f"caph-image-name=={name}", architecture=[architecture])
        assert len(found) == 1, f"{name}: {[image.id for image in found]}"
        return found[0]

    def make_machine(self, name: str, template: dict[str, Any]) -> None:
        spec = template["spec"]["template"]["spec"]
        image = self.image(spec["imageName"])
        server_type = ServerType(spec["type"])
        made = self.client.servers.create(name=name, server_type=server_type, image=image, start_after_create=False)
        made.action.wait_until_finished(PATIENT)

    def delete_machine(self, name: str) -> None:
        self.client.servers.get_by_name(name).delete().wait_until_finished(PATIENT)


@dataclass
class Watch:
    """Looks, as often as it can, at what a cluster would find in that moment."""

    client: Client
    held: set[str]
    verified: set[int]
    looks: int = 0
    names: set[str] = field(default_factory=set)
    wrong: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Watch":
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(0.03):
            try:
                self._look()
            except Exception as error:
                self.wrong.add(repr(error))

    def _look(self) -> None:
        verifiers = self.client.servers.get_all(label_selector="role=verifier")
        self.verified |= {server.image.id for server in verifiers if server.image}
        published = self.client.images.get_all(label_selector="caph-image-name")
        found = Counter((image.labels["caph-image-name"], image.architecture) for image in published)
        self.looks += 1
        self.names |= {name for name, _ in found}
        self.wrong |= {f"{name} is found {count} times" for (name, _), count in found.items() if count > 1}
        self.wrong |= {f"{name} is not found" for name in self.held if (name, "x86") not in found}
        self.wrong |= {f"{image.id} is {image.status}" for image in published if image.status != "available"}
        self.wrong |= {f"{image.id} is untested" for image in published if image.id not in self.verified}


@dataclass(frozen=True)
class ClusterCode:
    """A copy of the example outside of the repository, as users have it, and the management cluster that it applies to."""

    images: Workspace
    folder: Path

    def pulumi(self, *arguments: str) -> Any:
        path = f"{self.folder}/bin:{self.images.environment().get('PATH')}"
        settings = ["env", f"PATH={path}", "PULUMI_CONFIG_PASSPHRASE=x", "PULUMI_STACK=prod"]
        return self.images.run(
            *settings, "./pulumiw", "-C", str(self.folder / "cluster"), *arguments, "--non-interactive"
        )

    def settle(self) -> dict[str, Any]:
        result = self.pulumi("up", "--yes", "--skip-preview")
        assert result.returncode == 0, result.stdout + result.stderr
        return json.loads(self.pulumi("stack", "output", "--json").stdout)

    def refused(self, **settings: str) -> str:
        """What `preview` says with these settings, which must not be more than words. They stay for what comes after."""
        options = [part for key, value in settings.items() for part in ("--config", f"{key.replace('_', '-')}={value}")]
        result = self.pulumi("preview", *options)
        assert result.returncode != 0
        assert "Traceback" not in result.stdout + result.stderr, result.stdout + result.stderr
        return result.stdout + result.stderr

    def objects(self, kind: str) -> dict[str, dict[str, Any]]:
        files = (self.folder / "objects").glob(f"{kind} *")
        return {file.name.partition(" ")[2]: json.loads(file.read_text()) for file in files}

    def workers_template(self) -> dict[str, Any]:
        (deployment,) = self.objects("MachineDeployment").values()
        return self.objects("HCloudMachineTemplate")[
            deployment["spec"]["template"]["spec"]["infrastructureRef"]["name"]
        ]

    def template_images(self) -> set[str]:
        return {
            item["spec"]["template"]["spec"]["imageName"] for item in self.objects("HCloudMachineTemplate").values()
        }


@pytest.fixture(scope="module", autouse=True)
def built(small: Workspace) -> None:
    small.declare(VERSION)
    small.settle()


@pytest.fixture(scope="module")
def caph(small: Workspace) -> Caph:
    return Caph(small.client)


@pytest.fixture(scope="module")
def cluster(small: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClusterCode]:
    folder = tmp_path_factory.mktemp("cluster code")
    copied = small.run("cp", "--recursive", "examples/cluster", str(folder / "cluster"))
    assert copied.returncode == 0, copied.stderr
    (folder / "bin").mkdir()
    kubectl = folder / "bin" / "kubectl"
    kubectl.write_text(KUBECTL)
    kubectl.chmod(0o755)
    code = ClusterCode(small, folder)
    for arguments in (["stack", "init", "prod"], ["config", "set", "kubeconfig", str(folder / "kubeconfig")]):
        result = code.pulumi(*arguments)
        assert result.returncode == 0, result.stderr
    yield code


@pytest.fixture(scope="module")
def first(small: Workspace) -> str:
    return small.output("snapshots")[KEY]


def test_exports_follow_the_schema_and_hold_nothing_undescribed(small: Workspace) -> None:
    document = json.loads(small.pulumi("stack", "output", "--json").stdout)
    jsonschema.validate(document, json_schema())
    described = Exports.model_validate(document).model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert described.keys() == document.keys()
    assert described["images"][0].keys() == document["images"][0].keys()


def test_cluster_code_applies_the_image_of_the_stack(
    small: Workspace, cluster: ClusterCode, caph: Caph, first: str
) -> None:
    outputs = cluster.settle()
    assert outputs["image"] == first
    assert {item["kind"] for item in yaml.safe_load_all(outputs["manifests"])} == {
        "HCloudMachineTemplate",
        "KubeadmControlPlane",
        "MachineDeployment",
    }
    assert outputs["rollover"] == [f"new machines boot {first}"]
    assert cluster.template_images() == {first}
    caph.make_machine("worker-1", cluster.workers_template())
    assert caph.client.servers.get_by_name("worker-1").image.id == small.snapshots()[first]


def test_the_command_writes_what_cluster_code_applied(small: Workspace, cluster: ClusterCode) -> None:
    machines = ["--cluster", "example", "--control-plane", "cx33", "--workers", "workers=cx33:3"]
    result = small.run("./node-images", "manifests", *machines)
    assert result.returncode == 0, result.stderr
    written = list(yaml.safe_load_all(result.stdout))
    applied = [item for kind in {item["kind"] for item in written} for item in cluster.objects(kind).values()]
    assert sorted(written, key=str) == sorted(applied, key=str)


def test_the_names_go_through_a_pipe(small: Workspace, first: str) -> None:
    pipe = "./pulumiw stack output --json --stack sandbox | ./node-images manifests --exports - --format env"
    assert small.run("bash", "-c", pipe).stdout == f"NODE_IMAGE_DEBIAN_13_1_36_4={first}\n"


def test_names_resolve_while_an_up_replaces_an_image(small: Workspace, caph: Caph, first: str) -> None:
    small.append("recipe/steps/50-marker.sh", 'say "one more line"\n')
    assert caph.image(first).status == "available"
    with Watch(small.client, {first}, {small.snapshots()[first]}) as watch:
        small.settle()
    second = small.output("snapshots")[KEY]
    assert watch.wrong == set()
    assert watch.names == {first, second}
    assert watch.looks > 50
    for name in (first, second):
        assert caph.image(name).status == "available"


def test_the_kept_image_is_exported_with_the_servers_that_run_from_it(small: Workspace, first: str) -> None:
    document = json.loads(small.pulumi("stack", "output", "--json").stdout)
    jsonschema.validate(document, json_schema())
    (kept,) = document["earlier"]
    assert (kept["name"], kept["servers"]) == (first, ["worker-1"])
    assert kept["snapshots"] == {"amd64": small.snapshots()[first]}
    assert document["images"][0]["generations"] == [first]


def test_new_machines_boot_the_new_image_and_the_old_template_stays(
    small: Workspace, cluster: ClusterCode, caph: Caph, first: str
) -> None:
    second = small.output("snapshots")[KEY]
    outputs = cluster.settle()
    assert outputs["rollover"] == [
        f"new machines boot {second}",
        f"1 server runs from {first}, which stays until they are gone: worker-1",
    ]
    assert cluster.template_images() == {first, second}
    assert cluster.workers_template()["spec"]["template"]["spec"]["imageName"] == second
    caph.make_machine("worker-2", cluster.workers_template())


def test_the_catalogue_shows_what_runs_where(small: Workspace, first: str) -> None:
    result = small.run("./node-images", "catalogue")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    text = (small.root / "catalogue" / "index.html").read_text()
    for part in (first, small.output("snapshots")[KEY], "worker-1", "worker-2", "EUR a month", "1 of 1 test passed"):
        assert part in text
    (sbom,) = (small.root / "catalogue" / "sboms").iterdir()
    assert f'href="sboms/{sbom.name}"' in text


def test_an_image_that_a_server_runs_from_outlives_its_generations(small: Workspace, first: str) -> None:
    small.configure(keepGenerations=0)
    small.settle()
    assert first in small.snapshots()


def test_the_old_image_and_its_templates_go_after_the_last_machine(
    small: Workspace, cluster: ClusterCode, caph: Caph, first: str
) -> None:
    second = small.output("snapshots")[KEY]
    caph.delete_machine("worker-1")
    small.settle()
    assert set(small.snapshots()) == {second}
    outputs = cluster.settle()
    assert outputs["rollover"] == [f"new machines boot {second}"]
    assert cluster.template_images() == {second}
    caph.delete_machine("worker-2")


def test_the_watch_would_see_what_clusters_trip_over() -> None:
    images = [
        SimpleNamespace(id=number, labels={"caph-image-name": name}, architecture="x86", status=status)
        for number, name, status in [(1, "a", "available"), (2, "a", "creating"), (3, "b", "available")]
    ]
    client: Any = SimpleNamespace(
        servers=SimpleNamespace(get_all=lambda **_: [SimpleNamespace(image=images[0])]),
        images=SimpleNamespace(get_all=lambda **_: images),
    )
    with Watch(client, {"a", "c"}, {2}) as watch:
        while not watch.looks:
            time.sleep(0.01)
    assert watch.wrong == {"a is found 2 times", "2 is creating", "3 is untested", "c is not found"}


def test_bare_metal_without_a_tarball_is_refused(cluster: ClusterCode) -> None:
    workers = json.dumps([{"name": "metal", "type": "bare-metal"}])
    text = cluster.refused(workers=workers, tarballs_url="https://images.example.com")
    assert "has no tarball of amd64" in text
    assert "node-images:forms: [snapshot, tarball]" in text


def test_a_version_that_the_stack_does_not_keep_is_refused_with_those_it_has(cluster: ClusterCode) -> None:
    text = cluster.refused(kubernetes="1.33")
    assert "keeps no image of debian-13 with Kubernetes 1.33" in text
    assert f"it has {KEY}" in text


def test_a_stack_that_does_not_exist_is_told_in_words(small: Workspace, cluster: ClusterCode) -> None:
    assert "nowhere" in cluster.refused(images_stack="organization/node-images/nowhere")
    for command in ("manifests", "catalogue"):
        result = small.run("./node-images", command, "--stack", "nowhere")
        assert result.returncode == 1
        assert "--stack = nowhere" in result.stderr
        assert "Traceback" not in result.stderr


def test_without_the_api_the_catalogue_comes_from_the_exports(small: Workspace) -> None:
    assert small.run("make", "sandbox-stop").returncode == 0
    result = small.run("./node-images", "catalogue")
    assert result.returncode == 0, result.stderr
    assert "without prices" in result.stderr
    assert "Traceback" not in result.stderr
    assert small.output("snapshots")[KEY] in (small.root / "catalogue" / "index.html").read_text()
