"""Files and steps that go wrong in mid-build: told in words, nothing published; and files that the lock lacks.

A small recipe, which downloads kubelet from a server that plays the mirror.
"""

import re
import subprocess
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from recipe import load_catalog
from tests.adapters.publisher import Publisher, publishing, sum_of_test
from tests.e2e.workspace import Workspace

LOCKED, UNLOCKED = "1.36.4", "1.36.99"


@pytest.fixture(scope="module")
def publisher(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Publisher]:
    with publishing(tmp_path_factory.mktemp("www"), load_catalog(), UNLOCKED) as made:
        yield made


@pytest.fixture(scope="module", autouse=True)
def marker(small: Workspace, publisher: Publisher) -> Path:
    small.configure(artifacts={"mirror": publisher.url})
    return small.root / "recipe" / "steps" / "50-marker.sh"


def fails(workspace: Workspace) -> str:
    result = workspace.up()
    text = result.stdout + result.stderr
    assert result.returncode != 0, text
    assert "Traceback" not in text
    assert workspace.snapshots() == {}, "nothing is published, nor left unpublished"
    workspace.nothing_left_over()
    return text


def test_a_tampered_mirror_builds_nothing(small: Workspace, publisher: Publisher, marker: Path) -> None:
    url = load_catalog().url("kubelet", LOCKED, "amd64")
    publisher.file(url).parent.mkdir(parents=True)
    publisher.file(url).write_bytes(b"not what the lock promises")
    plain = marker.read_text()
    small.append("recipe/steps/50-marker.sh", 'install_program "$KUBELET_URL" "$KUBELET_SHA256" kubelet\n')
    text = fails(small)
    marker.write_text(plain)
    assert "step marker of debian-13-kube-1.36.4-" in text
    assert "v1.36.4/bin/linux/amd64/kubelet: sha256 is " in text
    assert "Nothing of it was installed" in text


def test_a_step_that_hangs_is_ended_after_its_time(small: Workspace, marker: Path) -> None:
    small.configure(timeouts={"step": "3s"})
    plain = marker.read_text()
    small.append("recipe/steps/50-marker.sh", "say before the hang\nsleep 1000\n")
    text = fails(small)
    marker.write_text(plain)
    small.configure(timeouts={"step": "30m"})
    assert "step marker took longer than 3 s and was ended" in text
    assert "before the hang" in text
    assert "timeouts.step" in text


@pytest.fixture
def tiny_store(small: Workspace) -> Iterator[Workspace]:
    """The sandbox, started anew on a disk that gets full then."""
    store = small.root / ".sandbox"
    run = partial(subprocess.run, check=True)
    sandbox(small, "stop")
    run(["mount", "-t", "tmpfs", "-o", "size=300M", "tmpfs", store])
    try:
        sandbox(small, "start")
        run(["fallocate", "--length", "280M", store / "filler"])
        yield small
    finally:
        sandbox(small, "stop")
        run(["umount", store])
    sandbox(small, "start")


def sandbox(workspace: Workspace, command: str) -> None:
    ports = ["--port", str(workspace.api_port), "--ssh-port", str(workspace.ssh_port)] if command == "start" else []
    result = workspace.python("sandbox", command, *ports)
    assert result.returncode == 0, result.stderr


def test_a_full_image_store_is_told(tiny_store: Workspace) -> None:
    assert re.search(r"image store .* is full", fails(tiny_store))


def test_a_file_that_the_lock_lacks_is_refused_unless_the_stack_allows_it(
    small: Workspace, publisher: Publisher
) -> None:
    small.declare(UNLOCKED)
    assert f"./node-images lock {UNLOCKED}" in fails(small)
    small.configure(artifacts={"mirror": publisher.url, "unlocked": "published"})
    kubelet = load_catalog().url("kubelet", UNLOCKED, "amd64")
    first = previewed(small, f"warning: {kubelet} is not in recipe/lock.yaml", sum_of_test(kubelet))
    publisher.file(f"{kubelet}.sha256").write_text("f" * 64)
    assert previewed(small, "f" * 64) != first, "another file is another image"


def previewed(workspace: Workspace, *said: str) -> str:
    """The name of the image that a preview shows."""
    preview = workspace.pulumi("preview")
    assert preview.returncode == 0, preview.stdout + preview.stderr
    for part in said:
        assert part in preview.stdout
    return re.findall(rf"debian-13-kube-{UNLOCKED}-[0-9a-f]{{8}}", preview.stdout)[0]
