"""Which images can be made, how they are named, and how the work is grouped."""

import subprocess
from pathlib import Path

import pytest

from mirror import MirrorError
from mirror.images.fill import plan_jobs
from mirror.images.parts import LIST_PACKAGES, package_versions
from mirror.images.recipes import RECIPES, TEST_POD, Wanted, wanted_image

# What kubeadm 1.36.4 lists.
LISTED = [
    *("kube-apiserver:v1.36.4", "kube-controller-manager:v1.36.4", "kube-scheduler:v1.36.4", "kube-proxy:v1.36.4"),
    *("coredns/coredns:v1.14.2", "pause:3.10.2", "etcd:3.6.8-0"),
]


def wanted(*names: str, arch: str = "amd64") -> list[Wanted]:
    return [wanted_image(f"registry.k8s.io/{name}", arch) for name in names]


def test_every_image_of_a_control_plane_can_be_made() -> None:
    assert [one.repository for one in wanted(*LISTED, TEST_POD) if one.recipe is None] == []
    assert {one.repository for one in wanted(*LISTED, TEST_POD)} == set(RECIPES)


def test_a_name_may_lack_the_registry() -> None:
    assert wanted_image("coredns/coredns:v1.14.2", "arm64") == wanted("coredns/coredns:v1.14.2", arch="arm64")[0]


@pytest.mark.parametrize("name", ["pause", "pause:", "docker.io/x:1:2", "../x:1", "registry.k8s.io/:1", "Pause:1"])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(MirrorError, match="not the name of an image"):
        wanted_image(name, "amd64")


def test_the_version_to_build_is_the_tags() -> None:
    builds = {one.repository: one.build for one in wanted(*LISTED)}
    versions = {name: build and (build.program.name, build.version) for name, build in builds.items()}
    assert versions == {
        **{
            f"kube-{name}": ("Kubernetes", "1.36.4")
            for name in ("apiserver", "controller-manager", "scheduler", "proxy")
        },
        "coredns/coredns": ("CoreDNS", "1.14.2"),
        "etcd": ("etcd", "3.6.8"),
        "pause": None,
    }


def test_images_of_one_version_share_a_build_and_builds_of_one_program_follow_each_other() -> None:
    older = [name.replace("1.36.4", "1.36.3") for name in LISTED]
    jobs = plan_jobs([*wanted("etcd:3.6.8-0", "pause:3.10.2"), *wanted(*LISTED[:4], *older[:4])])
    told = [[(str(build), len(images)) for build, images in job] for job in jobs]
    assert told == [
        [("Kubernetes 1.36.4 amd64", 4), ("Kubernetes 1.36.3 amd64", 4)],
        [("etcd 3.6.8 amd64", 1)],
        [("None", 1)],
    ]


def test_all_that_runs_on_a_node_without_pause_is_compiled_with_inlining() -> None:
    assert [name for name, recipe in RECIPES.items() if recipe.go and not recipe.go.program.inlining] == []


def test_a_recipes_digest_tells_of_each_part() -> None:
    assert len({recipe.digest for recipe in RECIPES.values()}) == len(RECIPES)
    # It is written into records, so it must not change from run to run.
    assert RECIPES["pause"].digest == wanted("pause:3.10.2")[0].recipe.digest  # type: ignore[union-attr]


def test_the_packages_of_an_image_are_told_to_whoever_may_write_no_file(tmp_path: Path) -> None:
    archives = tmp_path / "var/cache/apt/archives"
    archives.mkdir(parents=True)
    for name in ("kmod_34.2-2_amd64.deb", "libx_1%3a2.0+b1_all.deb", "lock"):
        (archives / name).touch()
    told = subprocess.run(["sh", "-c", LIST_PACKAGES, "sh", tmp_path], capture_output=True, text=True, check=True)
    warning = "W: see /var/cache/apt/archives/some_thing_1.deb\nW: x.deb\n"
    assert package_versions(warning + told.stderr) == ["kmod=34.2-2", "libx=1:2.0+b1"]
