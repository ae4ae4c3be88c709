"""`./node-images lock` against a real HTTP server that plays the publishers' hosts."""

import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from cli.lock import add_to_lock, needed_for
from recipe import load_catalog, load_lock
from recipe.problems import ProblemsError

CATALOG = load_catalog()
VERSION = "1.37.2"
HEADER = "# what this is\n# and where from\n"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Publishes the checksum file of everything that 1.37.2 needs, as each project writes it."""
    www = tmp_path / "www"
    for artifact, sums_url in needed_for(CATALOG, {}, [VERSION]):
        file = www / sums_url.removeprefix("https://")
        file.parent.mkdir(parents=True, exist_ok=True)
        digest = hashlib.sha256(artifact.url.encode()).hexdigest()
        name = artifact.url.rpartition("/")[2]
        bare = "dl.k8s.io" in sums_url
        with file.open("a") as stream:
            stream.write(digest if bare else f"{digest}  {name}\n")
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(www)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", www
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "lock.yaml"
    made.write_text(f"{HEADER}https://a/z: {'0' * 64}\n")
    return made


def run(file: Path, mirror: str) -> list[str]:
    said: list[str] = []
    lock = load_lock(file=file)
    add_to_lock(file, lock, needed_for(CATALOG, lock, [VERSION]), mirror, said.append)
    return said


def test_every_file_of_a_version_is_locked_for_all_architectures(publisher: tuple[str, Path], file: Path) -> None:
    said = run(file, publisher[0])
    lock = load_lock(file=file)
    wanted = [artifact.url for artifact, _ in needed_for(CATALOG, {}, [VERSION])]
    assert all(lock[url] == hashlib.sha256(url.encode()).hexdigest() for url in wanted)
    assert lock["https://a/z"] == "0" * 64, "what was there stays"
    assert file.read_text().startswith(HEADER)
    assert len(said) == len(wanted) + 1
    assert {"amd64", "arm64"} <= {part for url in wanted for part in url.replace("-", "/").replace(".", "/").split("/")}


def test_a_second_time_adds_nothing_and_changes_no_byte(publisher: tuple[str, Path], file: Path) -> None:
    run(file, publisher[0])
    before = file.read_bytes()
    assert run(file, publisher[0])[-1].startswith("0 added")
    assert file.read_bytes() == before


def test_a_changed_release_is_refused(publisher: tuple[str, Path], file: Path) -> None:
    run(file, publisher[0])
    text = file.read_text()
    url = next(line for line in text.splitlines() if "kubelet" in line).partition(": ")[0]
    (publisher[1] / f"{url.removeprefix('https://')}.sha256").write_text("f" * 64)
    with pytest.raises(ProblemsError, match="somebody changed a release"):
        run(file, publisher[0])
    assert file.read_text() == text


@pytest.mark.parametrize("content", [None, "", "<html>", "abc  kubeadm"])
def test_what_is_not_published_is_told_and_nothing_is_written(
    publisher: tuple[str, Path], file: Path, content: str | None
) -> None:
    broken = publisher[1] / f"dl.k8s.io/release/v{VERSION}/bin/linux/arm64/kubeadm.sha256"
    broken.unlink() if content is None else broken.write_text(content)
    before = file.read_text()
    with pytest.raises(ProblemsError) as caught:
        run(file, publisher[0])
    assert [problem.key for problem in caught.value.problems] == [f"kubeadm {VERSION}"]
    assert file.read_text() == before


def test_a_host_that_is_down_is_told(file: Path) -> None:
    with pytest.raises(ProblemsError, match="nothing was written"):
        run(file, "http://127.0.0.1:1")
