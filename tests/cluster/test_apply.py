"""What kubectl and an API server with the definitions of the releases make of the manifests."""

import base64
import json
import re
import shlex
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from cli.__main__ import app
from tests.cluster.management import Management, management
from tests.exports import exports, image, tarball

OURS = ("apply", "--server-side", "--force-conflicts", "--field-manager=node-images", "--filename=-")
BY_THE_CLIENT = ("apply", "--filename=-")
MACHINES = ("--cluster", "prod", "--control-plane", "cpx32", "--workers", "workers=cx33:3")
METAL = ("--workers", "metal=bare-metal:2", "--url", "https://images.example.com/nodes")
KUBEADM = {"preKubeadmCommands": ["true"], "initConfiguration": {"nodeRegistration": {"name": "a"}}}

APIS, FORMATS = ("v1beta1", "v1beta2"), ("yaml", "json")
NUMBERS = count()
pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Management]:
    with management(tmp_path_factory.mktemp("management")) as found:
        yield found


@pytest.fixture(scope="module", params=APIS)
def api(started: Management, request: pytest.FixtureRequest) -> str:
    started.define(request.param)
    return str(request.param)


@pytest.fixture
def server(started: Management, api: str) -> Management:
    assert api in APIS
    return started


@pytest.fixture
def namespace(server: Management) -> str:
    return server.namespace(f"test-{next(NUMBERS)}")


def written(namespace: str, *arguments: str, digest: str = "0a1b2c3d") -> str:
    packed = image(digest=digest)
    stack = json.dumps(exports(packed | tarball(packed)))
    options = ["manifests", "--exports", "-", *MACHINES, "--namespace", namespace, *arguments]
    result = CliRunner().invoke(app, options, input=stack)
    assert result.exit_code == 0, result.output
    return result.stdout


def control_plane(server: Management, namespace: str) -> dict[str, Any]:
    resource = "kubeadmcontrolplane/prod-control-plane"
    return json.loads(server.must("get", resource, f"--namespace={namespace}", "--output=json"))["spec"]


def template_of(spec: dict[str, Any]) -> str:
    machine = spec["machineTemplate"]
    return machine.get("spec", machine)["infrastructureRef"]["name"]


def own_control_plane(namespace: str, api: str) -> str:
    """As people have it: with kubeadm's configuration, an older version and another template."""
    documents = yaml.safe_load_all(written(namespace, "--api", api, digest="f0e1d2c3"))
    (own,) = [item for item in documents if item["kind"] == "KubeadmControlPlane"]
    del own["metadata"]["annotations"]
    own["spec"] |= {"version": "v1.35.8", "kubeadmConfigSpec": KUBEADM}
    return json.dumps(own)


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("way", [OURS, BY_THE_CLIENT], ids=["server-side", "by the client"])
def test_every_format_is_taken_where_nothing_is(
    server: Management, namespace: str, api: str, form: str, way: Any
) -> None:
    server.must(*way, given=written(namespace, "--api", api, "--format", form, *METAL))
    spec = control_plane(server, namespace)
    assert spec["version"] == "v1.36.4"
    kinds = "hcloudmachinetemplates,hetznerbaremetalmachinetemplates,machinedeployments"
    assert len(server.must("get", kinds, f"--namespace={namespace}", "--output=name").split()) == 5


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("made", [("create", "--filename=-"), BY_THE_CLIENT], ids=["created", "applied by the client"])
def test_a_control_plane_that_is_there_keeps_its_configuration(
    server: Management, namespace: str, api: str, form: str, made: Any
) -> None:
    server.must(*made, given=own_control_plane(namespace, api))
    for _ in range(2):
        server.must(*OURS, given=written(namespace, "--api", api, "--format", form))
    spec = control_plane(server, namespace)
    assert (spec["version"], spec["kubeadmConfigSpec"]) == ("v1.36.4", KUBEADM)
    assert "0a1b2c3d" in template_of(spec)


@pytest.mark.parametrize("form", FORMATS)
def test_a_new_cluster_is_made_once_and_then_rolled(server: Management, namespace: str, api: str, form: str) -> None:
    options = ("--api", api, "--format", form, *METAL)
    start = written(namespace, *options, "--new-cluster", "nbg1", digest="f0e1d2c3")
    made = server.must("create", "--filename=-", given=start)
    for kind in ("hetznercluster", "cluster", "kubeadmcontrolplane", "kubeadmconfigtemplate", "machinedeployment"):
        assert f"{kind}." in made
    before = control_plane(server, namespace)
    server.must(*OURS, given=written(namespace, *options))
    after = control_plane(server, namespace)
    assert after["kubeadmConfigSpec"] == before["kubeadmConfigSpec"] != {}
    assert "f0e1d2c3" in template_of(before)
    assert "0a1b2c3d" in template_of(after)


def test_workers_keep_what_people_added_to_them(server: Management, namespace: str, api: str) -> None:
    documents = yaml.safe_load_all(written(namespace, "--api", api, digest="f0e1d2c3"))
    (workers,) = [item for item in documents if item["kind"] == "MachineDeployment"]
    del workers["metadata"]["annotations"]
    workers["spec"]["template"]["spec"]["failureDomain"] = "fsn1"
    server.must(*BY_THE_CLIENT, given=json.dumps(workers))
    server.must(*OURS, given=written(namespace, "--api", api))
    found = json.loads(
        server.must("get", "machinedeployment/prod-workers", f"--namespace={namespace}", "--output=json")
    )
    assert found["spec"]["template"]["spec"]["failureDomain"] == "fsn1"
    assert found["spec"]["template"]["spec"]["version"] == "v1.36.4"


def test_the_documented_commands_are_those_that_are_tried(server: Management, namespace: str) -> None:
    page = Path("docs/clusters.md").read_text()
    commands = re.findall(r"^ *kubectl (.*)$", page, re.MULTILINE)
    piped = [command for command in commands if command.endswith("--filename=-")]
    assert [command.split() for command in piped] == [[*OURS], ["create", "--filename=-"]]
    for command in [command for command in commands if command not in piped]:
        words = shlex.split(command.replace("$HCLOUD_TOKEN", "t" * 64))
        server.must(*words, f"--namespace={namespace}")
    secret = json.loads(server.must("get", "secret", "hcloud", f"--namespace={namespace}", "--output=json"))
    assert base64.b64decode(secret["data"]["hcloud"]) == b"t" * 64
    assert secret["metadata"]["labels"] == {"clusterctl.cluster.x-k8s.io/move": ""}


def test_what_no_release_serves_would_be_refused(server: Management, namespace: str) -> None:
    text = written(namespace).replace(
        "infrastructure.cluster.x-k8s.io/v1beta1", "infrastructure.cluster.x-k8s.io/v1beta2"
    )
    refused = server.kubectl(*OURS, given=text)
    assert refused.returncode == 1
    assert 'no matches for kind "HCloudMachineTemplate"' in refused.stderr


def test_a_field_that_no_release_has_would_be_refused(server: Management, namespace: str) -> None:
    refused = server.kubectl(*OURS, given=written(namespace).replace("imageName:", "imageNames:"))
    assert refused.returncode == 1
    assert ".spec.template.spec.imageNames: field not declared in schema" in refused.stderr
