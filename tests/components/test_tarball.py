"""An archive arrives whole and as it was sent, or not at all, and no server stays behind."""

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.hetzner.cloud import Cloud
from adapters.hetzner.errors import CloudError
from components import tarball
from components.tarball import _TarballFileProvider, _TarballProvider, check_tarballs, receive
from images.failure import is_transient
from images.plan import Plan, Tarballs
from images.stackfile import Timeouts
from recipe import load_catalog
from recipe.tarball import STARTED
from tests.components.ssh_server import LOST, SshServer, ssh_server

CONTENT = b"archive\n"
SUM = hashlib.sha256(CONTENT).hexdigest()
GOOD = f"echo archive; echo packed >&2; echo sha256 {SUM} >&2"


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tarball, "SECONDS_BETWEEN", 0)


@pytest.fixture(scope="module")
def server() -> Iterator[SshServer]:
    with ssh_server() as started:
        yield started


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "new" / "directory" / "a.tar.gz"


def left(target: Path) -> list[str]:
    return [path.name for path in target.parent.iterdir()]


def test_an_archive_is_received_with_its_sum(server: SshServer, target: Path) -> None:
    archive = receive(server.run, GOOD, target, 60)
    assert (archive.sha256, archive.size) == (SUM, len(CONTENT))
    assert target.read_bytes() == CONTENT
    assert left(target) == ["a.tar.gz"]


@pytest.mark.parametrize(
    ("script", "said", "seconds"),
    [
        ("echo arch; echo no room >&2; exit 3", "packing exited with status 3:\nno room", 60),
        (f"echo {STARTED} >&2; echo arch; exit {LOST}", "connection lost", 60),
        (f"echo archiv; echo sha256 {SUM} >&2", "lost on the way", 60),
        ("echo archive", "lost on the way", 60),
        ("exec sleep 60", "packing took more than 1 s", 1),
    ],
)
def test_what_is_not_whole_leaves_the_old_file_and_no_other(
    server: SshServer, target: Path, script: str, said: str, seconds: float
) -> None:
    target.parent.mkdir(parents=True)
    target.write_text("old")
    with pytest.raises(CloudError, match=said):
        receive(server.run, script, target, seconds)
    assert target.read_text() == "old"
    assert left(target) == ["a.tar.gz"]


def test_a_server_that_does_not_let_us_in_yet_is_asked_again(server: SshServer, target: Path, tmp_path: Path) -> None:
    script = f"[[ -e {tmp_path}/asked ]] || {{ touch {tmp_path}/asked; exit {LOST}; }}; {GOOD}"
    assert receive(server.run, script, target, 60).sha256 == SUM


def test_a_script_that_has_begun_is_never_begun_again_on_the_same_server(
    server: SshServer, target: Path, tmp_path: Path
) -> None:
    script = f"echo begun >>{tmp_path}/log; echo {STARTED} >&2; exit {LOST}"
    with pytest.raises(CloudError, match="connection lost"):
        receive(server.run, script, target, 60)
    assert (tmp_path / "log").read_text() == "begun\n"


def test_a_lost_connection_is_tried_again_and_a_failed_script_is_not(server: SshServer, target: Path) -> None:
    for script, transient in ((f"echo a; exit {LOST}", True), ("echo connection refused >&2; exit 1", False)):
        with pytest.raises(CloudError) as caught:
            receive(server.run, script, target, 60)
        assert is_transient(str(caught.value)) is transient


def test_a_directory_that_cannot_be_written_is_told(server: SshServer, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CloudError, match=r"(?s)cannot be written .*node-images:tarballs"):
        receive(server.run, GOOD, tmp_path / "file" / "a.tar.gz", 60)


def test_a_directory_for_tarballs_is_looked_at_where_a_plan_has_some(tmp_path: Path) -> None:
    plan = Plan("test", (), 1, 1, 1, 22, False, "", "", "", (), Timeouts(), None)
    check_tarballs(plan)
    check_tarballs(replace(plan, tarballs=Tarballs(str(tmp_path), load_catalog())))
    (tmp_path / "file").write_text("")
    with pytest.raises(CloudError, match="file is not a directory"):
        check_tarballs(replace(plan, tarballs=Tarballs(str(tmp_path / "file" / "test"), load_catalog())))


@pytest.fixture
def provider(cloud: Cloud) -> _TarballProvider:
    made = _TarballProvider()
    made.cloud = cloud
    return made


def properties(path: Path) -> dict[str, Any]:
    labels = {"managed-by": "node-images", "stack": "test", "digest": "d", "role": "archiver"}
    return {
        "name": "node-image-test-archiver", "digest": "d", "image": "debian-13", "hcloud_architecture": "x86",
        "server_types": ["cx23"], "locations": ["nbg1"], "labels": labels, "ssh_port": 22, "ssh_from": [],
        "script": GOOD, "path": str(path),
    }  # fmt: skip


def test_the_server_is_gone_when_the_archive_is_there(
    provider: _TarballProvider, server: SshServer, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tarball, "wait_for_ssh", lambda *_arguments: None)
    monkeypatch.setattr(tarball, "run", lambda _host, _port, _keys, *work: server.run(*work))
    made = provider.create(properties(target))
    assert made.outs is not None
    assert (made.outs["sha256"], made.outs["size"]) == (SUM, len(CONTENT))
    assert not any(key in made.outs for key in ("login_private_key", "host_private_key")), "no key outlives its server"
    assert provider.cloud.client.servers.get_all() == []
    assert provider.cloud.client.ssh_keys.get_all() == []


@pytest.mark.parametrize("failure", [CloudError("no SSH server"), KeyboardInterrupt()])
def test_the_server_is_gone_when_it_failed(
    provider: _TarballProvider, target: Path, monkeypatch: pytest.MonkeyPatch, failure: BaseException
) -> None:
    def fail(*_arguments: object) -> None:
        assert provider.cloud.client.servers.get_all(), "it was there"
        raise failure

    monkeypatch.setattr(tarball, "wait_for_ssh", fail)
    with pytest.raises(type(failure)):
        provider.create(properties(target))
    assert provider.cloud.client.servers.get_all() == []
    assert not target.exists()


def test_an_archive_is_packed_once_for_each_content(provider: _TarballProvider, target: Path) -> None:
    old = properties(target)
    assert not provider.diff("id", old, {**old, "script": "other", "path": "elsewhere", "image": "8"}).changes
    assert provider.diff("id", old, {**old, "digest": "other"}).replaces == ["digest"]


def test_the_file_moves_with_the_directory_and_goes_with_the_image(tmp_path: Path) -> None:
    files, old, new = _TarballFileProvider(), tmp_path / "a" / "x.tar.gz", tmp_path / "b" / "x.tar.gz"
    old.parent.mkdir()
    old.write_bytes(CONTENT)
    assert not files.diff("id", {"path": str(old)}, {"path": str(old)}).changes
    assert files.diff("id", {"path": str(old)}, {"path": str(new)}).changes
    files.update("id", {"path": str(old)}, {"path": str(new)})
    assert (old.exists(), new.read_bytes()) == (False, CONTENT)
    files.delete("id", {"path": str(new)})
    files.delete("id", {"path": str(new)})
    assert not new.exists()
