"""A node with every option that this machine can prove, on the other Debian: built, tested and published."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.e2e.registry import Registry, registry
from tests.e2e.workspace import Workspace


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
        "registryMirrors": {"registry.example.com": [company.url]},
        "extraImages": ["registry.example.com/team/hello:1.0"],
        "caCertificates": ["own/certs/company.pem"],
        "containerd": ["own/debug.toml"],
        "kubeletArguments": {"max-pods": 120, "resolv-conf": None},
        "hardening": "cis",
        "steps": {"before": "own/first", "after": "own/last"},
    }
    workspace.configure(
        images=[{"os": "debian-12", "kubernetes": "1.36.4"}], node=node, verification="cluster", sboms="bills"
    )
    result = workspace.up()
    text = result.stdout + result.stderr
    assert result.returncode == 0, text[-6000:]
    for step in ("own-10-hello", "own-10-kubelet", "ca-certificates", "registries", "hardening"):
        assert f"/{step} created" in text, step
    (image,) = workspace.output("images")
    tests = image["tests"]["amd64"]
    assert tests["passed"] == tests["total"] > 240
    assert tests["level"] == "boot"
    assert "cannot pull registry.k8s.io/pause" in tests["why"], "the sandbox says why it stops at this level"
    assert re.search(r"failed to resolve|dial tcp|lookup registry", tests["why"]), (
        "for want of the network, and nothing else"
    )
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
