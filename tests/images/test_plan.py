"""Names, digests and lanes follow from the stack file, catalogue and lock alone."""

import re
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from images.names import image_name, server_name
from images.plan import Plan, lanes, make_plan, needed_artifacts, unlocked_files
from images.stackfile import parse_stack_file
from recipe.catalog import Catalog
from recipe.lock import Lock
from recipe.problems import ProblemsError
from recipe.render import step_files

PROGRAMS = ("kubeadm", "kubelet", "kubectl")


def plan(catalog: Catalog, lock: Lock, *versions: str, **settings: object) -> Plan:
    entry = {"os": "debian-13", "kubernetes": list(versions), "architectures": settings.pop("architectures", ["amd64"])}
    config = {"node-images:images": [entry], **{f"node-images:{key}": value for key, value in settings.items()}}
    stack_file = parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test")
    return make_plan("test", stack_file, catalog, lock, "test")


def name(catalog: Catalog, lock: Lock, **settings: object) -> str:
    return plan(catalog, lock, "1.36.4", **settings).images[0].name


def test_name_is_what_caph_takes(catalog: Catalog, lock: Lock) -> None:
    assert re.fullmatch(r"debian-13-kube-1\.36\.4-[0-9a-f]{8}", name(catalog, lock))


def test_longest_name_fits_a_label() -> None:
    assert len(image_name("ubuntu-26.04", "1.100.100", "0" * 32)) <= 63


@pytest.mark.parametrize(
    "settings",
    [
        {"artifacts": {"mirror": "http://127.0.0.1:1"}},
        {"sshPort": 2222},
        {"locations": ["ash"]},
        {"serverTypes": {"amd64": ["ccx13"]}},
        {"architectures": ["amd64", "arm64"]},
        {"maxParallel": 7},
        {"maxDisk": 40},
        {"keepGenerations": 3},
        {"forms": ["snapshot", "tarball"], "tarballs": "elsewhere"},
    ],
)
def test_where_and_how_it_is_built_does_not_change_the_name(
    catalog: Catalog, lock: Lock, settings: dict[str, object]
) -> None:
    assert name(catalog, lock, **settings) == name(catalog, lock)


def test_all_that_a_build_server_asks_of_others_is_known(catalog: Catalog, lock: Lock) -> None:
    (build,) = plan(catalog, lock, "1.36.4").images[0].builds
    assert {catalog.url(name, "1.36.4", "amd64") for name in PROGRAMS} < set(build.sources)
    assert all(url.startswith("https://") and not url.endswith("/") for url in build.sources)
    more = {"artifacts": {"mirror": "http://127.0.0.1:1"}, "asOf": "2026-11-01", "node": {"preloadImages": True}}
    (build,) = plan(catalog, lock, "1.36.4", **more).images[0].builds
    *files, archive, registry = build.sources
    assert all(url.startswith("http://127.0.0.1:1/") for url in files)
    assert (archive, registry) == (
        "https://snapshot.debian.org/archive/debian/20261101T000000Z/",
        "https://registry.k8s.io/v2",
    )


def test_another_file_behind_the_same_url_is_another_image(catalog: Catalog, lock: Lock) -> None:
    kubelet = catalog.url("kubelet", "1.36.4", "amd64")
    assert name(catalog, {**lock, kubelet: "0" * 64}) != name(catalog, lock)


def test_how_it_is_tested_does_not_change_the_name(catalog: Catalog, lock: Lock) -> None:
    goss = catalog.url("goss", catalog.goss, "amd64")
    assert name(catalog, {**lock, goss: "0" * 64}) == name(catalog, lock)


def test_both_architectures_share_the_name_and_differ_in_files(catalog: Catalog, lock: Lock) -> None:
    image = plan(catalog, lock, "1.36.4", architectures=["amd64", "arm64"]).images[0]
    assert [build.hcloud_architecture for build in image.builds] == ["x86", "arm"]
    assert {build.image for build in image.builds} == {image.name}
    assert len({build.key for build in image.builds}) == 2
    assert "linux/arm64/kubelet" in "".join(step.script for step in image.builds[1].steps)


def test_snapshot_labels(catalog: Catalog, lock: Lock) -> None:
    image = plan(catalog, lock, "1.36.4").images[0]
    labels = image.builds[0].labels
    assert labels == {
        "managed-by": "node-images",
        "stack": "test",
        "digest": image.digest,
        "role": "snapshot",
        "os": "debian-13",
        "architecture": "amd64",
        "kubernetes_version": "1.36.4",
        "distribution": "debian",
        "distribution_version": "13",
    }
    assert all(re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?", value) for value in labels.values())


def test_a_version_that_the_lock_lacks_is_refused(catalog: Catalog, lock: Lock) -> None:
    with pytest.raises(ProblemsError) as caught:
        plan(catalog, lock, "1.36.99")
    (problem,) = caught.value.problems
    assert problem.value == "1.36.99"
    assert "kubeadm 1.36.99, kubelet 1.36.99, kubectl 1.36.99 (of 1.36 it has 1.36.0, " in problem.rule
    assert "use 1.36.4" in problem.remedy
    assert "artifacts.unlocked: published" in problem.remedy


def test_published_sums_are_asked_for_only_where_the_stack_allows_it_and_the_lock_lacks_them(
    catalog: Catalog, lock: Lock
) -> None:
    images = {"node-images:images": [{"os": "debian-13", "kubernetes": ["1.36.4", "1.36.99"]}]}
    for allowed in ("refused", "published"):
        config = {**images, "node-images:artifacts": {"unlocked": allowed}}
        files = unlocked_files(parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test"), catalog, lock)
        names = {(file.artifact.name, file.artifact.version, file.sums_url.split("/")[-2]) for file in files}
        programs = {(name, "1.36.99", machine) for name in PROGRAMS for machine in catalog.architectures}
        assert names == (programs if allowed == "published" else set())


def test_a_published_sum_makes_the_same_image_as_a_locked_one(catalog: Catalog, lock: Lock) -> None:
    programs = [catalog.url(name, "1.36.99", machine) for name in PROGRAMS for machine in catalog.architectures]
    sums = dict.fromkeys(programs, "a" * 64)
    published = plan(catalog, {**lock, **sums}, "1.36.99", artifacts={"unlocked": "published"})
    assert published.images == plan(catalog, {**lock, **sums}, "1.36.99").images
    others = dict.fromkeys(programs, "b" * 64)
    assert published.images[0].name != plan(catalog, {**lock, **others}, "1.36.99").images[0].name


def test_each_missing_version_is_one_problem(catalog: Catalog, lock: Lock) -> None:
    with pytest.raises(ProblemsError) as caught:
        plan(catalog, lock, "1.36.99", "1.99.0", architectures=["amd64", "arm64"])
    assert [problem.value for problem in caught.value.problems] == ["1.36.99", "1.99.0"]
    assert "it has none of 1.99" in caught.value.problems[1].rule


def test_an_architecture_that_only_one_system_wants_is_checked(catalog: Catalog, lock: Lock) -> None:
    images = [
        {"os": "debian-13", "kubernetes": "1.36.4", "architectures": ["arm64"]},
        {"os": "debian-12", "kubernetes": "1.36.4", "architectures": ["amd64"]},
    ]
    settings = parse_stack_file(yaml.safe_dump({"config": {"node-images:images": images}}), catalog, "test")
    without = {url: digest for url, digest in lock.items() if url != catalog.url("kubelet", "1.36.4", "arm64")}
    with pytest.raises(ProblemsError, match=r"no sha256 of kubelet 1\.36\.4[\s\S]*use 1\.36\.3, which the lock has"):
        make_plan("test", settings, catalog, without, "test")


def test_a_component_that_the_lock_lacks_is_to_be_changed_in_the_catalogue(catalog: Catalog, lock: Lock) -> None:
    """Another Kubernetes version would have the same one."""
    (containerd,) = [url for url in lock if "/v2.3.4/containerd-2.3.4-linux-amd64" in url]
    without = {url: digest for url, digest in lock.items() if url != containerd}
    with pytest.raises(ProblemsError, match=r"no sha256 of containerd 2\.3\.4[\s\S]*in recipe/catalog\.yaml") as caught:
        plan(catalog, without, "1.36.4")
    assert "which the lock has" not in str(caught.value)


def test_needed_artifacts_come_once_each(catalog: Catalog, lock: Lock) -> None:
    config = {"node-images:images": [{"os": "debian-13", "kubernetes": ["1.36.4", "1.36.3"]}]}
    settings = parse_stack_file(yaml.safe_dump({"config": config}), catalog, "test")
    urls = [artifact.url for artifact in needed_artifacts(settings, catalog, lock)]
    assert len(urls) == len(set(urls)) == 3 * 2 + 5


def test_server_names_are_host_names() -> None:
    longest = server_name("A stack_with/an.unreasonably-long name", "0" * 32, "amd64")
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", longest)
    assert len(f"{longest}-verifier") <= 63


def test_lanes_bound_what_runs_at_once() -> None:
    assert lanes(["a", "b", "c", "d", "e"], 2) == {"c": "a", "d": "b", "e": "c"}
    assert lanes(["a", "b"], 5) == {}


def inputs(catalog: Catalog, lock: Lock, **settings: object) -> Mapping[str, str]:
    return plan(catalog, lock, "1.36.4", **settings).images[0].inputs


def changed(before: Mapping[str, str], after: Mapping[str, str]) -> set[str]:
    return {name for name in before.keys() | after.keys() if before.get(name) != after.get(name)}


def test_every_step_that_shapes_an_image_is_an_input_of_its_digest(catalog: Catalog, lock: Lock) -> None:
    (build,) = plan(catalog, lock, "1.36.4").images[0].builds
    assert {name for name in build.inputs if name.startswith("step ")} == {
        f"step {step.name}" for step in build.steps if step.shapes
    }
    assert {f"source {step.name}" for step in build.steps if step.shapes} < build.inputs.keys()


@pytest.mark.parametrize(
    ("settings", "cause"),
    [
        ({"asOf": "2026-11-01"}, "asOf"),
        ({"node": {"sysctls": {"net.core.somaxconn": 4096}}}, "node.sysctls"),
        ({"node": {"extraPackages": ["htop"]}}, "node.extraPackages"),
        ({"node": {"kubeletArguments": {"max-pods": 120}}}, "node.kubeletArguments"),
    ],
)
def test_what_changes_the_name_is_named_by_its_key(
    catalog: Catalog, lock: Lock, settings: dict[str, object], cause: str
) -> None:
    assert name(catalog, lock, **settings) != name(catalog, lock)
    found = changed(inputs(catalog, lock), inputs(catalog, lock, **settings))
    assert cause in found
    assert not [item for item in found if item.startswith(("file ", "source "))]


def test_another_file_is_named_by_its_program(catalog: Catalog, lock: Lock) -> None:
    kubelet = catalog.url("kubelet", "1.36.4", "arm64")
    found = changed(inputs(catalog, lock), inputs(catalog, {**lock, kubelet: "0" * 64}))
    assert found == {"file kubelet", "step kubernetes", "step manifest"}


def test_an_edited_step_is_named_by_its_source(
    catalog: Catalog, lock: Lock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = inputs(catalog, lock)
    copy = tmp_path / "30-kernel.sh"
    copy.write_text(Path("recipe/steps/30-kernel.sh").read_text() + "say more\n")
    files = step_files("debian")
    edited = [copy if file.name == copy.name else file for file in files]
    monkeypatch.setattr(sys.modules["recipe.render"], "step_files", lambda _family: edited)
    assert changed(before, inputs(catalog, lock)) == {"step kernel", "source kernel", "step manifest"}


def test_where_it_is_built_is_no_input(catalog: Catalog, lock: Lock) -> None:
    assert inputs(catalog, lock, sshPort=2222, locations=["ash"], keepGenerations=4) == inputs(catalog, lock)


def test_a_tarball_is_planned_where_it_is_asked_for(catalog: Catalog, lock: Lock) -> None:
    assert plan(catalog, lock, "1.36.4").images[0].builds[0].tarball is None
    made = plan(catalog, lock, "1.36.4", forms=["snapshot", "tarball"], architectures=["amd64", "arm64"])
    (image,) = made.images
    digest = image.name.rpartition("-")[2]
    paths = [build.tarball.path for build in image.builds if build.tarball]
    assert paths == [
        f"tarballs/test/Debian-1300-trixie-{name}-kube-1.36.4-{digest}.tar.gz" for name in ("amd64", "arm64")
    ]
    assert made.tarballs
    assert [made.tarballs.serves(os) for os in ("debian-12", "rocky-9", "long-gone")] == [True, False, False]
    assert made.tarballs.path("debian-13", "amd64", "debian-13-kube-1.35.8-00000000").endswith(
        "-kube-1.35.8-00000000.tar.gz"
    )
