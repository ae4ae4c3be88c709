"""The servers of `make cluster`, in a sandbox without machines; `ssh` is a program of the test."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hcloud.images import Image

from tests.cluster.programs import program
from tests.sandbox.conftest import TOKEN, Sandbox
from tools.cluster import machines
from tools.cluster.bootstrap import CONTROL_PLANE, KEPT_SUCCESS, WORKER
from tools.cluster.machines import HOW_FAR, Machine, Place, delete_command, wait_until_bootstrapped
from tools.cluster.waiting import ClusterError


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    started = Sandbox(tmp_path_factory.mktemp("cluster") / "home").started()
    yield started
    started.remove()


@pytest.fixture
def cloud(sandbox: Sandbox) -> Any:
    return sandbox.sdk()


@pytest.fixture
def place(cloud: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr(machines, "HOME", tmp_path / "cluster")
    yield Place(cloud, cloud.images.get_by_name_and_architecture("debian-13", "x86"), 2222)
    for server in cloud.servers.get_all():
        server.delete().wait_until_finished()
    for key in cloud.ssh_keys.get_all():
        key.delete()


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Writes down its words, and runs the shell in the file `server`."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    program(tmp_path / "ssh", f'printf "%s\\n" "$@" >{tmp_path}/words; . {tmp_path}/server')
    return tmp_path


def up(place: Place) -> Machine:
    return place.up(CONTROL_PLANE, lambda: "")


def test_a_server_that_is_there_is_taken_up_and_switched_on(place: Place) -> None:
    first = up(place)
    first.server.power_off().wait_until_finished()
    again = up(place)
    again.server.reload()
    assert (again.server.id, again.server.status) == (first.server.id, "running")


def test_a_server_of_another_snapshot_is_made_anew(place: Place) -> None:
    first = up(place)
    other = first.server.create_image(type="snapshot").image
    assert up(Place(place.cloud, Image(id=other.id), place.port)).server.id != first.server.id


def test_a_worker_of_an_earlier_control_plane_is_made_anew_and_no_other(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, stale = up(place), place.up(WORKER, lambda: "")
    assert place.up(WORKER, lambda: "", after=first).server.id == stale.server.id
    first.server.created = stale.server.created.replace(year=stale.server.created.year + 1)  # type: ignore[union-attr]
    assert place.up(WORKER, lambda: "", after=first).server.id != stale.server.id


def test_the_command_line_that_is_told_deletes_both_servers(place: Place, sandbox: Sandbox, tmp_path: Path) -> None:
    up(place)
    place.up(WORKER, lambda: "")
    program(tmp_path / "make", f"echo export HCLOUD_ENDPOINT={sandbox.url} HCLOUD_TOKEN={TOKEN}")
    subprocess.run(
        ["sh", "-c", delete_command(CONTROL_PLANE, WORKER)],
        env={"PATH": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin", "HOME": str(tmp_path)},
        check=True,
    )
    assert place.cloud.servers.get_all() == []


def how_far(folder: Path, cloud_init: str) -> str:
    program(folder / "cloud-init", cloud_init)
    program(folder / "tail", "echo the last words")
    shell = ["sh", "-c", HOW_FAR.replace(KEPT_SUCCESS, str(folder / "mark"))]
    asked = subprocess.run(shell, env={"PATH": f"{folder}:/usr/bin:/bin"}, capture_output=True, text=True, check=True)
    return asked.stdout


def test_kubeadm_may_end_between_the_two_questions(tmp_path: Path) -> None:
    assert how_far(tmp_path, f"touch {tmp_path}/mark; echo status: done") == "done\n"


@pytest.mark.parametrize(
    ("status", "answer"),
    [("running", "busy\n"), ("done", "failed\nthe last words\n"), ("error", "failed\nthe last words\n")],
)
def test_without_the_mark_the_end_of_cloud_init_is_a_failure(tmp_path: Path, status: str, answer: str) -> None:
    assert how_far(tmp_path, f"echo status: {status}") == answer


def test_a_failure_of_kubeadm_is_told_with_the_command_that_deletes_the_server(place: Place, ssh: Path) -> None:
    (ssh / "server").write_text("echo failed; echo its last words")
    with pytest.raises(ClusterError) as raised:
        wait_until_bootstrapped(up(place), CONTROL_PLANE)
    assert "its last words" in str(raised.value)
    assert str(raised.value).endswith('eval "$(make -s sandbox-env)"; hcloud server delete cluster-control-plane')


def test_the_login_offers_one_key_and_a_question_asks_nobody(place: Place, ssh: Path) -> None:
    (ssh / "server").write_text("echo 198.18.1.5 10.244.0.1")
    machine = up(place)
    assert machine.address() == "198.18.1.5"
    words = (ssh / "words").read_text().splitlines()
    assert {"IdentitiesOnly=yes", "BatchMode=yes"} <= set(words)
    assert "IdentitiesOnly=yes" in machine.login()
    assert "BatchMode=yes" not in machine.login()


@pytest.mark.parametrize(
    ("server", "reason"), [("echo no way >&2; exit 255", "no way"), ("true", "it printed nothing")]
)
def test_an_answer_that_does_not_come_is_told(place: Place, ssh: Path, server: str, reason: str) -> None:
    (ssh / "server").write_text(server)
    with pytest.raises(ClusterError, match=f"cluster-control-plane: `hostname -I`: {reason}"):
        up(place).address()
