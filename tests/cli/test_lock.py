"""`./node-images lock` against a real HTTP server that plays the publishers' hosts."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from urllib3.util import Retry

from cli.lock import add_to_lock
from recipe import load_catalog, load_lock
from recipe.problems import ProblemsError
from recipe.render import published_files
from tests.adapters.publisher import Publisher, publishing, sum_of_test

CATALOG = load_catalog()
VERSION = "1.37.2"
HEADER = "# what this is\n# and where from\n"


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with publishing(tmp_path / "www", CATALOG, VERSION) as made:
        yield made


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "lock.yaml"
    made.write_text(f"{HEADER}https://a/z: {'0' * 64}\n")
    return made


def run(file: Path, mirror: str) -> list[str]:
    said: list[str] = []
    lock = load_lock(file=file)
    add_to_lock(file, lock, published_files(CATALOG, lock, [VERSION]), mirror, said.append)
    return said


def test_every_file_of_a_version_is_locked_for_all_architectures(publisher: Publisher, file: Path) -> None:
    said = run(file, publisher.url)
    lock = load_lock(file=file)
    wanted = [file.artifact.url for file in published_files(CATALOG, {}, [VERSION])]
    assert all(lock[url] == sum_of_test(url) for url in wanted)
    assert lock["https://a/z"] == "0" * 64, "what was there stays"
    assert file.read_text().startswith(HEADER)
    assert len(said) == len(wanted) + 1
    assert {"amd64", "arm64"} <= {part for url in wanted for part in url.replace("-", "/").replace(".", "/").split("/")}


def test_a_second_time_adds_nothing_and_changes_no_byte(publisher: Publisher, file: Path) -> None:
    run(file, publisher.url)
    before = file.read_bytes()
    assert run(file, publisher.url)[-1].startswith("0 added")
    assert file.read_bytes() == before


def test_a_changed_release_is_refused(publisher: Publisher, file: Path) -> None:
    run(file, publisher.url)
    text = file.read_text()
    url = next(line for line in text.splitlines() if "kubelet" in line).partition(": ")[0]
    publisher.file(f"{url}.sha256").write_text("f" * 64)
    with pytest.raises(ProblemsError, match="somebody changed a release"):
        run(file, publisher.url)
    assert file.read_text() == text


@pytest.mark.parametrize("content", [None, "", "<html>", "abc  kubeadm"])
def test_what_is_not_published_is_told_and_nothing_is_written(
    publisher: Publisher, file: Path, content: str | None
) -> None:
    broken = publisher.file(f"https://dl.k8s.io/release/v{VERSION}/bin/linux/arm64/kubeadm.sha256")
    broken.unlink() if content is None else broken.write_text(content)
    before = file.read_text()
    with pytest.raises(ProblemsError) as caught:
        run(file, publisher.url)
    assert [problem.key for problem in caught.value.problems] == [f"kubeadm {VERSION}"]
    assert file.read_text() == before


def test_hosts_that_are_out_of_reach_are_told_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.checksums.RETRIES", Retry(0))
    with pytest.raises(ProblemsError) as caught:
        run(file, "http://127.0.0.1:1")
    (problem,) = caught.value.problems
    assert (problem.file, problem.key) == ("127.0.0.1:1", "16 checksum files")
    assert problem.rule == "cannot be reached: Failed to establish a new connection: [Errno 111] Connection refused"
    assert "--mirror" in problem.remedy
