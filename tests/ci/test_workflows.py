"""What the CI files promise: pinned actions, least permissions, no secret for a fork, one run at a time for a stack.

That they are valid is a check of `make lint` (actionlint and the hosts' schemas); what their scripts do is in test_scripts.py.
"""

import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.__main__ import app

WORKFLOWS = {file.stem: file for file in Path(".github/workflows").glob("*.yml")}
GITLAB = Path(".gitlab-ci.yml")
SAME_REPOSITORY = "github.event.pull_request.head.repo.full_name == github.repository"
OF_THIS_MACHINE = {"sandbox", "cluster"}
STACKS = sorted({file.stem.removeprefix("Pulumi.") for file in Path("stacks").glob("Pulumi.*.yaml")} - OF_THIS_MACHINE)


def read(file: Path) -> dict[str, Any]:
    """As text: `on` is a boolean in YAML 1.1."""
    document: dict[str, Any] = yaml.load(file.read_text(), Loader=yaml.BaseLoader)
    return document


def jobs() -> dict[str, dict[str, Any]]:
    return {f"{name}/{job}": body for name, file in WORKFLOWS.items() for job, body in read(file)["jobs"].items()}


def commands() -> list[str]:
    github = [step["run"] for job in jobs().values() for step in job["steps"] if "run" in step]
    gitlab = [line for job in read(GITLAB).values() if isinstance(job, dict) for line in job.get("script", [])]
    return [line for text in github + gitlab for line in text.splitlines()]


def test_there_is_one_of_each() -> None:
    assert set(WORKFLOWS) == {"preview", "up", "refresh", "test"}


def test_every_action_is_pinned_by_digest_with_its_version() -> None:
    uses = [line for file in WORKFLOWS.values() for line in file.read_text().splitlines() if "uses:" in line]
    assert len(uses) > 10
    assert [
        line for line in uses if not re.search(r"uses: actions/[a-z/-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line)
    ] == []


def test_one_version_of_an_action_has_one_digest() -> None:
    text = "".join(file.read_text() for file in WORKFLOWS.values())
    pins = set(re.findall(r"actions/([a-z-]+)[a-z/-]*@([0-9a-f]{40}) # (v\S+)", text))
    assert len(pins) == len({name for name, _, _ in pins})


@pytest.mark.parametrize("name", WORKFLOWS)
def test_nothing_is_permitted_but_what_a_job_asks_for(name: str) -> None:
    assert read(WORKFLOWS[name])["permissions"] == {}


def test_jobs_ask_for_no_more_than_they_need() -> None:
    assert {name: job["permissions"] for name, job in jobs().items()} == {
        "preview/report": {"contents": "read"},
        "preview/comment": {"contents": "read", "pull-requests": "write"},
        "up/up": {"contents": "read"},
        "refresh/refresh": {"contents": "write", "pull-requests": "write"},
        "test/lint": {"contents": "read"},
        "test/test": {"contents": "read"},
    }


def test_a_fork_s_pull_request_never_sees_a_token() -> None:
    preview = read(WORKFLOWS["preview"])
    assert list(preview["on"]) == ["pull_request"], "pull_request_target would run with secrets"
    assert preview["jobs"]["report"]["if"] == SAME_REPOSITORY
    assert preview["jobs"]["comment"]["needs"] == "report"
    assert "needs.report.result != 'skipped'" in preview["jobs"]["comment"]["if"]
    rules = [read(GITLAB)[job]["rules"][0]["if"] for job in ("report", "note")]
    assert all("$CI_MERGE_REQUEST_SOURCE_PROJECT_ID == $CI_PROJECT_ID" in rule for rule in rules)
    others = {name: read(WORKFLOWS[name])["on"] for name in ("up", "refresh")}
    assert not any("pull_request" in events for events in others.values())


def test_tests_of_a_fork_run_without_any_secret() -> None:
    assert "secrets." not in WORKFLOWS["test"].read_text()
    assert "pull_request_target" not in WORKFLOWS["test"].read_text()


def test_code_of_a_pull_request_never_runs_beside_a_token_that_may_write() -> None:
    comment = jobs()["preview/comment"]
    assert "secrets." not in str(comment)
    checkout = comment["steps"][0]["with"]
    assert checkout["ref"] == "${{ github.event.pull_request.base.sha }}"
    assert "github.token" not in str(jobs()["preview/report"])
    assert "git checkout --quiet FETCH_HEAD -- tools/ci" in read(GITLAB)["note"]["script"]


def test_no_checkout_keeps_its_credentials() -> None:
    checkouts = [step for job in jobs().values() for step in job["steps"] if "actions/checkout" in step.get("uses", "")]
    assert len(checkouts) == len(jobs())
    assert all(step["with"]["persist-credentials"] == "false" for step in checkouts)


def test_no_text_of_others_becomes_shell() -> None:
    assert [command for command in commands() if "${{" in command] == []


def test_one_run_at_a_time_works_on_a_stack() -> None:
    github, gitlab = jobs(), read(GITLAB)
    assert github["up/up"]["concurrency"] == {"group": "up-${{ matrix.stack }}", "cancel-in-progress": "false"}
    assert github["up/up"]["strategy"]["max-parallel"] == "1"
    assert "matrix.stack" in github["preview/report"]["concurrency"]["group"]
    assert gitlab[".up"]["resource_group"] == "up-$STACK"
    assert gitlab[".up"]["interruptible"] == "false"
    assert gitlab["up prod"]["needs"] == ["up dev"]


def test_all_stacks_are_served() -> None:
    github, gitlab = jobs(), read(GITLAB)
    assert github["up/up"]["strategy"]["matrix"]["stack"] == STACKS
    assert github["preview/report"]["strategy"]["matrix"]["stack"] == STACKS
    assert gitlab["report"]["parallel"]["matrix"] == [{"STACK": STACKS}]
    assert [f"up {stack}" in gitlab for stack in STACKS] == [True] * len(STACKS)
    refreshes = [shlex.split(command.partition(">")[0])[1:] for command in commands() if "tools/ci/refresh" in command]
    assert refreshes == [STACKS, STACKS]


def test_up_runs_on_main_alone() -> None:
    assert read(WORKFLOWS["up"])["on"] == {"push": {"branches": ["main"]}, "workflow_dispatch": ""}
    assert read(GITLAB)[".up"]["rules"] == [
        {"if": '$CI_PIPELINE_SOURCE != "schedule" && $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH'}
    ]


def test_every_job_ends() -> None:
    assert all(int(job["timeout-minutes"]) <= 180 for job in jobs().values())


def test_what_is_run_exists() -> None:
    known = {command.callback.__name__ for command in app.registered_commands if command.callback}
    assert set(re.findall(r"\./node-images ([a-z-]+)", "\n".join(commands()))) <= known
    scripts = set(re.findall(r"(?:tools|toolchain)/[a-z/-]+(?=\s|$)", "\n".join(commands()))) - {"tools/ci"}
    assert scripts >= {"toolchain/run", "tools/ci/refresh", "tools/ci/gitlab-note", "tools/ci/github-comment"}
    assert [script for script in scripts if not os.access(script, os.X_OK)] == []
