"""The recipe renders to complete, checked shell, and its acceptance tests to one goss document."""

import json
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path

import pytest
import yaml

from recipe import Node, Recipe, load_catalog, load_lock, render, steps_digest
from recipe.options import NodeOptions
from recipe.problems import ProblemsError
from recipe.render import Step, step_files

CATALOG = load_catalog()
LOCK = load_lock()


SHELLCHECK = ["shellcheck", "--shell=bash", "--exclude=SC2016,SC2034,SC2317,SC2329", "-"]
FAMILIES = {"debian": "debian-13", "redhat": "rocky-10"}
EVERYTHING = NodeOptions.model_validate(
    {
        "preloadImages": True,
        "extraImages": ["quay.io/cilium/cilium:v1.18.2"],
        "extraPackages": ["htop"],
        "sysctls": {"net.core.somaxconn": 4096},
        "modules": ["ip_vs"],
        "registryMirrors": {"docker.io": ["http://127.0.0.1:5000"]},
        "kubeletArguments": {"max-pods": 120, "resolv-conf": None},
        "hardening": "cis",
    },
    context={"folder": Path()},
)


def rendered(os: str = "debian-13", architecture: str = "amd64", **more: object) -> Recipe:
    return render(CATALOG, LOCK, Node(os, "1.36.4", architecture, **more))


def all_steps() -> list[Step]:
    nodes = {
        os: rendered(os, options=EVERYTHING, as_of="" if os.startswith("rocky") else "20261101T000000Z")
        for os in CATALOG.operating_systems
    }
    unique = {step.script: step for recipe in nodes.values() for step in recipe.steps}
    return list(unique.values())


@pytest.mark.parametrize("family", list(FAMILIES))
def test_a_plain_node_has_the_steps_of_its_family_in_order(family: str) -> None:
    names = [step.name for step in rendered(FAMILIES[family]).steps]
    assert names[0] == "first-boot"
    assert names[1].startswith("quiet-"), "the timers go first, or they hold the package manager's lock"
    assert names[-3:] == ["manifest", "check", "clean"], "nothing may come after the clean-up"
    assert not {"images", "registries", "hardening", "ca-certificates", "package-date"} & set(names), (
        "nobody asked for them"
    )


@pytest.mark.parametrize("family", list(FAMILIES))
def test_every_step_file_is_a_step_of_a_node_with_every_option(family: str) -> None:
    own = EVERYTHING.model_copy(update={"ca_certificates": [type("File", (), {"name": "a.pem", "text": "x"})]})
    names = {step.name for step in rendered(FAMILIES[family], options=own, as_of="20261101T000000Z").steps}
    optional = {"package-date", "package-sources"} if family == "redhat" else set()
    wanted = {file.stem.partition("-")[2].partition(".")[0] for file in step_files(family)}
    assert wanted - optional <= names


def test_a_step_file_that_would_never_run_or_after_the_clean_up_is_refused(tmp_path: Path) -> None:
    shutil.copytree("recipe/steps", tmp_path, dirs_exist_ok=True)
    (tmp_path / "35-mine.debian.sh").write_text("say mine")
    assert "35-mine.debian.sh" in {file.name for file in step_files("debian", tmp_path)}
    assert "35-mine.debian.sh" not in {file.name for file in step_files("redhat", tmp_path)}
    for name in ("my-settings.sh", "35-mine.ubuntu.sh", "36-mine", "95-last.sh", "90-zeal.redhat.sh"):
        (tmp_path / name).write_text("say mine")
    with pytest.raises(ProblemsError) as caught:
        step_files("debian", tmp_path)
    assert {problem.key: problem.rule.partition(",")[0] for problem in caught.value.problems} == {
        "my-settings.sh": "not the name of a step",
        "35-mine.ubuntu.sh": "not the name of a step",
        "36-mine": "not the name of a step",
        "95-last.sh": "runs after 90-clean.sh",
        "90-zeal.redhat.sh": "runs after 90-clean.sh",
    }


@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_a_rendered_step_is_sound_shell_without_open_ends(step: Step) -> None:
    result = subprocess.run(SHELLCHECK, input=step.script, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    text = re.sub(r"'[^']*'", "''", step.text)
    unset = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)\b", text)) - set(re.findall(r"^([A-Z0-9_]+)=", step.text, re.M))
    assert {name for name in unset if not name.startswith("KUBELET_")} == set()


@pytest.mark.parametrize("level", ["boot", "cluster", "join"])
def test_the_acceptance_script_is_sound_shell(level: str) -> None:
    script = rendered(verification=level, options=EVERYTHING).acceptance
    directive = "# shellcheck disable=SC2209 # a level has the name of a command\n"
    result = subprocess.run(SHELLCHECK, input=directive + script, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    assert ("kubeadm init --config" in script) == (level != "boot")


def test_every_download_is_locked() -> None:
    scripts = "".join(step.script for step in rendered().steps)
    assert len(set(re.findall(r"^[A-Z_]+_URL=(https://\S+)", scripts, re.M))) == 8
    for name, digest in re.findall(r"^([A-Z_]+)_SHA256=(\S+)", scripts, re.M):
        assert re.fullmatch("[0-9a-f]{64}", digest), name


def test_what_shapes_a_node_shapes_its_digest() -> None:
    plain = steps_digest(rendered().steps)
    changes = [
        {"sysctls": {"vm.swappiness": 0}},
        {"modules": ["ip_vs"]},
        {"extraPackages": ["htop"]},
        {"hardening": "cis"},
    ]
    others = [steps_digest(rendered(options=NodeOptions.model_validate(change)).steps) for change in changes]
    others.append(steps_digest(rendered(as_of="20261101T000000Z").steps))
    assert len({plain, *others}) == len(changes) + 2
    assert steps_digest(rendered(verification="cluster").steps) == plain, "how it is tested is no part of it"


def test_the_manifest_names_every_component_with_its_sum() -> None:
    script = next(step for step in rendered().steps if step.name == "manifest").script
    output = subprocess.run(
        ["bash", "-c", script.split("# What this image")[0] + '\nprintf %s "$MANIFEST"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    manifest = json.loads(output)
    assert manifest["components"]["kubelet"] == {
        "version": "1.36.4",
        "sha256": LOCK["https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet"],
        "url": "https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet",
    }
    assert set(manifest["components"]) == {
        "kubeadm",
        "kubelet",
        "kubectl",
        "containerd",
        "runc",
        "crictl",
        "cni-plugins",
        "pause",
    }
    assert re.fullmatch("[0-9a-f]{64}", manifest["recipe"])


@pytest.mark.parametrize("minor", [minor for minor in CATALOG.kubernetes if not minor.endswith("+")])
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_lock_has_every_component_of_the_catalogue(minor: str, architecture: str) -> None:
    recipe = render(CATALOG, LOCK, Node("debian-13", f"{minor}.0", architecture))
    assert [item.url for item in recipe.artifacts if not item.sha256] == []


def test_kubernetes_1_36_has_containerd_2() -> None:
    assert CATALOG.components("1.36.4")["containerd"].startswith("2.")


@pytest.mark.parametrize("os", list(CATALOG.operating_systems))
def test_no_operating_system_is_past_its_end(os: str) -> None:
    system = CATALOG.operating_systems[os]
    assert CATALOG.support[system.distribution].until[system.version] > date(2026, 1, 1)


def test_a_later_minor_is_served_by_the_open_entry() -> None:
    assert CATALOG.components("1.38.2")["crictl"] == "1.38.0"
    assert CATALOG.serves("1.40.0")
    assert not CATALOG.serves("1.33.1")


def test_containerd_1_is_refused_for_kubernetes_1_36(tmp_path: Path) -> None:
    document = yaml.safe_load(Path("recipe/catalog.yaml").read_text())
    document["kubernetes"]["1.36"]["containerd"] = "1.7.29"
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(ProblemsError, match=r"1\.36 with containerd 1\.7\.29 cannot work"):
        load_catalog(file)


@pytest.mark.parametrize(
    "content", [b"kubernetes: [", b"kubernetes: {}", b"unknown: 1", b"", b"- x", b"text", b"\xff\xfe"]
)
def test_a_malformed_catalogue_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_bytes(content)
    with pytest.raises(ProblemsError, match=r"catalog\.yaml"):
        load_catalog(file)


@pytest.mark.parametrize(
    ("place", "value", "said"),
    [
        ("kubernetes/1.36/runc", "1.3", "kubernetes.1.36.runc"),
        ("kubernetes/1.36/pause", None, "kubernetes.1.36.pause"),
        ("kubernetes/v1.36", {}, "kubernetes.v1.36"),
        ("operatingSystems/debian-13/family", "suse", "'debian' or 'redhat'"),
        ("support/debian/until", {"13": "soon"}, "support.debian.until.13"),
        ("support/debian/until", {"13": "2030-06-30"}, "support has no entry for debian 12"),
        ("support/kubernetes/source", "somewhere", "support.kubernetes.source"),
        ("kubernetes/1.36/containerd", "2.9.0", "support has no entry for containerd 2.9"),
        ("clusterNeeds", [{"what": "x", "since": []}], "clusterNeeds.0.since"),
        ("operatingSystems/debian-13/colour", "red", "operatingSystems.debian-13.colour"),
        ("architectures/riscv64", {"hcloud": "riscv"}, "'amd64' or 'arm64'"),
        ("artifacts/runc/url", "https://x/runc", r"must have \{architecture\}, \{version\} in it"),
        ("artifacts/runc/url", "https://x/{version}/{architecture}/{os}", "may stand in braces"),
        ("artifacts/runc/url", "http://x/{version}/{architecture}", "artifacts.runc.url"),
        ("artifacts/runc/url", "https://x/{version}/{architecture}/{", "not a pattern"),
        ("artifacts/runc/sums", "{checksums}", "artifacts.runc.sums"),
        ("archives/debian/main", "https://x/", r"must have \{time\} in it"),
    ],
)
def test_a_malformed_entry_of_the_catalogue_is_named(tmp_path: Path, place: str, value: object, said: str) -> None:
    document = yaml.safe_load(Path("recipe/catalog.yaml").read_text())
    *path, key = place.split("/")
    entry = document
    for part in path:
        entry = entry[part]
    entry[key] = value
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(ProblemsError, match=said):
        load_catalog(file)


@pytest.mark.parametrize(
    ("key", "name"),
    [("artifacts", "kubelet"), ("artifacts", "goss"), ("packages", "redhat"), ("architectures", "arm64")],
)
def test_a_catalogue_that_lacks_an_entry_is_refused(tmp_path: Path, key: str, name: str) -> None:
    document = yaml.safe_load(Path("recipe/catalog.yaml").read_text())
    del document[key][name]
    file = tmp_path / "catalog.yaml"
    file.write_text(yaml.safe_dump(document))
    with pytest.raises(ProblemsError, match=f"{key} has no entry for {name}"):
        load_catalog(file)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"https://x/y: abc\n", "64 hexadecimal digits"),
        (b"https://x/y: " + b"A" * 64, "64 hexadecimal digits"),
        (b"https://x/y: [1]", "64 hexadecimal digits"),
        (b"https://x/y:\n", "64 hexadecimal digits"),
        (b"https://x/y: " + b"a" * 64 + b"\nhttps://x/y: " + b"b" * 64, "more than once"),
        (b"<<<<<<< HEAD\nhttps://x/y: " + b"a" * 64, "not valid YAML"),
        (b"\xff\xfe", "cannot be read"),
    ],
)
def test_a_malformed_lock_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = tmp_path / "lock.yaml"
    file.write_bytes(content)
    with pytest.raises(ProblemsError, match=said):
        load_lock(file=file)


def test_a_lock_or_catalogue_that_is_not_there_is_told(tmp_path: Path) -> None:
    for load in (load_catalog, lambda file: load_lock(file=file)):
        with pytest.raises(ProblemsError, match=r"cannot be read.*\n.*git checkout recipe"):
            load(tmp_path / "no.yaml")


@pytest.mark.parametrize("text", ["- x", "text", "[1]"])
def test_a_lock_that_is_no_map_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "lock.yaml"
    file.write_text(text)
    with pytest.raises(ProblemsError, match="not a map"):
        load_lock(file=file)


def test_local_builds_count_only_where_asked_for(tmp_path: Path) -> None:
    published, local = tmp_path / "lock.yaml", tmp_path / "lock.local.yaml"
    published.write_text(f"https://x/y: {'a' * 64}\n")
    local.write_text(f"https://x/y: {'b' * 64}\n")
    assert load_lock(file=published, local_file=local)["https://x/y"] == "a" * 64
    assert load_lock(file=published, local_file=local, local_builds=True)["https://x/y"] == "b" * 64


def test_what_is_no_yaml_is_told_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text("kubernetes:\n  a: b: c\n")
    with pytest.raises(
        ProblemsError, match=r"not valid YAML: line 2: mapping values are not allowed here\.\n"
    ) as caught:
        load_catalog(file)
    assert len(str(caught.value).splitlines()) == 4
