"""`make cluster` before it makes anything, and what it says where something is wrong."""

import json
from pathlib import Path

import pytest
import requests
import yaml
from hcloud import APIException

from mirror import MirrorError
from tests.exports import image
from tools.cluster import __main__ as cluster
from tools.cluster.bootstrap import CONTROL_PLANE, WORKER
from tools.cluster.kubectl import pods
from tools.cluster.stack import STACK_FILE, settings
from tools.cluster.waiting import ClusterError

GB = 2**30


def test_a_machine_without_room_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MEMORY", 10**6 * GB)
    monkeypatch.setattr(cluster, "DISK", 10**6 * GB)
    monkeypatch.setattr(cluster, "run", lambda *_arguments, **_options: pytest.fail("something was made"))
    with pytest.raises(ClusterError, match=r"GB of memory; .* GB free"):
        cluster.make_cluster()


def test_a_machine_that_is_sold_with_9_gb_has_room() -> None:
    assert cluster.lacking(int(8.6 * GB), 15 * GB) == []
    assert len(cluster.lacking(8 * GB, 15 * GB - 1)) == 2


def test_the_stack_files_of_this_checkout_name_one_sandbox() -> None:
    assert (
        settings().kubernetes
        == yaml.safe_load(STACK_FILE.read_text())["config"]["node-images:images"][0]["kubernetes"][0]
    )


def changed(folder: Path, old: str, new: str) -> Path:
    file = folder / STACK_FILE.name
    text = STACK_FILE.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    return file


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ("sshPort: 2222", "sshPort: 2223", "node-images:sshPort"),
        ("mirror: http://127.0.0.1:8788", "mirror: http://127.0.0.1:9788", "node-images:artifacts"),
        ("127.0.0.1:8787", "127.0.0.1:9787", "hcloud:endpoint"),
    ],
)
def test_ports_that_are_not_the_sandboxs_are_told(tmp_path: Path, old: str, new: str, key: str) -> None:
    file = changed(tmp_path, old, new)
    with pytest.raises(ClusterError, match=f"{file} and .*Pulumi.sandbox.yaml name different places: {key}. Both"):
        settings(file)


def test_a_stack_file_without_its_keys_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="needs hcloud:endpoint"):
        settings(changed(tmp_path, "node-images:images", "node-images:pictures"))


@pytest.mark.parametrize("text", ["", "config", "other: {}", "config: {", "config: 1"])
def test_a_file_that_is_no_stack_file_is_told(tmp_path: Path, text: str) -> None:
    file = tmp_path / "Pulumi.cluster.yaml"
    file.write_text(text)
    with pytest.raises(ClusterError, match=f"{file} cannot be read as a stack file: .*`git diff stacks`"):
        settings(file)


def test_a_stack_file_that_is_gone_is_told(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="No such file"):
        settings(tmp_path / "Pulumi.cluster.yaml")


@pytest.mark.parametrize("images", ["", "[]", "{}", "null", '[{"snapshots": {}}]', '[{"snapshots": {"amd64": null}}]'])
def test_an_output_without_a_snapshot_is_told(images: str) -> None:
    with pytest.raises(ClusterError, match="exports no snapshot for amd64"):
        cluster.snapshot_of(images)


def test_the_output_names_the_snapshot() -> None:
    assert cluster.snapshot_of(json.dumps([image(snapshots={"amd64": 1795633113})])) == 1795633113


@pytest.mark.parametrize(
    "problem",
    [
        ClusterError("the reason"),
        MirrorError("the reason"),
        APIException("unavailable", "the reason", None),
        requests.ConnectionError("the reason"),
    ],
)
def test_what_goes_wrong_is_told_without_a_traceback(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], problem: Exception
) -> None:
    def fail() -> None:
        raise problem

    monkeypatch.setattr(cluster, "make_cluster", fail)
    assert cluster.main() == 1
    told = capsys.readouterr().err
    assert told.startswith("error: ")
    assert "the reason" in told


def test_the_pods_run_on_both_nodes_from_an_image_that_is_on_them() -> None:
    service, *both = yaml.safe_load_all(pods(CONTROL_PLANE, WORKER))
    assert [(pod["metadata"]["name"], pod["spec"]["nodeName"]) for pod in both] == [
        ("web", WORKER.name),
        ("client", CONTROL_PLANE.name),
    ]
    assert service["spec"]["selector"] == both[0]["metadata"]["labels"]
    images = {container["image"] for pod in both for container in pod["spec"]["containers"]}
    assert images == set(yaml.safe_load(STACK_FILE.read_text())["config"]["node-images:node"]["extraImages"])
