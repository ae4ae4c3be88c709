"""What the servers of `make cluster` are told; kubeadm itself says whether it takes it."""

import json
import subprocess
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe import load_catalog, load_lock
from recipe.render import artifacts_of
from tools.cluster import __main__ as cluster
from tools.cluster.bootstrap import OWN_ADDRESS, control_plane, tunnel, worker
from tools.mirror import ensure

VERSION = "1.36.4"
HASH = f"sha256:{'a' * 64}"
FIRST, SECOND = cluster.CONTROL_PLANE, cluster.WORKER


@pytest.fixture(scope="session")
def kubeadm() -> Path:
    artifacts = artifacts_of(load_catalog(), load_lock(), VERSION, "amd64")
    (url,) = [artifact.url for artifact in artifacts if artifact.name == "kubeadm"]
    (kept,) = ensure([url])
    kept.path.chmod(0o755)
    return kept.path


def files(user_data: str) -> dict[str, str]:
    return {file["path"]: file["content"] for file in yaml.safe_load(user_data)["write_files"]}


def configuration(user_data: str) -> list[dict[str, Any]]:
    (text,) = [text for path, text in files(user_data).items() if path.startswith("/run/kubeadm/")]
    return list(yaml.safe_load_all(text))


def both() -> list[str]:
    first = control_plane(FIRST, VERSION, cluster.emulated())
    return [first, worker(SECOND, "198.51.100.7", HASH, cluster.emulated())]


@pytest.mark.parametrize("number", [0, 1])
def test_kubeadm_takes_the_configuration(kubeadm: Path, tmp_path: Path, number: int) -> None:
    text = yaml.safe_dump_all(configuration(both()[number])).replace(OWN_ADDRESS, "198.51.100.8")
    (tmp_path / "kubeadm.yaml").write_text(text)
    command = [str(kubeadm), "config", "validate", "--config", str(tmp_path / "kubeadm.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr


def test_kubeadm_refuses_what_is_none(kubeadm: Path, tmp_path: Path) -> None:
    (tmp_path / "kubeadm.yaml").write_text(
        yaml.safe_dump_all(configuration(both()[0])).replace("podSubnet", "podSubmet")
    )
    command = [str(kubeadm), "config", "validate", "--config", str(tmp_path / "kubeadm.yaml")]
    assert subprocess.run(command, capture_output=True).returncode != 0


def test_the_servers_own_address_is_filled_in_before_kubeadm_runs() -> None:
    for user_data in both():
        assert OWN_ADDRESS in json.dumps(configuration(user_data))
        fill, _, call = yaml.safe_load(user_data)["runcmd"]
        assert OWN_ADDRESS in fill
        assert call.startswith("kubeadm ")


def test_the_nodes_share_no_address_of_pods() -> None:
    plugins = [json.loads(files(text)["/etc/cni/net.d/10-cluster.conflist"])["plugins"][0] for text in both()]
    first, second = (ip_network(plugin["ipam"]["ranges"][0][0]["subnet"]) for plugin in plugins)
    assert not first.overlaps(second)
    assert f"ip route add {second}" in tunnel(FIRST, SECOND, "198.51.100.8")
    assert f"ip route add {first}" in tunnel(SECOND, FIRST, "198.51.100.7")


def test_a_machine_without_room_is_told_before_anything_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster, "MEMORY_GB", 10**6)
    monkeypatch.setattr(cluster, "DISK_GB", 10**6)
    monkeypatch.setattr(cluster, "run", lambda *_arguments, **_options: pytest.fail("something was made"))
    with pytest.raises(cluster.ClusterError, match=r"GB of memory; .* GB free"):
        cluster.make_cluster()


def test_both_stack_files_of_this_machine_name_the_same_ports() -> None:
    names = ("hcloud:endpoint", "hcloud:token", "node-images:sshPort", "node-images:artifacts")
    files = [Path(f"stacks/Pulumi.{stack}.yaml") for stack in ("sandbox", "cluster")]
    first, second = ([yaml.safe_load(file.read_text())["config"][name] for name in names] for file in files)
    assert first == second
