"""The published sums of files, from a real HTTP server that plays the publishers' hosts."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.checksums import RETRIES, published_sums
from recipe import load_catalog
from recipe.problems import ProblemsError
from recipe.render import PublishedFile, published_files
from tests.adapters.publisher import Publisher, Quiet, publishing, sum_of_test

CATALOG = load_catalog()
VERSION = "1.37.2"


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    with publishing(tmp_path, CATALOG, VERSION) as made:
        yield made


def files() -> list[PublishedFile]:
    return published_files(CATALOG, {}, [VERSION])


def test_every_file_has_the_sum_that_its_publisher_gives(publisher: Publisher) -> None:
    assert published_sums(files(), publisher.url) == {
        file.artifact.url: sum_of_test(file.artifact.url) for file in files()
    }


def test_nothing_is_asked_where_nothing_is_needed() -> None:
    assert published_sums([], "http://127.0.0.1:1") == {}


def test_a_publisher_that_is_busy_is_asked_again(publisher: Publisher, monkeypatch: pytest.MonkeyPatch) -> None:
    answer, busy = Quiet.do_GET, [503, 429]

    def do_get(request: Quiet) -> None:
        request.send_error(busy.pop()) if busy else answer(request)

    monkeypatch.setattr(Quiet, "do_GET", do_get)
    monkeypatch.setattr("adapters.checksums.RETRIES", RETRIES.new(backoff_factor=0))
    assert len(published_sums(files(), publisher.url)) == len(files())
    assert busy == []


@pytest.mark.parametrize(
    ("status", "remedy"), [(403, "may refuse this machine's address"), (429, "try again later"), (404, "is published")]
)
def test_what_to_do_depends_on_what_the_publisher_answers(
    publisher: Publisher, monkeypatch: pytest.MonkeyPatch, status: int, remedy: str
) -> None:
    asked: list[str] = []

    def do_get(request: Quiet) -> None:
        asked.append(request.path)
        request.send_response(status)
        request.send_header("Retry-After", "0")
        request.send_header("Content-Length", "0")
        request.end_headers()

    monkeypatch.setattr(Quiet, "do_GET", do_get)
    monkeypatch.setattr("adapters.checksums.RETRIES", RETRIES.new(backoff_factor=0))
    with pytest.raises(ProblemsError) as caught:
        published_sums(files()[:1], publisher.url)
    (problem,) = caught.value.problems
    assert remedy in problem.remedy
    assert str(status) in problem.rule
    assert len(asked) == (11 if status == 429 else 1)


def test_all_that_cannot_be_had_is_told_at_once(publisher: Publisher) -> None:
    base = f"https://dl.k8s.io/release/v{VERSION}/bin/linux/amd64"
    publisher.file(f"{base}/kubeadm.sha256").unlink()
    publisher.file(f"{base}/kubelet.sha256").write_text("<html>")
    with pytest.raises(ProblemsError) as caught:
        published_sums(files(), publisher.url)
    missing, malformed = caught.value.problems
    assert (missing.file, missing.key) == (f"{base}/kubeadm.sha256", f"kubeadm {VERSION}")
    assert "404" in missing.rule
    assert "published" in missing.remedy
    assert "not a checksum file" in malformed.rule
