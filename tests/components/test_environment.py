"""What the program asks of the network before it declares anything."""

from pathlib import Path

import pulumi
import pytest
import yaml

from components.environment import with_published_sums
from images.plan import make_plan
from images.stackfile import StackFile, parse_stack_file
from recipe import load_catalog, load_lock
from recipe.problems import ProblemsError
from tests.adapters.publisher import publishing, sum_of_test

CATALOG, LOCK = load_catalog(), load_lock()
NEW = "1.36.99"


def settings(mirror: str, unlocked: str = "published") -> StackFile:
    config = {
        "node-images:images": [{"os": "debian-13", "kubernetes": NEW}],
        "node-images:artifacts": {"mirror": mirror, "unlocked": unlocked},
    }
    return parse_stack_file(yaml.safe_dump({"config": config}), CATALOG, "test")


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    said: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    return said


def test_a_file_that_the_lock_lacks_has_the_published_sum_and_is_reported(tmp_path: Path, warnings: list[str]) -> None:
    with publishing(tmp_path, CATALOG, NEW) as publisher:
        lock = with_published_sums(LOCK, settings(publisher.url), CATALOG)
    url = CATALOG.url("kubelet", NEW, "amd64")
    assert {**LOCK, **lock} == lock
    assert lock[url] == sum_of_test(url)
    assert len(warnings) == 6, "kubeadm, kubelet and kubectl, for both architectures"
    assert f"{url} is not in recipe/lock.yaml: taken as {url}.sha256 has it now, sha256 {lock[url]}" in warnings
    (image,) = make_plan("test", settings(publisher.url), CATALOG, lock, "test").images
    assert f"KUBELET_SHA256={lock[url]}" in "".join(step.script for step in image.builds[0].steps)


def test_nobody_is_asked_unless_the_stack_allows_it(warnings: list[str]) -> None:
    assert with_published_sums(LOCK, settings("http://127.0.0.1:1", "refused"), CATALOG) == LOCK
    assert warnings == []


def test_a_version_that_is_not_published_is_told(tmp_path: Path, warnings: list[str]) -> None:
    with publishing(tmp_path, CATALOG) as publisher, pytest.raises(ProblemsError) as caught:
        with_published_sums(LOCK, settings(publisher.url), CATALOG)
    assert {problem.key for problem in caught.value.problems} == {
        f"{name} {NEW}" for name in ("kubeadm", "kubelet", "kubectl")
    }
    assert warnings == []
