"""What the servers of `make cluster` are told; kubeadm itself says whether it takes it."""

import json
import subprocess
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from mirror import ensure
from recipe import load_catalog, load_lock
from recipe.render import artifacts_of
from tests.cluster.programs import program
from tools.cluster import __main__ as cluster
from tools.cluster.bootstrap import CONTROL_PLANE as FIRST
from tools.cluster.bootstrap import KEPT_SUCCESS, OWN_ADDRESS, PODS, SUCCESS, control_plane, tunnel, worker
from tools.cluster.bootstrap import WORKER as SECOND

VERSION = "1.36.4"
HASH = f"sha256:{'a' * 64}"


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
        fill, call = yaml.safe_load(user_data)["runcmd"]
        assert OWN_ADDRESS in fill
        assert call.startswith("kubeadm ")


def test_files_and_commands_of_a_spec_stand_where_cluster_api_puts_them() -> None:
    spec = {
        "files": [{"path": "/a", "content": "b"}],
        "preKubeadmCommands": ["before", "and then"],
        "postKubeadmCommands": ["after"],
    }
    user_data = control_plane(FIRST, VERSION, cluster.emulated(), spec)
    assert files(user_data)["/a"] == "b"
    assert files(user_data).keys() - {"/a"} == files(both()[0]).keys()
    _, *before, call, after = yaml.safe_load(user_data)["runcmd"]
    assert (before, call.split()[:2], after) == (["before", "and then"], ["kubeadm", "init"], "after")


def test_the_nodes_share_no_address_of_pods() -> None:
    plugins = [json.loads(files(text)["/etc/cni/net.d/10-cluster.conflist"])["plugins"][0] for text in both()]
    first, second = (ip_network(plugin["ipam"]["ranges"][0][0]["subnet"]) for plugin in plugins)
    assert not first.overlaps(second)
    assert f" {second} 198.51.100.8\n" in tunnel(FIRST, SECOND, "198.51.100.8")
    assert f" {first} 198.51.100.7\n" in tunnel(SECOND, FIRST, "198.51.100.7")


def test_the_pod_network_of_kubeadm_is_that_of_the_nodes() -> None:
    (document,) = [one for one in configuration(both()[0]) if one["kind"] == "ClusterConfiguration"]
    assert document["networking"]["podSubnet"] == str(PODS)


@pytest.mark.parametrize("ends_well", [True, False])
def test_the_end_of_kubeadm_is_marked_where_it_outlives_a_boot(tmp_path: Path, ends_well: bool) -> None:
    marks = {path: tmp_path / Path(path).name for path in (SUCCESS, KEPT_SUCCESS)}
    call = yaml.safe_load(both()[0])["runcmd"][-1]
    for path, here in marks.items():
        call = call.replace(path, str(here))
    program(tmp_path / "kubeadm", f"exit {0 if ends_well else 1}")
    subprocess.run(["sh", "-c", call], env={"PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert [mark.exists() for mark in marks.values()] == [ends_well, ends_well]
    assert not KEPT_SUCCESS.startswith("/run/")


def test_what_a_boot_takes_from_the_pod_network_is_set_up_again_and_never_twice(tmp_path: Path) -> None:
    program(tmp_path / "ip", "")
    rules = tmp_path / "rules"
    rules.touch()
    text = f'how=$3; shift 3; if [ $how = -A ]; then echo "$*" >>{rules}; else grep -qFxe "$*" {rules}; fi'
    program(tmp_path / "iptables", text)
    for _ in range(2):
        shell = ["sh", "-c", tunnel(FIRST, SECOND, "198.51.100.8")]
        subprocess.run(shell, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=True)
    assert rules.read_text() == f"POSTROUTING -s {FIRST.pods} ! -d {PODS} -j MASQUERADE\n"
