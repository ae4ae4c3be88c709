"""Which files are Go programs, how they are grouped into builds, and by which go.mod."""

import shutil
import tarfile
from pathlib import Path

import pytest

from mirror.packing import pack
from mirror.programs import PROGRAMS, plan, work_module
from mirror.sums import LOCK, read_lock
from tests.mirror.doubles import KUBEADM, KUBELET, NO_PROGRAM

CONTAINERD = "https://github.com/containerd/containerd/releases/download/v2.3.4/containerd-2.3.4-linux-arm64.tar.gz"
CNI = "https://github.com/containernetworking/plugins/releases/download/v1.9.1/cni-plugins-linux-amd64-v1.9.1.tgz"


def test_every_file_of_the_recipes_lock_can_be_built() -> None:
    urls = list(read_lock(LOCK))
    builds, unknown = plan(urls)
    assert unknown == []
    assert sorted(url for build in builds for url in build.urls) == sorted(urls)
    assert {build.program.name for build in builds} == {program.name for program in PROGRAMS}


def test_the_recipes_lock_is_sorted_and_has_both_architectures() -> None:
    urls = list(read_lock(LOCK))
    assert urls == sorted(urls)
    assert {url.replace("amd64", "arm64") for url in urls} == {url for url in urls if "arm64" in url}


def test_builds_are_grouped_by_version_and_architecture_longest_first() -> None:
    older = KUBELET.replace("1.36.4", "1.36.3")
    builds, unknown = plan([CONTAINERD, KUBELET, NO_PROGRAM, older, KUBEADM])
    assert unknown == [NO_PROGRAM]
    assert [(b.program.name, b.version, b.arch, b.urls) for b in builds] == [
        ("Kubernetes", "1.36.4", "amd64", (KUBELET, KUBEADM)),
        ("Kubernetes", "1.36.3", "amd64", (older,)),
        ("containerd", "2.3.4", "arm64", (CONTAINERD,)),
    ]


@pytest.mark.parametrize(
    "url",
    [
        CONTAINERD.replace("containerd-2.3.4", "containerd-2.3.3"),
        KUBELET.replace("amd64", "s390x"),
        KUBELET + ".sha256",
        KUBELET.replace("v1.36.4", "v1.36"),
    ],
)
def test_a_url_that_only_looks_like_one_is_not_built(url: str) -> None:
    assert plan([url]) == ([], [url])


def test_the_version_is_linked_in() -> None:
    (build,), _ = plan([KUBELET])
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.4" in build.link_flags()
    assert "-X k8s.io/component-base/version.gitMinor=36" in build.link_flags()


def test_staging_modules_become_their_published_versions_and_other_replacements_stay() -> None:
    upstream = {
        "Go": "1.26.0",
        "Require": [
            {"Path": "k8s.io/api", "Version": "v0.0.0"},
            {"Path": "k8s.io/utils", "Version": "v0.0.0-20260210185600-b8788abfbbc2"},
        ],
        "Replace": [
            {"Old": {"Path": "k8s.io/api"}, "New": {"Path": "./staging/src/k8s.io/api"}},
            {"Old": {"Path": "a.org/x"}, "New": {"Path": "b.org/x", "Version": "v1.2.3"}},
        ],
    }
    assert work_module("k8s.io/kubernetes", "v1.36.4", upstream).splitlines() == [
        "module build",
        "go 1.26.0",
        "require k8s.io/kubernetes v1.36.4",
        "replace k8s.io/api => k8s.io/api v0.36.4",
        "replace a.org/x => b.org/x v1.2.3",
    ]


def test_archives_have_upstreams_layout_and_are_the_same_every_time(tmp_path: Path) -> None:
    (build,), _ = plan([CNI])
    for name in ("portmap", "bridge", "LICENSE", "README.md"):
        (tmp_path / name).write_text(name)
    binaries = [tmp_path / "portmap", tmp_path / "bridge"]
    first = Path(shutil.copy(pack(build, CNI, binaries, tmp_path, tmp_path), tmp_path / "first"))
    for path in binaries:
        path.touch()
    second = pack(build, CNI, binaries[::-1], tmp_path, tmp_path)
    assert first.read_bytes() == second.read_bytes()
    with tarfile.open(second) as archive:
        modes = {member.name: (member.mode, member.uid, member.mtime) for member in archive}
    assert modes == {
        "./LICENSE": (0o644, 0, 0),
        "./README.md": (0o644, 0, 0),
        "./bridge": (0o755, 0, 0),
        "./portmap": (0o755, 0, 0),
    }
