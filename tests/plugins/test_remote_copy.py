"""command.remote.CopyToRemote and CopyFile, against a real SSH server."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.plugins.plugin import SECRET_MARK, Resource, refusal
from tests.plugins.sshd import Sshd

ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def text_asset(text: str) -> dict[str, Any]:
    return {SECRET_MARK: ASSET, "text": text, "hash": sha256(text.encode())}


def file_asset(file: Path) -> dict[str, Any]:
    return {SECRET_MARK: ASSET, "path": str(file), "hash": sha256(file.read_bytes())}


def folder_archive(path: str, content: str = "") -> dict[str, Any]:
    return {SECRET_MARK: ARCHIVE, "path": path, "hash": sha256(content.encode())}


@pytest.fixture
def copy(make: Callable[[str], Resource]) -> Resource:
    return make("command:remote:CopyToRemote")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "deep").mkdir(parents=True)
    (folder / "top.txt").write_text("top")
    (folder / "deep" / "binary").write_bytes(bytes(range(256)) * 2000)
    return folder


def test_a_text_becomes_a_file_with_its_folders(copy: Resource, sshd: Sshd, tmp_path: Path) -> None:
    target = tmp_path / "new" / "folder" / "file"
    copy.create(connection=sshd.connection(), source=text_asset("hello\n"), remotePath=str(target))
    assert target.read_text() == "hello\n"
    assert copy.id


def test_a_text_needs_the_path_of_a_file(copy: Resource, sshd: Sshd, tmp_path: Path) -> None:
    error = refusal(copy.create, connection=sshd.connection(), source=text_asset("x"), remotePath=str(tmp_path))
    assert "is a directory" in error


def test_a_file_goes_to_a_path_or_into_a_folder(copy: Resource, sshd: Sshd, tmp_path: Path, source: Path) -> None:
    file = source / "deep" / "binary"
    (tmp_path / "there").mkdir()
    for target, result in (("there", "there/binary"), ("some/new", "some/new"), ("there/binary", "there/binary")):
        copy.create(connection=sshd.connection(), source=file_asset(file), remotePath=str(tmp_path / target))
        assert (tmp_path / result).read_bytes() == file.read_bytes()


def test_a_folder_goes_into_a_folder(copy: Resource, sshd: Sshd, tmp_path: Path, source: Path) -> None:
    archive = folder_archive(str(source))
    copy.create(connection=sshd.connection(), source=archive, remotePath=str(tmp_path / "target"))
    assert (tmp_path / "target/source/top.txt").read_text() == "top"
    assert (tmp_path / "target/source/deep/binary").stat().st_size == 256 * 2000


def test_a_slash_at_the_end_takes_the_content_only(copy: Resource, sshd: Sshd, tmp_path: Path, source: Path) -> None:
    archive = folder_archive(f"{source}/")
    copy.create(connection=sshd.connection(), source=archive, remotePath=str(tmp_path / "target"))
    assert (tmp_path / "target/deep/binary").exists()


def test_a_folder_does_not_replace_a_file(copy: Resource, sshd: Sshd, tmp_path: Path, source: Path) -> None:
    (tmp_path / "file").write_text("kept")
    archive = folder_archive(str(source))
    refusal(copy.create, connection=sshd.connection(), source=archive, remotePath=str(tmp_path / "file"))
    assert (tmp_path / "file").read_text() == "kept"


def test_only_a_new_content_or_target_copies_again(copy: Resource, sshd: Sshd, tmp_path: Path) -> None:
    target = tmp_path / "file"
    inputs = {"connection": sshd.connection(), "source": text_asset("one"), "remotePath": str(target)}
    copy.create(**inputs)
    target.write_text("changed there")
    copy.update(**{**inputs, "connection": sshd.connection(perDialTimeout=3)})
    assert target.read_text() == "changed there"
    copy.update(**{**inputs, "source": text_asset("two")})
    assert target.read_text() == "two"


def test_a_preview_copies_nothing(copy: Resource, sshd: Sshd, tmp_path: Path) -> None:
    inputs = {"connection": sshd.connection(), "source": text_asset("x"), "remotePath": str(tmp_path / "file")}
    copy.preview_create(**inputs)
    assert not (tmp_path / "file").exists()


def test_a_source_from_the_web_is_refused_before_anything_runs(copy: Resource) -> None:
    web = {SECRET_MARK: ASSET, "uri": "https://example.com/file", "hash": sha256(b"")}
    answer = copy.check({"connection": {"host": "h"}, "source": web, "remotePath": "/x"})
    assert [failure.property for failure in answer.failures] == ["asset"]


def test_the_older_resource_copies_a_file_and_is_replaced_by_any_change(
    make: Callable[[str], Resource], sshd: Sshd, tmp_path: Path, source: Path
) -> None:
    copy = make("command:remote:CopyFile")
    inputs = {
        "connection": sshd.connection(),
        "localPath": str(source / "top.txt"),
        "remotePath": str(tmp_path / "new"),
    }
    copy.create(**inputs)
    assert (tmp_path / "new").read_text() == "top"
    assert list(copy.diff(**{**inputs, "remotePath": "/elsewhere"}).replaces) == ["remotePath"]
