"""What a run does when an operation fails, with a double of the cloud that counts."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pulumi
import pytest
from pulumi.output import UNKNOWN

from adapters.hetzner.errors import CloudError
from components.environment import _all_published
from components.failure import FailurePolicy, Worker
from components.logins import Login, forget
from images.failure import RETRIES
from tests.exports import image

LOST, FAILED = "connection lost: EOF", "Process exited with status 1: the reason"
QUOTA = "a quota of the Hetzner project is used up: server limit exceeded (resource_limit_exceeded)."
COMMAND, SERVER = "command:remote:Command", "pulumi-python:dynamic/node-images:EphemeralServer"
WORKER = Worker("node-image-x-builder", {"stack": "test"}, {"digest": "d"})
OTHER = Worker("node-image-y-builder", {"stack": "test"}, {"digest": "e"})


class CountingCloud:
    def __init__(self) -> None:
        self.released: list[str] = []
        self.withdrawn: list[object] = []
        self.running = [WORKER.name, OTHER.name]

    def remove_servers_of(self, stack: str) -> None:
        self.released.append(stack)

    def remove_server(self, name: str, labels: object) -> None:
        self.released.append(name)

    def withdraw_all(self, labels: object) -> list[int]:
        self.withdrawn.append(labels)
        return [7]

    def servers_of(self, stack: str) -> list[str]:
        return self.running


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr("components.failure.pulumi.log.error", messages.append)
    monkeypatch.setattr("components.failure.pulumi.log.info", messages.append)
    monkeypatch.setattr("components.failure.pulumi.log.warn", messages.append)
    monkeypatch.setattr("components.failure.keep_output", lambda *_: Path("logs/all.log"))
    return messages


class Policy(FailurePolicy):
    def __init__(self, *, keep: bool = False, go_on: bool = False, patience: float = 60) -> None:
        self.double = CountingCloud()
        self.waits: list[float] = []
        super().__init__(self.double, "test", keep, patience, go_on, self.pretend_to_wait)  # type: ignore[arg-type]

    async def pretend_to_wait(self, seconds: float) -> None:
        self.waits.append(seconds)

    def tried_again(self, *errors: str, kind: str = COMMAND, worker: Worker = WORKER) -> bool:
        failed = pulumi.ErrorHookArgs("urn", "id", "image/containerd", kind, errors=list(errors))
        return asyncio.run(self.retry(worker, failed))


def test_a_lost_connection_is_tried_again_a_few_times(said: list[str]) -> None:
    policy = Policy()
    assert [policy.tried_again(*[LOST] * count) for count in range(1, RETRIES + 2)] == [True] * RETRIES + [False]
    assert len(said) == 1
    assert policy.waits == [3, 6]


def test_a_failed_script_ends_the_run_and_releases_all_servers_once(said: list[str]) -> None:
    policy = Policy()
    assert not policy.tried_again(FAILED)
    assert not policy.tried_again(LOST, worker=OTHER), "its server was released under it"
    assert policy.double.released == ["test"]
    assert len(said) == 1
    assert "step containerd of image failed" in said[0]
    assert "the reason" in said[0]


def test_the_output_is_kept_before_its_server_goes_and_its_file_is_named(
    said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = Policy()
    login = Login(WORKER.name, "192.0.2.1", 22, "ssh-ed25519 HOST", "the private key")
    policy.remember(login)
    asked: list[object] = []

    def keep(*about: object) -> Path:
        asked.extend([*about, list(policy.double.released)])
        return Path("logs/test/image/containerd.log")

    monkeypatch.setattr("components.failure.keep_output", keep)
    policy.tried_again(FAILED)
    assert asked == ["test", "image/containerd", FAILED, login, []]
    assert "All of its output: logs/test/image/containerd.log" in said[0]
    asked.clear()
    Policy().tried_again("context canceled")
    Policy().tried_again(QUOTA, QUOTA, QUOTA, QUOTA, kind=SERVER)
    assert asked == [], "there is no output of these"


def test_a_try_that_waited_while_the_run_ended_is_not_made(said: list[str]) -> None:
    policy = Policy()

    async def the_other_fails(_seconds: float) -> None:
        policy.ended.add(OTHER.name)

    policy.wait = the_other_fails
    assert not policy.tried_again(LOST)


def test_with_continue_on_error_only_its_own_server_goes(said: list[str]) -> None:
    policy = Policy(go_on=True)
    assert not policy.tried_again(FAILED)
    assert policy.tried_again(LOST, worker=OTHER), "the other image goes on"
    assert policy.double.released == [WORKER.name]
    assert "The other images go on" in said[0]


PAIR = replace(WORKER, partner=Worker("node-image-x-joiner", {"stack": "test"}, {"digest": "d"}))


def test_with_continue_on_error_both_servers_of_a_test_go(said: list[str]) -> None:
    policy = Policy(go_on=True)
    assert not policy.tried_again(FAILED, worker=PAIR)
    assert PAIR.partner
    assert policy.double.released == [PAIR.name, PAIR.partner.name]
    assert not policy.tried_again(LOST, worker=replace(PAIR.partner, partner=WORKER)), "it was released with the other"
    assert policy.tried_again(LOST, worker=OTHER), "the other image goes on"


def test_no_server_waits_for_room_that_its_own_partner_holds(said: list[str]) -> None:
    policy = Policy(patience=90)
    assert PAIR.partner
    policy.double.running = [PAIR.partner.name, OTHER.name]
    assert policy.tried_again(*[QUOTA] * (RETRIES + 1), kind=SERVER, worker=PAIR)
    assert f"while {OTHER.name} work" in said[-1]
    policy.double.running = [PAIR.partner.name]
    assert not policy.tried_again(*[QUOTA] * (RETRIES + 1), kind=SERVER, worker=PAIR)


def test_a_kept_server_comes_with_the_command_to_log_in(
    said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    policy = Policy(keep=True)
    policy.remember(Login(WORKER.name, "192.0.2.1", 22, "ssh-ed25519 HOST", "the private key"))
    assert not policy.tried_again(FAILED)
    assert policy.double.released == []
    assert "onFailure: keep" in said[0]
    assert f"ssh -F .pulumi/logins/{WORKER.name}.config {WORKER.name}" in said[0]
    assert "the private key" not in said[0]
    key = tmp_path / ".pulumi" / "logins" / WORKER.name
    assert (key.read_text(), key.stat().st_mode & 0o777) == ("the private key", 0o600)
    forget(WORKER.name)
    assert list(key.parent.iterdir()) == []


def test_a_cloud_that_does_not_answer_hides_no_failure(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*_arguments: object) -> None:
        raise CloudError("the API does not answer")

    policy = Policy()
    monkeypatch.setattr(policy.double, "remove_servers_of", silent)
    assert not policy.tried_again(FAILED)
    assert "the reason" in said[0]
    assert "the API does not answer. The next `up` does it" in said[0]


def test_failed_acceptance_tests_withdraw_the_image(said: list[str]) -> None:
    policy = Policy()
    assert not policy.tried_again("Process exited with status 1: error: 2 acceptance tests failed")
    assert policy.double.withdrawn == [WORKER.content]
    assert "It was published, and is so no more" in said[0]


def test_tests_that_could_not_run_withdraw_nothing(said: list[str]) -> None:
    policy = Policy()
    policy.tried_again("Process exited with status 1: error: cannot fetch goss")
    assert policy.double.withdrawn == []
    assert "Nothing of it is published" in said[0]


def test_a_snapshot_is_tried_again_alone(said: list[str]) -> None:
    snapshot = "hcloud:index/snapshot:Snapshot"
    policy = Policy()
    assert policy.tried_again("action failed (action_failed)", kind=snapshot)
    assert policy.double.released == []
    assert not policy.tried_again("image limit exceeded (resource_limit_exceeded)", kind=snapshot), "no room will come"


def test_a_snapshot_whose_answer_was_lost_is_waited_for_as_long_as_it_locks_its_server(said: list[str]) -> None:
    snapshot, locked = (
        "hcloud:index/snapshot:Snapshot",
        "server is locked: action create_image is running (locked, 6be4)",
    )
    policy = Policy()
    assert policy.tried_again(*[locked] * 20, LOST, kind=snapshot)
    assert policy.waits == [30]
    assert not policy.tried_again(FAILED, *[locked] * 20, LOST, LOST, kind=snapshot)


def test_a_snapshot_over_the_limit_of_requests_is_waited_for_and_that_is_said(said: list[str]) -> None:
    snapshot, limited = "hcloud:index/snapshot:Snapshot", "limit of 60 requests reached (rate_limit_exceeded, 6be4)"
    policy = Policy()
    assert policy.tried_again(*[limited] * 5, kind=snapshot)
    assert policy.waits == [15]
    assert "waits 15 s: the project's limit of API requests is used up" in said[0]
    assert not policy.tried_again(limited, kind=SERVER), "our own records have waited for it"


def test_a_quota_is_waited_for_while_our_own_builds_can_free_it(said: list[str]) -> None:
    policy = Policy(patience=90)
    assert policy.tried_again(QUOTA, kind=SERVER)
    assert policy.tried_again(*[QUOTA] * 9, kind=SERVER), "waiting is not failing"
    assert policy.waits == [1, 1], "so that a hundred tries, the most that the engine makes, last for the whole time"
    assert OTHER.name in said[0]
    policy.double.running = [WORKER.name]
    assert policy.tried_again(QUOTA, kind=SERVER), "the other may have gone just now"
    assert not policy.tried_again(*[QUOTA] * (RETRIES + 1), kind=SERVER)
    assert "server limit exceeded" in said[-1]


def test_the_wait_ends_when_a_server_has_gone(said: list[str]) -> None:
    policy = Policy(patience=3600)

    async def one_goes(seconds: float) -> None:
        policy.waits.append(seconds)
        policy.double.running = policy.double.running[: 3 - len(policy.waits)]

    policy.wait = one_goes
    assert policy.tried_again(QUOTA, kind=SERVER)
    assert policy.waits == [3, 6], "each question costs a request"


def test_the_wait_for_a_quota_ends(said: list[str]) -> None:
    policy = Policy(patience=0)
    policy.since[WORKER.name] = -1e9
    assert not policy.tried_again(QUOTA, kind=SERVER)


def test_unknown_exports_are_refused_after_an_update_and_normal_in_a_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: False)
    with pytest.raises(pulumi.RunError, match="the exports stay as they were"):
        _all_published([{"name": UNKNOWN}])
    known = image()
    assert _all_published([known]) == [known]
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    assert _all_published([{"name": UNKNOWN}, known]) == [{"name": UNKNOWN}, known]
