"""A node with every option that this machine can prove, on the other Debian: built, tested and published.

On a server booted from it every acceptance item proves that it can fail (see tests/mutation).
"""

import json
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from images.stackfile import load_stack_file
from recipe import Node, load_catalog, load_lock, render
from recipe.gossfile import Document
from recipe.render import acceptance_tests
from tests.e2e.registry import Registry, registry
from tests.e2e.workspace import Workspace, over_ssh
from tests.mutation.on_a_server import BUILDER, Server, exported, mutate


def certificate() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "company")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=9))
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that stands in for registry.example.com, which nobody could reach."""
    with registry(tmp_path_factory.mktemp("registry")) as made:
        made.push("team/hello", "1.0", {"hello.txt": "hello"})
        yield made


def test_every_option_is_built_and_proved(workspace: Workspace, company: Registry, proves: Callable[..., None]) -> None:
    write(
        workspace.root,
        {
            "own/certs/company.pem": certificate(),
            "own/debug.toml": 'version = 3\n[debug]\n  level = "debug"\n',
            "own/first/10-hello.sh": "say before all others\n",
            "own/last/10-kubelet.sh": "kubelet --version >/etc/own-step\n",
        },
    )
    node = {
        "extraPackages": ["tree"],
        "sysctls": {"net.core.somaxconn": 4096},
        "modules": ["ip_vs"],
        "registryMirrors": {"registry.example.com": [company.url_for_servers]},
        "extraImages": ["registry.example.com/team/hello:1.0"],
        "caCertificates": ["own/certs/company.pem"],
        "containerd": ["own/debug.toml"],
        "containerLimits": {"nofile": "65536:524288", "memlock": "infinity"},
        "kubeletArguments": {
            "max-pods": 120,
            "resolv-conf": None,
            "eviction-hard": "memory.available<5%,nodefs.available<10%",
            "volume-plugin-dir": "/opt/with a 'blank' %H $HOME {{x}}",
        },
        "hardening": "cis",
        "steps": {"before": "own/first", "after": "own/last"},
    }
    workspace.configure(
        images=[{"os": "debian-12", "kubernetes": "1.36.4"}], node=node, verification="cluster", sboms="bills"
    )
    result = workspace.up()
    text = result.stdout + result.stderr
    assert result.returncode == 0, text[-6000:]
    said = workspace.pulumi("stack", "export").stdout
    for step in ("own-10-hello", "own-10-kubelet", "ca-certificates", "registries", "hardening"):
        assert f"{step}: " in said, step
    (image,) = workspace.output("images")
    tests = image["tests"]["amd64"]
    assert tests["passed"] == tests["total"] > 240
    assert tests["level"] == "boot"
    assert "a container without cgroup controllers" in tests["why"], "the sandbox says why it stops at this level"
    assert "kubelet was judged up to what a container lacks" in tests["why"]
    assert tests["seconds"]["ssh"] > 0
    assert company.pulls("team/hello") > 0, "containerd asked the mirror, and the image is on the booted server"
    bill = json.loads((workspace.root / "bills" / "sandbox" / f"{image['name']}-amd64.cdx.json").read_text())
    assert "tree" in {item["name"] for item in bill["components"]}
    workspace.nothing_left_over()
    workspace.unchanged()
    proves("booted", "debian-12", "1.36.4")


def test_an_own_step_that_fails_is_named(workspace: Workspace) -> None:
    before = workspace.snapshots()
    write(workspace.root, {"own/first/20-wrong.sh": "die no licence for this\n"})
    result = workspace.up()
    assert result.returncode != 0
    assert "step own-20-wrong of debian-12-kube-1.36.4-" in result.stdout + result.stderr
    assert "no licence for this" in result.stdout + result.stderr
    assert workspace.snapshots() == before
    workspace.nothing_left_over()


@pytest.fixture(scope="module")
def server(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Booted from the snapshot; thrown away."""
    key = tmp_path_factory.mktemp("server") / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    client = workspace.client
    (number,) = workspace.snapshots().values()
    mine = client.ssh_keys.create("mine", key.with_suffix(".pub").read_text())
    image, kind = client.images.get_by_id(number), client.server_types.get_by_name("cx23")
    created = client.servers.create("node-1", kind, image=image, ssh_keys=[mine])
    created.action.wait_until_finished(max_retries=900)
    address = created.server.public_net.ipv4.ip
    over_ssh(workspace, address, key, "true")
    yield Server(address, workspace.ssh_port, key)
    created.server.delete()
    mine.delete()


def node_of(workspace: Workspace, **more: object) -> Node:
    options = load_stack_file(workspace.stack_file, load_catalog()).node
    return Node("debian-12", "1.36.4", "amd64", options.model_copy(update=more))


def lock_of(workspace: Workspace) -> dict[str, str]:
    return load_lock(local_builds=True, local_file=workspace.root / "recipe" / "lock.local.yaml")


def acceptance(workspace: Workspace, server: Server, **changed: str) -> subprocess.CompletedProcess[str]:
    """The acceptance script, with other settings than those of the recipe."""
    text = render(load_catalog(), lock_of(workspace), node_of(workspace)).acceptance
    begin = "report=/run/node-image\n"
    assert text.count(begin) == 1
    text = text.replace(begin, exported(changed) + begin)
    return server.run(exported({**BUILDER, "MIRROR": workspace.mirror_for_servers}) + text)


@pytest.fixture(scope="module")
def tested(workspace: Workspace, server: Server) -> str:
    """What the acceptance run prints; it leaves goss and its variables on the server."""
    result = acceptance(workspace, server)
    assert result.returncode == 0, result.stderr
    return result.stdout


def document(workspace: Workspace, server: Server) -> Document:
    """Every item of the node, and those of options that this machine cannot prove."""
    version = server.run("dpkg-query --show --showformat '${Version}' tree").stdout
    more = {
        "preload_images": True,
        "extra_images": ["quay.io/cilium/cilium:v1.18.2"],
        "extra_packages": [f"tree={version}"],
    }
    return acceptance_tests(load_catalog(), lock_of(workspace), node_of(workspace, **more), "booted")


def test_every_acceptance_item_fails_when_it_is_broken_and_only_then(
    workspace: Workspace, server: Server, tested: str
) -> None:
    counts = json.loads(tested)
    assert counts["passed"] == counts["total"] > 240
    assert mutate(server, document(workspace, server)) <= 12


def provisioned(workspace: Workspace, server: Server, node: Node, *names: str) -> subprocess.CompletedProcess[str]:
    """Run steps of a node, as a build does."""
    steps = {step.name: step.script for step in render(load_catalog(), lock_of(workspace), node).steps}
    mirror = exported({"MIRROR": f"http://127.0.0.1:{workspace.mirror_port}"})
    results = [server.run(mirror + steps[name]) for name in names]
    assert [result.returncode for result in results[:-1]] == [0] * (len(names) - 1)
    return results[-1]


MADE_BY_KUBELET = """
find /etc/kubernetes /var/lib/kubelet /usr/libexec /etc/cni /var/lib/cni /var/log/pods /run/systemd/system /dev/kmsg 2>/dev/null
systemctl list-units --all --plain --no-legend 'node-image*' 'kube*' 'nodeimage*'
grep --count . /proc/mounts
"""


def test_a_feature_gate_that_kubelet_does_not_know_fails_before_a_snapshot(
    workspace: Workspace, server: Server, tested: str
) -> None:
    before = server.run(MADE_BY_KUBELET).stdout
    gate = {"max-pods": "120", "resolv-conf": None, "feature-gates": "NoSuchGate=true"}
    wrong = node_of(workspace, kubelet_arguments=gate)
    result = provisioned(workspace, server, wrong, "kubelet-defaults", "hardening", "check")
    assert result.returncode == 1
    for words in ("failed: Command kubelet starts", "--feature-gates=NoSuchGate=true", "unrecognized feature gate"):
        assert words in result.stderr, result.stderr
    assert "error: 1 acceptance tests failed" in result.stderr
    mended = provisioned(workspace, server, node_of(workspace), "kubelet-defaults", "hardening", "check")
    assert mended.returncode == 0, mended.stderr
    assert server.run(MADE_BY_KUBELET).stdout == before, "what was tried leaves nothing behind"


SILENT = """#!/bin/sh
echo '{"results": [], "summary": {"test-count": 0, "failed-count": 0}}'
"""


@pytest.mark.parametrize(
    ("tests", "said"),
    [
        ("{}", "goss made no report"),
        ('{"command": {}}', "goss made no report"),
        ('{"command": {"a": {"exec": "true", "exit-status": 0, "skip": true}}}', "goss answered 0 of 1"),
        ('{"command": {"a": {"exec": "true", "exit-status": 1}}}', "failed: Command a: exit-status"),
    ],
)
def test_an_acceptance_run_that_proves_nothing_fails(
    workspace: Workspace, server: Server, tests: str, said: str
) -> None:
    result = acceptance(workspace, server, TESTS=tests)
    assert result.returncode == 1
    assert said in result.stderr


def test_an_acceptance_run_without_goss_or_with_another_fails(workspace: Workspace, server: Server) -> None:
    digest = server.run(f"cat >/run/node-image/goss <<'EOF'\n{SILENT}EOF\nsha256sum </run/node-image/goss").stdout[:64]
    silent = acceptance(workspace, server, GOSS_SHA256=digest)
    assert silent.returncode == 1
    assert "error: goss answered 0 of " in silent.stderr
    missing = acceptance(workspace, server, GOSS_SHA256="0" * 64)
    assert missing.returncode == 1
    assert "but the lock says 000000" in missing.stderr
