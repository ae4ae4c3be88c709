"""What a step said comes from its server as a file, by an ssh that runs on this machine."""

import json
import subprocess
from pathlib import Path

import pytest

from components.logins import Login
from components.outputs import keep_output
from recipe.bundle import OUTPUT

LOGIN = Login("builder", "192.0.2.1", 22, "ssh-ed25519 HOST", "the private key")
KEY = "debian-13-kube-1.36.4-0a1b2c3d-amd64"
ERROR = f"last words\n{json.dumps({'failed': 'kubeadm', 'status': 1})}\n"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root of a server's disk, reached by a program `ssh` that has our folder as the working directory."""
    root, programs = tmp_path / "disk", tmp_path / "bin"
    (root / OUTPUT.lstrip("/")).mkdir(parents=True)
    programs.mkdir()
    ssh = programs / "ssh"
    ssh.write_text(
        f'#!/bin/bash\nfor command; do :; done\nbash -c "${{command//--directory=\\//--directory={root}}}"\n'
    )
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:/usr/bin:/bin")
    monkeypatch.chdir(tmp_path)
    return root


def said(server: Path, step: str, text: str) -> None:
    (server / OUTPUT.lstrip("/") / f"{step}.log").write_text(text)


def test_all_that_the_steps_said_is_kept_in_a_file_each(server: Path) -> None:
    said(server, "runc", "fine\n")
    said(server, "kubeadm", "many\nlines\n")
    (server / "var/log").mkdir()
    (server / "var/log/node-image-cluster.log").write_text("all logs\n")
    (server / OUTPUT.lstrip("/") / "machine-id.result").write_text("no log")
    file = keep_output("dev", f"{KEY}/kubernetes", ERROR, LOGIN)
    assert file == Path("logs/dev") / KEY / "kubeadm.log"
    assert {item.name: item.read_text() for item in file.parent.iterdir()} == {
        "runc.log": "fine\n", "kubeadm.log": "many\nlines\n", "node-image-cluster.log": "all logs\n",
    }  # fmt: skip


def test_a_server_that_tells_nothing_leaves_what_the_error_has(server: Path) -> None:
    (server / OUTPUT.lstrip("/")).rmdir()
    file = keep_output("dev", f"{KEY}/kubernetes", ERROR, LOGIN)
    assert file
    assert file.read_text() == ERROR


def test_without_a_way_to_the_server_too(server: Path) -> None:
    file = keep_output("dev", f"{KEY}/prepare", "no way", None)
    assert file
    assert (file.name, file.read_text()) == ("prepare.log", "no way\n")


def test_what_is_no_step_or_cannot_be_written_hides_no_failure(server: Path) -> None:
    assert keep_output("dev", "node-image-x-builder-server", ERROR, LOGIN) is None
    Path("logs").write_text("a file")
    assert keep_output("dev", f"{KEY}/kubernetes", ERROR, LOGIN) is None


def test_a_server_writes_nowhere_else(server: Path, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar.gz"
    subprocess.run(
        ["tar", "--create", "--gzip", f"--file={archive}", "--transform=s,.*,../../../evil.log,", "--absolute-names", "evil"],
        cwd=_with(tmp_path, "evil"), check=True,
    )  # fmt: skip
    (tmp_path / "bin/ssh").write_text(f"#!/bin/sh\ncat {archive}\n")
    keep_output("dev", f"{KEY}/kubernetes", ERROR, LOGIN)
    assert [path.parent.name for path in tmp_path.rglob("evil.log")] == [KEY]


def _with(folder: Path, name: str) -> Path:
    (folder / name).write_text("evil")
    return folder
