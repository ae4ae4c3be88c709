"""The real thing: every file of one Kubernetes version, from upstream or compiled here, runs and tells its version.

Takes minutes where upstream does not answer and nothing is in the cache yet, and no time otherwise.
"""

import shutil
import struct
import subprocess
import tarfile
from pathlib import Path

import pytest

from mirror import Artifact, ensure
from mirror.gobuild import Go
from mirror.programs import plan
from mirror.progress import Lines
from mirror.store import sha256_of
from mirror.sums import LOCK, read_lock
from tests.mirror.doubles import needs_go

KUBERNETES = "https://dl.k8s.io/release/v1.36.4/bin/linux/amd64"
GITHUB = "https://github.com"
CONTAINERD = f"{GITHUB}/containerd/containerd/releases/download/v2.3.4/containerd-2.3.4-linux-amd64.tar.gz"
RUNC = f"{GITHUB}/opencontainers/runc/releases/download/v1.4.3/runc.amd64"
CRICTL = f"{GITHUB}/kubernetes-sigs/cri-tools/releases/download/v1.36.0/crictl-v1.36.0-linux-amd64.tar.gz"
CNI = f"{GITHUB}/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz"
GOSS = f"{GITHUB}/goss-org/goss/releases/download/v0.4.9/goss-linux-amd64"
URLS = [*(f"{KUBERNETES}/{name}" for name in ("kubeadm", "kubelet", "kubectl")), CONTAINERD, RUNC, CRICTL, CNI, GOSS]

# File, program within it, arguments, what it must print.
VERSIONS = [
    (f"{KUBERNETES}/kubeadm", "kubeadm", ["version", "-o", "short"], "v1.36.4"),
    (f"{KUBERNETES}/kubelet", "kubelet", ["--version"], "Kubernetes v1.36.4"),
    (f"{KUBERNETES}/kubectl", "kubectl", ["version", "--client"], "Client Version: v1.36.4"),
    (CONTAINERD, "bin/containerd", ["--version"], "v2.3.4"),
    (CONTAINERD, "bin/containerd-shim-runc-v2", ["-v"], "v2.3.4"),
    (CONTAINERD, "bin/ctr", ["--version"], "v2.3.4"),
    (RUNC, "runc.amd64", ["--version"], "runc version 1.4.3"),
    (CRICTL, "crictl", ["--version"], "crictl version v1.36.0"),
    (CNI, "./bridge", [], "CNI bridge plugin v1.9.1"),
    (CNI, "./host-local", [], "CNI host-local plugin v1.9.1"),
    (CNI, "./loopback", [], "CNI loopback plugin v1.9.1"),
    (CNI, "./portmap", [], "CNI portmap plugin v1.9.1"),
    (GOSS, "goss-linux-amd64", ["--version"], "v0.4.9"),
]

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def local_lock(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lock") / "lock.local.yaml"


@pytest.fixture(scope="module")
def kept(local_lock: Path) -> dict[str, Artifact]:
    """The files, in the cache that all clones share: the machine needs them anyway to make an image."""
    return {artifact.url: artifact for artifact in ensure(URLS, local_lock=local_lock, progress=Lines())}


@pytest.mark.parametrize(
    ("url", "program", "arguments", "printed"), VERSIONS, ids=[program for _, program, _, _ in VERSIONS]
)
def test_a_program_runs_and_tells_its_version(
    kept: dict[str, Artifact], tmp_path: Path, url: str, program: str, arguments: list[str], printed: str
) -> None:
    path = kept[url].path
    binary = tmp_path / program
    if tarfile.is_tarfile(path):
        with tarfile.open(path) as archive:
            archive.extract(program, tmp_path, filter="data")
    else:
        shutil.copy(path, binary)
        binary.chmod(0o755)
    result = subprocess.run([binary, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, check=True)
    assert printed in result.stdout + result.stderr


def test_sums_are_upstreams_or_in_the_local_lock(kept: dict[str, Artifact], local_lock: Path) -> None:
    published = read_lock(LOCK)
    local = read_lock(local_lock) if local_lock.exists() else {}
    for url, artifact in kept.items():
        expected = published[url] if artifact.origin == "upstream" else local[url]
        assert sha256_of(artifact.path) == artifact.sha256 == expected


@needs_go
def test_a_file_for_arm64_is_for_arm64_and_no_step_installs_it_elsewhere(local_lock: Path) -> None:
    """Small, and like every file of the recipe for arm64: under upstream's URL, and of the machine that its name says."""
    (artifact,) = ensure([GOSS.replace("amd64", "arm64")], local_lock=local_lock, progress=Lines())
    magic, machine = struct.unpack("<4s14xH", artifact.path.read_bytes()[:20])
    assert (magic, machine) == (b"\x7fELF", 183), "EM_AARCH64"
    step = f"install_program file://{artifact.path} {artifact.sha256} goss-of-test"
    library = Path("recipe/steps/lib.sh").read_text()
    result = subprocess.run(["bash", "-c", f"{library}\n{step}"], capture_output=True, text=True)
    assert result.returncode == 1
    assert "goss-of-test is a program for aarch64, but this server is x86_64. It was not installed." in result.stderr
    assert not Path("/usr/local/bin/goss-of-test").exists()


@needs_go
def test_a_second_build_gives_the_same_bytes(kept: dict[str, Artifact], tmp_path: Path) -> None:
    """Compare two builds of this machine, from the compiler's cache where it is warm."""
    (build,), _ = plan([CRICTL])
    first, second = tmp_path / "first", tmp_path / "second"
    for work in (first, second):
        work.mkdir()
        files, facts = Go().build(build, work, lambda _line: None)
    assert (first / files[CRICTL].name).read_bytes() == files[CRICTL].read_bytes()
    if kept[CRICTL].facts == facts:
        assert sha256_of(files[CRICTL]) == kept[CRICTL].sha256
