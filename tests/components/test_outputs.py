"""What a step said comes from its server as a file, by SSH."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from components.logins import Login
from components.outputs import keep_output
from recipe.bundle import OUTPUT
from tests.components.ssh_server import ssh_server

KEY = "debian-13-kube-1.36.4-0a1b2c3d-amd64"
ERROR = f"last words\n{json.dumps({'failed': 'kubeadm', 'status': 1})}\n"


@dataclass
class Server:
    """A disk that is reached by SSH. `evil` is what it sends in place of what it is asked for."""

    root: Path
    evil: str = ""
    login: Login | None = None

    def translate(self, command: str) -> str:
        return self.evil or command.replace("--directory=/", f"--directory={self.root}")


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(tmp_path / "disk")
    (made.root / OUTPUT.lstrip("/")).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    with ssh_server(made.translate) as ssh:
        keys = ssh.keys
        made.login = Login("builder", "127.0.0.1", ssh.port, keys["host_public_key"], keys["login_private_key"])
        yield made


def said(server: Server, step: str, text: str) -> None:
    (server.root / OUTPUT.lstrip("/") / f"{step}.log").write_text(text)


def test_all_that_the_steps_said_is_kept_in_a_file_each(server: Server) -> None:
    said(server, "runc", "fine\n")
    said(server, "kubeadm", "many\nlines\n")
    (server.root / "var/log").mkdir()
    (server.root / "var/log/node-image-cluster.log").write_text("all logs\n")
    (server.root / OUTPUT.lstrip("/") / "machine-id.result").write_text("no log")
    file = keep_output("dev", f"{KEY}/kubernetes", ERROR, server.login)
    assert file == Path("logs/dev") / KEY / "kubeadm.log"
    assert {item.name: item.read_text() for item in file.parent.iterdir()} == {
        "runc.log": "fine\n", "kubeadm.log": "many\nlines\n", "node-image-cluster.log": "all logs\n",
    }  # fmt: skip


def test_a_server_that_tells_nothing_leaves_what_the_error_has(server: Server) -> None:
    (server.root / OUTPUT.lstrip("/")).rmdir()
    file = keep_output("dev", f"{KEY}/kubernetes", ERROR, server.login)
    assert file
    assert file.read_text() == ERROR


def test_without_a_way_to_the_server_too(server: Server) -> None:
    file = keep_output("dev", f"{KEY}/prepare", "no way", None)
    assert file
    assert (file.name, file.read_text()) == ("prepare.log", "no way\n")


def test_what_is_no_step_or_cannot_be_written_hides_no_failure(server: Server) -> None:
    assert keep_output("dev", "node-image-x-builder-server", ERROR, server.login) is None
    Path("logs").write_text("a file")
    assert keep_output("dev", f"{KEY}/kubernetes", ERROR, server.login) is None


def test_a_server_writes_nowhere_else(server: Server, tmp_path: Path) -> None:
    archive = tmp_path / "evil.tar.gz"
    subprocess.run(
        ["tar", "--create", "--gzip", f"--file={archive}", "--transform=s,.*,../../../evil.log,", "--absolute-names", "evil"],
        cwd=_with(tmp_path, "evil"), check=True,
    )  # fmt: skip
    server.evil = f"cat {archive}"
    keep_output("dev", f"{KEY}/kubernetes", ERROR, server.login)
    assert [path.parent.name for path in tmp_path.rglob("evil.log")] == [KEY]


def _with(folder: Path, name: str) -> Path:
    (folder / name).write_text("evil")
    return folder
