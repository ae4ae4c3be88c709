"""The commands that people type: make setup, make clean and the list of all."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

from tests.toolchain.conftest import FakeCheckout, copy_of_checkout, executable
from toolchain.layout import CHECKOUT, Layout

TARGETS = {
    "help", "setup", "sandbox", "cluster", "test", "lint", "lock", "bench", "soak", "fidelity", "clean", "clean-cache",
    "sandbox-start", "sandbox-stop", "sandbox-status", "sandbox-reset", "sandbox-env",
}  # fmt: skip


def run(*words: str | Path, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, stdin=subprocess.DEVNULL)


def test_make_alone_lists_every_target() -> None:
    listing = run("make", "--no-print-directory", folder=CHECKOUT).stdout
    assert set(re.findall(r"^  make (\S+) +\S", listing, re.MULTILINE)) == TARGETS


def test_a_second_clone_is_ready_at_once(tmp_path: Path) -> None:
    clone = copy_of_checkout(tmp_path / "second clone")
    result = run("toolchain/run", "--engine-only", folder=clone)
    assert result.returncode == 0, result.stderr
    assert len(result.stderr.splitlines()) == 1, "nothing was made"
    assert Layout.of().key in result.stderr
    assert (clone / ".venv/bin/python").exists()
    assert run("./pulumiw", "version", folder=clone).stdout.startswith("v3.")


def test_make_setup_twice_does_nothing_the_second_time() -> None:
    run("make", "setup", folder=CHECKOUT)
    result = run("make", "setup", folder=CHECKOUT)
    assert result.returncode == 0, result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_a_failed_set_up_is_one_error_without_a_traceback(tmp_path: Path) -> None:
    clone = copy_of_checkout(tmp_path / "clone")
    (clone / ".venv").mkdir()
    result = run("toolchain/run", "--engine-only", folder=clone)
    assert result.returncode == 1
    assert result.stderr.splitlines()[-2].startswith("error: ")
    assert "Traceback" not in result.stderr


def test_without_python_the_error_says_what_to_install(tmp_path: Path) -> None:
    clone = copy_of_checkout(tmp_path / "clone")
    tools = tmp_path / "tools"
    for name in ("sh", "dirname"):
        (tools / name).parent.mkdir(exist_ok=True)
        (tools / name).symlink_to(f"/bin/{name}")
    executable(tools / "python3", "#!/bin/sh\nexit 1\n")  # too old
    result = run("toolchain/run", folder=clone, PATH=str(tools))
    assert result.returncode == 1
    assert "Python 3.11 or later is needed" in result.stderr
    assert "apt-get install python3" in result.stderr


@pytest.fixture
def used(checkout: FakeCheckout) -> FakeCheckout:
    """A checkout that was used: with an environment, a state, and leavings of tools."""
    checkout.pulumi("up")
    for name in (
        ".pulumi/.pulumi/stacks/dev.json",
        "cli/__pycache__/x.pyc",
        ".sandbox/log",
        ".ruff_cache/x",
        "stacks/mine",
    ):
        (checkout.folder / name).parent.mkdir(parents=True, exist_ok=True)
        (checkout.folder / name).touch()
    return checkout


def leavings(checkout: FakeCheckout) -> set[str]:
    names = {path.name for path in checkout.folder.iterdir()}
    return names & {".venv", ".pulumi", ".sandbox", ".ruff_cache"} | {
        path.name for path in checkout.folder.rglob("__pycache__")
    }


def test_clean_leaves_the_state_of_stacks(used: FakeCheckout) -> None:
    result = run("make", "clean", folder=used.folder, NODE_IMAGES_CACHE=str(used.cache))
    assert result.returncode == 0, result.stderr
    assert leavings(used) == {".pulumi"}
    assert "Kept: .pulumi" in result.stdout
    assert (used.folder / "stacks/mine").exists()
    assert used.ready.exists()


def test_clean_takes_the_state_too_when_told(used: FakeCheckout) -> None:
    run("make", "clean", folder=used.folder, CLEAN_STATE="yes", NODE_IMAGES_CACHE=str(used.cache))
    assert leavings(used) == set()


@pytest.fixture
def example(used: FakeCheckout) -> set[str]:
    """Stack files of the cluster example, of which git has one. All that the folder holds with them."""
    folder = used.folder / "examples/cluster"
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("Pulumi.yaml", "Pulumi.tried.yaml", "Pulumi.committed.yaml"):
        (folder / name).write_text("config: {}\n")
    run("git", "init", "--quiet", folder=used.folder)
    run(
        "git",
        "add",
        "--force",
        "examples/cluster/Pulumi.yaml",
        "examples/cluster/Pulumi.committed.yaml",
        folder=used.folder,
    )
    return {path.name for path in folder.iterdir()}


def test_clean_asks_before_it_takes_the_stack_files_of_the_example(used: FakeCheckout, example: set[str]) -> None:
    folder = used.folder / "examples/cluster"
    kept = run("make", "clean", folder=used.folder, NODE_IMAGES_CACHE=str(used.cache))
    assert "Kept: .pulumi examples/cluster/Pulumi.tried.yaml" in kept.stdout
    assert {path.name for path in folder.iterdir()} == example
    run("make", "clean", folder=used.folder, CLEAN_STATE="yes", NODE_IMAGES_CACHE=str(used.cache))
    assert {path.name for path in folder.iterdir()} == example - {"Pulumi.tried.yaml"}


def test_clean_works_where_nothing_was_set_up(tmp_path: Path) -> None:
    clone = copy_of_checkout(tmp_path / "clone")
    assert run("make", "clean", folder=clone).returncode == 0


def test_clean_cache_deletes_the_cache_even_where_files_are_locked(used: FakeCheckout) -> None:
    modules = used.cache / "toolchain/go/modules/module@v1"
    modules.mkdir(parents=True)
    (modules / "file.go").touch()
    modules.chmod(0o555)
    result = run("make", "clean-cache", folder=used.folder, NODE_IMAGES_CACHE=str(used.cache))
    assert result.returncode == 0, result.stderr
    assert not used.cache.exists()


def test_clean_cache_deletes_no_folder_that_is_no_cache(used: FakeCheckout, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    (mine / "documents").mkdir(parents=True)
    result = run("make", "clean-cache", folder=used.folder, NODE_IMAGES_CACHE=str(mine))
    assert result.returncode != 0
    assert "does not look like the cache" in result.stderr
    assert (mine / "documents").exists()
