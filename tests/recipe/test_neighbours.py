"""What other projects ask of a node: rendered where it belongs, and asked for by tests that can fail."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from recipe import Node, load_catalog, load_lock, render
from recipe.defaults import load_defaults
from recipe.options import NodeOptions
from recipe.render import acceptance_tests
from tests.cluster.programs import program

CATALOG, LOCK = load_catalog(), load_lock()


def asked(os: str, options: NodeOptions | None = None) -> dict[str, Any]:
    node = Node(os, "1.36.4", "amd64", options or NodeOptions())
    return dict(acceptance_tests(CATALOG, LOCK, node, "booted")["command"])


def step(os: str, name: str, options: NodeOptions | None = None) -> str:
    node = Node(os, "1.36.4", "amd64", options or NodeOptions())
    return next(item.text for item in render(CATALOG, LOCK, node).steps if item.name == name)


def passes(test: dict[str, Any], folder: Path) -> bool:
    environment = {"PATH": f"{folder}:/usr/bin:/bin"}
    return subprocess.run(["bash", "-c", test["exec"]], env=environment, capture_output=True).returncode == 0


def options(**sysctls: str) -> NodeOptions:
    return NodeOptions.model_validate({"sysctls": sysctls}, context={"folder": Path()})


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("net.netfilter.nf_conntrack_tcp_timeout_established", None),
        ("net.ipv4.vs.conn_reuse_mode", "ip_vs"),
        ("net/ipv4/vs/conn_reuse_mode", "ip_vs"),
        ("net.sctp.max_burst", "sctp"),
        ("net.core.somaxconn", None),
    ],
)
def test_a_setting_brings_the_module_that_it_needs(name: str, module: str | None) -> None:
    """`nf_conntrack` is loaded on every node."""
    wanted = options(**{name: "1"})
    loaded = {"nf_conntrack", *([module] if module else [])}
    assert loaded <= {item.split()[1] for item in asked("debian-13", wanted) if item.endswith(" is loaded")}
    assert f"MODULES={module or chr(39) * 2}\n" in step("debian-13", "kernel", wanted)


def test_modules_are_told_once() -> None:
    assert load_defaults().modules_for(["net.ipv4.vs.a", "net.ipv4.vs.b", "net.bridge.c"]) == ["ip_vs"]


def test_network_manager_is_told_what_belongs_to_pods(tmp_path: Path) -> None:
    rocky = asked("rocky-10")
    (tmp_path / "etc").mkdir()
    written = step("rocky-10", "network").split("POD_INTERFACES='")[1].partition("'")[0]
    for name in ("cali*", "cilium_*", "vxlan.calico", "flannel*", "kube-ipvs0"):
        item = rocky[f"NetworkManager leaves {name} alone"]
        program(tmp_path / "NetworkManager", f"printf '[keyfile]\\nunmanaged-devices=%s\\n' '{written}'")
        assert passes(item, tmp_path)
        program(tmp_path / "NetworkManager", "printf '[keyfile]\\nunmanaged-devices=interface-name:other\\n'")
        assert not passes(item, tmp_path)
    assert not [name for name in asked("debian-13") if name.startswith("NetworkManager")]


def test_the_modules_of_iptables_are_asked_of_the_kernel_that_boots_next(tmp_path: Path) -> None:
    item = asked("rocky-10")["module nft_compat is there for the newest kernel"]
    program(
        tmp_path / "rpm",
        "printf 'kernel-core-6.12.0-211.34.1.el10.x86_64  Mon\\nkernel-core-6.12.0-55.el10.x86_64  Sun\\n'",
    )
    program(tmp_path / "modinfo", '[ "$*" = "--set-version 6.12.0-211.34.1.el10.x86_64 nft_compat" ]')
    assert passes(item, tmp_path)
    program(tmp_path / "modinfo", "exit 1")
    assert not passes(item, tmp_path)


@pytest.mark.parametrize("os", list(CATALOG.operating_systems))
def test_what_longhorn_and_cilium_ask_for_is_on_every_system(os: str) -> None:
    assert {"cryptsetup-bin", "cryptsetup"} & set(CATALOG.packages_of(os))
    assert "net.ipv4.conf.cilium_*.rp_filter = 0" in step(os, "kernel")
    assert "ManageForeignNextHops=no" in step(os, "network")
    assert "multipathd leaves disks alone" in asked(os)
