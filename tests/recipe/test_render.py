"""The recipe renders to complete, checked shell, and its acceptance tests to one goss document."""

import json
import re
import subprocess
from datetime import date
from pathlib import Path

import pytest
import yaml

from recipe import Lock, Recipe, load_catalog, load_lock, render, steps_digest
from recipe.problems import ProblemsError
from recipe.render import merged_tests, step_files

CATALOG = load_catalog()
LOCK = load_lock()


def rendered(mirror: str | None = None, architecture: str = "amd64", lock: Lock = LOCK) -> Recipe:
    return render(CATALOG, lock, "debian-13", "1.36.4", architecture, mirror)


def test_every_step_file_is_a_step_in_order() -> None:
    names = [step.name for step in rendered().steps]
    assert names == [file.stem[3:] for file in step_files()]
    assert names[0] == "quiet-apt", "the apt timers go first, or they hold dpkg's lock"
    assert names[-1] == "clean", "nothing may come after the clean-up"


@pytest.mark.parametrize("step", rendered().steps, ids=lambda step: step.name)
def test_a_rendered_step_is_sound_shell_without_open_ends(step) -> None:
    result = subprocess.run(
        ["shellcheck", "--shell=bash", "--exclude=SC2016,SC2034,SC2317,SC2329", "-"],
        input=step.script,
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stdout
    unset = set(re.findall(r"\$\{?([A-Z][A-Z0-9_]+)\}?", step.script)) - set(
        re.findall(r"^([A-Z0-9_]+)=", step.script, re.M)
    )
    assert {name for name in unset if not name.startswith("KUBELET_")} == set()


def test_the_acceptance_script_is_sound_shell() -> None:
    result = subprocess.run(
        ["shellcheck", "--shell=bash", "--exclude=SC2016,SC2034,SC2317,SC2329", "-"],
        input=rendered().acceptance, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout


def test_all_downloads_go_through_the_mirror_and_are_locked() -> None:
    scripts = "".join(step.script for step in rendered("http://127.0.0.1:8788").steps)
    assert "_URL=https://" not in scripts
    urls = re.findall(r"^[A-Z_]+_URL=(\S+)", scripts, re.M)
    assert len(urls) == 7
    for name, digest in re.findall(r"^([A-Z_]+)_SHA256=(\S+)", scripts, re.M):
        assert re.fullmatch("[0-9a-f]{64}", digest), name


def test_the_mirror_is_no_part_of_the_content() -> None:
    assert steps_digest(rendered()) == steps_digest(rendered(lock=dict(LOCK)))
    assert "127.0.0.1" not in next(s for s in rendered("http://127.0.0.1:1").steps if s.name == "manifest").script


def test_the_manifest_names_every_component_with_its_sum() -> None:
    script = next(step for step in rendered().steps if step.name == "manifest").script
    output = subprocess.run(
        ["bash", "-c", script.split("# What this image")[0] + '\nprintf %s "$MANIFEST"'],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    manifest = json.loads(output)
    assert manifest["components"]["kubernetes"] == "1.36.4"
    assert len(manifest["sha256"]) == 7
    assert not any("goss" in url for url in manifest["sha256"])


@pytest.mark.parametrize("minor", list(CATALOG.kubernetes))
@pytest.mark.parametrize("architecture", ["amd64", "arm64"])
def test_the_lock_has_every_component_of_the_catalogue(minor: str, architecture: str) -> None:
    recipe = render(CATALOG, LOCK, "debian-13", f"{minor}.0", architecture)
    assert [item.upstream for item in recipe.artifacts if not item.sha256] == []


def test_kubernetes_1_36_has_containerd_2() -> None:
    assert CATALOG.components("1.36.4")["containerd"].startswith("2.")


@pytest.mark.parametrize("os", list(CATALOG.operating_systems))
def test_no_operating_system_is_past_its_end(os: str) -> None:
    assert CATALOG.operating_systems[os].supported_until > date(2026, 1, 1)


def test_acceptance_items_have_names_of_their_own() -> None:
    files = sorted(Path("recipe/acceptance").glob("*.yaml"))
    names = [
        (kind, name) for file in files for kind, items in yaml.safe_load(file.read_text()).items() for name in items
    ]
    assert len(names) == len(set(names)) == sum(len(items) for items in merged_tests().values())


@pytest.mark.parametrize("text", ["kubernetes: [", "kubernetes: {}", "unknown: 1"])
def test_a_malformed_catalogue_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "catalog.yaml"
    file.write_text(text)
    with pytest.raises(ProblemsError, match=r"catalog\.yaml"):
        load_catalog(file)


def test_a_malformed_lock_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "lock.yaml"
    file.write_text("https://x/y: abc\n")
    with pytest.raises(ProblemsError, match="64 hexadecimal digits"):
        load_lock(file=file)


def test_local_builds_count_only_where_asked_for(tmp_path: Path) -> None:
    published, local = tmp_path / "lock.yaml", tmp_path / "lock.local.yaml"
    published.write_text(f"https://x/y: {'a' * 64}\n")
    local.write_text(f"https://x/y: {'b' * 64}\n")
    assert load_lock(file=published, local_file=local)["https://x/y"] == "a" * 64
    assert load_lock(file=published, local_file=local, local_builds=True)["https://x/y"] == "b" * 64
