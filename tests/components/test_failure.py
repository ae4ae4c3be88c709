"""What a run does when an operation fails, with a double of the cloud that counts."""

import pulumi
import pytest
from pulumi.output import UNKNOWN

from components.environment import _all_published
from components.failure import RETRIES, FailurePolicy

LOST, FAILED = "connection lost: EOF", "Process exited with status 1: the reason"


class CountingCloud:
    def __init__(self) -> None:
        self.released: list[str] = []

    def remove_servers_of(self, stack: str) -> None:
        self.released.append(stack)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    messages: list[str] = []
    monkeypatch.setattr("components.failure.pulumi.log.error", messages.append)
    return messages


def policy(*, keep: bool = False) -> FailurePolicy:
    return FailurePolicy(CountingCloud(), "test", keep_servers=keep)  # type: ignore[arg-type]


def failure(*errors: str) -> pulumi.ErrorHookArgs:
    return pulumi.ErrorHookArgs("urn", "id", "image/containerd", "command:remote:Command", errors=list(errors))


def test_a_lost_connection_is_tried_again_a_few_times(said: list[str]) -> None:
    tried = policy()
    assert [tried.retry(failure(*[LOST] * count)) for count in range(1, RETRIES + 2)] == [True] * RETRIES + [False]
    assert len(said) == 1


def test_a_failed_script_ends_the_run_and_releases_all_servers_once(said: list[str]) -> None:
    ended = policy()
    assert not ended.retry(failure(FAILED))
    assert not ended.retry(failure(LOST)), "its server was released under it"
    assert ended.cloud.released == ["test"]  # type: ignore[attr-defined]
    assert len(said) == 1
    assert "step containerd of image failed" in said[0]
    assert "the reason" in said[0]


def test_servers_are_kept_where_the_stack_file_says_so(said: list[str]) -> None:
    kept = policy(keep=True)
    assert not kept.retry(failure(FAILED))
    assert kept.cloud.released == []  # type: ignore[attr-defined]
    assert "onFailure: keep" in said[0]


def test_unknown_exports_are_refused_after_an_update_and_normal_in_a_preview(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: False)
    with pytest.raises(pulumi.RunError, match="the exports stay as they were"):
        _all_published([{"name": UNKNOWN}])
    assert _all_published([{"name": "known"}]) == [{"name": "known"}]
    monkeypatch.setattr("pulumi.runtime.is_dry_run", lambda: True)
    assert _all_published([{"name": UNKNOWN}]) == [{"name": UNKNOWN}]
