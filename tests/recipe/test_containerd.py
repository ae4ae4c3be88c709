"""What a node says to containerd: which keys a drop-in sets, files of registries, and what the tests leave to users."""

import tomllib
from pathlib import Path

import pytest

from recipe import Node, load_catalog, load_lock, render
from recipe.containerd import configuration_version, keys, registry_files
from recipe.options import NodeOptions, SourceFile
from recipe.render import acceptance_tests

CATALOG, LOCK = load_catalog(), load_lock()
IMAGES = "plugins.'io.containerd.cri.v1.images'"
RUNC = "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options"


def options(**written: object) -> NodeOptions:
    return NodeOptions.model_validate(written, context={"folder": Path()})


def with_drop_in(text: str) -> NodeOptions:
    return NodeOptions().model_copy(update={"containerd": [SourceFile("own.toml", text)]})


def items(node: NodeOptions) -> dict[str, str]:
    tests = acceptance_tests(CATALOG, LOCK, Node("debian-13", "1.36.4", "amd64", node), "booted")
    return {name: test["exec"] for name, test in tests["command"].items()}


@pytest.mark.parametrize(
    ("containerd", "version"),
    [("1.7.28", 2), ("2.0.0", 3), ("2.2.7", 3), ("2.3.0", 4), ("2.3.4", 4), ("2.10.0", 4), ("3.0.0", 4), ("1.2.13", 1)],
)
def test_each_containerd_has_a_newest_version_of_its_configuration(containerd: str, version: int) -> None:
    assert configuration_version(containerd) == version


@pytest.mark.parametrize(
    ("text", "leaves_out"),
    [
        (f"version = 3\n[{IMAGES}]\ndiscard_unpacked_layers = false", "layers are unpacked and not kept"),
        (f"version = 3\n[{RUNC}]\nSystemdCgroup = false", "cgroups by systemd"),
        (f"version = 3\n[{IMAGES}.registry]\nconfig_path = '/etc/other'", "registries may have mirrors"),
        (f"version = 3\n[{IMAGES}.pinned_images]\nsandbox = 'r.example/pause:3.10'", "sandbox image is kubeadm's own"),
        (
            "version = 2\n[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'r/p:1'",
            "sandbox image is kubeadm's own",
        ),
        ("version = 3\n[debug]\nlevel = 'debug'", None),
        ("version = 3\n[plugins.'io.containerd.transfer.v1.local']\nconfig_path = '/etc/other'", None),
    ],
)
def test_a_drop_in_takes_the_place_of_what_is_ours(text: str, leaves_out: str | None) -> None:
    """And is asked for itself."""
    ours = items(NodeOptions())
    theirs = items(with_drop_in(text))
    assert set(ours) - set(theirs) == ({leaves_out} if leaves_out else set())
    assert set(theirs) - set(ours) == {
        "containerd takes /etc/containerd/conf.d/own.toml",
        "containerd reads /etc/containerd/conf.d/own.toml",
    }


def test_every_key_of_a_drop_in_is_asked_for_as_containerd_writes_it() -> None:
    text = f"""
version = 3
imports = ["/etc/more/*.toml"]
oom_score = -1
[{IMAGES}]
snapshotter = "native"
registry.config_path = "/etc/own"
[timeouts]
"io.containerd.timeout.shim.load" = "9s"
"""
    assert [key.name for key in keys(text)] == [
        "oom_score",
        f"{IMAGES}.snapshotter",
        f"{IMAGES}.registry.config_path",
        "timeouts.'io.containerd.timeout.shim.load'",
    ]


@pytest.mark.parametrize(
    ("text", "name", "elsewhere"),
    [
        ("version = 2\n[plugins.'io.containerd.grpc.v1.cri']\nsandbox_image = 'p'", "sandbox_image", "sandbox"),
        ("version = 3\n[metrics]\naddress = ':1'", "metrics.address", "address"),
        ("version = 3\n[grpc]\ntcp_address = ':1'", "grpc.tcp_address", "address"),
    ],
)
def test_a_key_that_containerd_moves_may_stand_elsewhere(text: str, name: str, elsewhere: str) -> None:
    (key,) = keys(text)
    assert key.name.endswith(name)
    assert key.pattern.endswith(elsewhere)
    assert "|" in key.pattern


def test_a_key_that_containerd_does_not_move_stands_where_it_stood() -> None:
    (key,) = keys("version = 3\n[plugins.'io.containerd.grpc.v1.cri']\ndiscard_unpacked_layers = true")
    assert key.pattern == r"plugins\.'io\.containerd\.grpc\.v1\.cri'\.discard_unpacked_layers"


def hosts(mirrors: dict[str, list[str]], authorities: dict[str, str], registry: str = "docker.io") -> dict[str, object]:
    return tomllib.loads(registry_files(mirrors, authorities)[f"/etc/containerd/certs.d/{registry}/hosts.toml"])


@pytest.mark.parametrize(
    ("url", "as_it_is"),
    [
        ("https://mirror.example.com", False),
        ("https://mirror.example.com/", False),
        ("https://harbor.example.com/v2/proxy", True),
        ("https://harbor.example.com/v2/proxy/", True),
        ("https://mirror.example.com/artifactory/api/docker/remote/v2", True),
        ("https://mirror.example.com/artifactory/api/docker/remote", False),
        ("https://mirror.example.com/v2x", False),
    ],
)
def test_a_url_with_the_apis_root_in_it_is_taken_as_it_is(url: str, as_it_is: bool) -> None:
    (host,) = hosts({"docker.io": [url]}, {})["host"].items()
    assert host == (
        url.rstrip("/"),
        {"capabilities": ["pull", "resolve"], **({"override_path": True} if as_it_is else {})},
    )


def test_the_authority_of_a_host_counts_wherever_the_host_is_asked() -> None:
    authorities = {"harbor.example.com:8443": "PEM"}
    mirrors = {"docker.io": ["https://harbor.example.com:8443/v2/proxy", "https://other.example.com"]}
    file = "/etc/containerd/certs.d/harbor.example.com:8443/ca.crt"
    assert registry_files(mirrors, authorities)[file] == "PEM"
    mirror, other = hosts(mirrors, authorities)["host"].values()
    assert mirror["ca"] == file
    assert "ca" not in other
    assert hosts(mirrors, authorities, "harbor.example.com:8443") == {"ca": file}


def test_a_mirror_may_have_an_authority_of_its_registrys_name() -> None:
    said = hosts({"docker.io": ["https://mirror.example.com"]}, {"docker.io": "PEM"})
    assert said["ca"] == "/etc/containerd/certs.d/docker.io/ca.crt"
    assert list(said["host"]) == ["https://mirror.example.com"]


def test_limits_of_containers_have_a_test_each_and_a_drop_in_of_containerds_unit() -> None:
    said = items(options(containerLimits={"nofile": "65536:524288", "memlock": "infinity"}))
    assert "containers begin with NOFILE 65536 and may have 524288" in said
    assert "containers begin with MEMLOCK infinity and may have infinity" in said
    assert "containers begin with NOFILE 1024 and may have 524288" in items(NodeOptions())
    node = Node("debian-13", "1.36.4", "amd64", options(containerLimits={"nofile": 65536}))
    scripts = {step.name: step.script for step in render(CATALOG, LOCK, node).steps}
    assert "LimitNOFILE=65536" in scripts["registries"]
    assert "LimitNOFILE=1024:524288" in scripts["containerd"]
