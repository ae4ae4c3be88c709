"""The shell parts of the CI files, run with stand-ins of `gh`, `curl` and the hosts' APIs."""

import json
import os
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

SCRIPTS = Path("tools/ci").absolute()
REPORT = "<!-- node-images report: prod -->\n\n**Node images of `prod`**: 1 added; `$(touch /tmp/x)`\n"
OTHER = "<!-- node-images report: dev -->"


@pytest.fixture
def report(tmp_path: Path) -> Path:
    file = tmp_path / "report.md"
    file.write_text(REPORT)
    return file


@pytest.fixture
def stub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Put a program ahead of all others on PATH."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

    def write(name: str, text: str) -> None:
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)

    return write


def run(*command: str | Path, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(word) for word in command],
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


# --- GitHub: the comment ---

GH = """#!/bin/bash
# `gh api`: comments are in comments.json, as the API gives them; --jq is evaluated, writes are noted.
set -euo pipefail
cd "$STUB"
[[ $1 == api ]]
case "$*" in
    *"--jq "*) [[ $3 == repos/o/r/issues/7/comments ]] && jq --raw-output "${@: -1}" comments.json ;;
    *) printf '%s\\n' "$*" >>written; field=${@: -1}; cp "${field#body=@}" body ;;
esac
"""


@pytest.fixture
def github(tmp_path: Path, stub: Any) -> Any:
    stub("gh", GH)

    def comment(report: Path, *comments: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        (tmp_path / "comments.json").write_text(json.dumps(comments))
        return run(SCRIPTS / "github-comment", "7", report, GH_REPO="o/r", STUB=str(tmp_path))

    return comment


def of(login: str, body: str, number: int = 1) -> dict[str, Any]:
    return {"id": number, "user": {"login": login}, "body": body}


BOT = "github-actions[bot]"


def test_the_first_report_is_a_new_comment(github: Any, report: Path, tmp_path: Path) -> None:
    others = [of(BOT, f"{OTHER} of another stack"), of("person", REPORT), of(BOT, "Something else\n" + REPORT)]
    result = github(report, *others)
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "written").read_text().split()[1:5] == [
        "--silent",
        "--method",
        "POST",
        "repos/o/r/issues/7/comments",
    ]
    assert (tmp_path / "body").read_text() == REPORT


def test_the_next_report_takes_its_place(github: Any, report: Path, tmp_path: Path) -> None:
    comments = [of(BOT, OTHER, 1), of(BOT, REPORT.replace("1 added", "2 added"), 2), of(BOT, REPORT, 3)]
    result = github(report, *comments)
    assert result.returncode == 0, result.stderr
    (line,) = (tmp_path / "written").read_text().splitlines()
    assert line.split()[3:5] == ["PATCH", "repos/o/r/issues/comments/2"]


def test_a_list_that_cannot_be_had_adds_no_second_comment(github: Any, report: Path, tmp_path: Path, stub: Any) -> None:
    stub("gh", GH.replace("jq --raw-output", "false #"))
    assert github(report).returncode != 0
    assert not (tmp_path / "written").exists()


@pytest.mark.parametrize("script", ["github-comment", "gitlab-note"])
def test_what_is_no_report_is_not_posted(script: str, tmp_path: Path, stub: Any) -> None:
    stub("gh", "#!/bin/sh\ntouch posted")
    stub("curl", "#!/bin/sh\ntouch posted")
    empty = tmp_path / "empty.md"
    empty.write_text("")
    arguments = ["7", empty] if script == "github-comment" else [empty]
    gitlab = {"CI_API_V4_URL": "http://127.0.0.1:1", "CI_PROJECT_ID": "1", "CI_MERGE_REQUEST_IID": "7"}
    result = run(SCRIPTS / script, *arguments, cwd=tmp_path, GH_REPO="o/r", **gitlab)
    assert result.returncode != 0
    assert "is no report" in result.stderr
    assert not (tmp_path / "posted").exists()


# --- GitLab: the note ---


class GitLab(ThreadingHTTPServer):
    """Notes of merge request 7, two a page; `writes` are the requests that changed something."""

    notes: list[dict[str, Any]]
    closed: bool
    writes: list[tuple[str, str]]
    tokens: set[str]


class Notes(BaseHTTPRequestHandler):
    server: GitLab

    def do_GET(self) -> None:
        self.server.tokens.add(self.headers["PRIVATE-TOKEN"])
        if self.path == "/user":
            return self.answer({"id": 5})
        if self.server.closed:
            return self.send_error(403)
        page = int(parse_qs(urlsplit(self.path).query)["page"][0])
        rest = self.server.notes[2 * page :]
        return self.answer(self.server.notes[2 * page - 2 : 2 * page], str(page + 1) if rest else "")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        assert REPORT.strip() in body.replace("\r\n", "\n")
        self.server.writes.append((self.command, self.path))
        self.answer({})

    do_PUT = do_POST  # noqa: N815 - http.server's name

    def answer(self, document: object, next_page: str = "") -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("X-Next-Page", next_page)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def gitlab() -> Iterator[GitLab]:
    server = GitLab(("127.0.0.1", 0), Notes)
    server.notes, server.writes, server.tokens, server.closed = [], [], set(), False
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def note(server: GitLab, report: Path) -> subprocess.CompletedProcess[str]:
    url = f"http://127.0.0.1:{server.server_port}"
    variables = {"CI_API_V4_URL": url, "CI_PROJECT_ID": "1", "CI_MERGE_REQUEST_IID": "7", "GITLAB_TOKEN": "secret"}
    return run(SCRIPTS / "gitlab-note", report, **variables)


def by(author: int, body: str, number: int) -> dict[str, Any]:
    return {"id": number, "author": {"id": author}, "body": body}


def test_the_first_report_is_a_new_note(gitlab: GitLab, report: Path) -> None:
    gitlab.notes = [by(6, REPORT, 1), by(5, OTHER, 2), by(5, "text", 3)]
    result = note(gitlab, report)
    assert result.returncode == 0, result.stderr
    assert gitlab.writes == [("POST", "/projects/1/merge_requests/7/notes")]
    assert gitlab.tokens == {"secret"}


def test_the_next_report_takes_the_place_of_a_note_on_a_later_page(gitlab: GitLab, report: Path) -> None:
    gitlab.notes = [by(6, REPORT, 1), by(5, OTHER, 2), by(5, "text", 3), by(5, "text", 4), by(5, REPORT, 9)]
    result = note(gitlab, report)
    assert result.returncode == 0, result.stderr
    assert gitlab.writes == [("PUT", "/projects/1/merge_requests/7/notes/9")]


def test_notes_that_cannot_be_had_add_no_second_one(gitlab: GitLab, report: Path) -> None:
    gitlab.closed = True
    assert note(gitlab, report).returncode != 0
    assert gitlab.writes == []


# --- the refresh ---

NODE_IMAGES = """#!/bin/bash
echo "$*" >>calls
case "$1 $3" in
    "artifacts dev") echo https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet ;;
    "artifacts prod")
        echo https://dl.k8s.io/release/v1.36.4/bin/linux/amd64/kubelet
        echo https://dl.k8s.io/release/v1.35.8/bin/linux/amd64/kubelet
        echo https://github.com/opencontainers/runc/releases/download/v1.4.3/runc.amd64 ;;
    "refresh "*) echo "stacks/Pulumi.$3.yaml: asOf 2026-11-01 → 2026-11-25" ;;
esac
"""


@pytest.fixture
def checkout(tmp_path: Path, stub: Any) -> Path:
    """A checkout with the scripts, the command's stand-in, and a remote beside it."""
    root = tmp_path / "checkout"
    (root / "tools" / "ci").mkdir(parents=True)
    for script in SCRIPTS.iterdir():
        (root / "tools" / "ci" / script.name).write_text(script.read_text())
        (root / "tools" / "ci" / script.name).chmod(0o755)
    (root / "node-images").write_text(NODE_IMAGES)
    (root / "node-images").chmod(0o755)
    for name in ("stacks/Pulumi.prod.yaml", "recipe/lock.yaml", "other.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("before\n")
    stub("curl", '#!/bin/bash\n[[ ${*: -1} =~ stable-([0-9.]+).txt ]] && printf %s "v${BASH_REMATCH[1]}.9"\n')
    git = ["git", "-c", "user.name=n", "-c", "user.email=e"]
    for command in (
        ["git", "init", "--quiet", "--bare", "../remote.git"],
        ["git", "init", "--quiet", "--initial-branch=main"],
        ["git", "remote", "add", "origin", "../remote.git"],
        ["git", "add", "."],
        [*git, "commit", "--quiet", "--message=first"],
        ["git", "push", "--quiet", "origin", "main"],
    ):
        result = run(*command, cwd=root)
        assert result.returncode == 0, result.stderr
    return root


def test_declared_and_newest_releases_are_locked_once_each(checkout: Path) -> None:
    result = run("tools/ci/lock", "dev", "prod", cwd=checkout)
    assert result.returncode == 0, result.stderr
    assert (checkout / "calls").read_text().splitlines()[-1] == "lock 1.35.8 1.36.4 1.35.9 1.36.9"


def test_nothing_is_locked_where_the_newest_release_cannot_be_asked_for(checkout: Path, stub: Any) -> None:
    stub("curl", "#!/bin/sh\nexit 22\n")
    assert run("tools/ci/lock", "prod", cwd=checkout).returncode != 0
    assert "lock" not in (checkout / "calls").read_text()


def test_a_refresh_prints_what_moved_alone(checkout: Path) -> None:
    result = run("tools/ci/refresh", "dev", "prod", cwd=checkout)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "stacks/Pulumi.dev.yaml: asOf 2026-11-01 → 2026-11-25",
        "stacks/Pulumi.prod.yaml: asOf 2026-11-01 → 2026-11-25",
    ]


GH_PR = """#!/bin/sh
echo "$*" >>"$STUB/gh"
case "$*" in "pr list"*) cat "$STUB/open" ;; esac
"""


@pytest.fixture
def pull_request(checkout: Path, tmp_path: Path, stub: Any) -> Any:
    stub("gh", GH_PR)
    (tmp_path / "open").write_text("")
    moves = tmp_path / "moves.txt"
    moves.write_text("asOf 2026-11-01 → 2026-11-25\n")

    def propose() -> tuple[subprocess.CompletedProcess[str], list[str]]:
        result = run("tools/ci/github-pull-request", moves, cwd=checkout, STUB=str(tmp_path), GH_REPO="o/r")
        calls = tmp_path / "gh"
        return result, calls.read_text().splitlines() if calls.exists() else []

    return propose


def pushed(checkout: Path) -> str:
    result = run("git", "show", "--stat", "--format=%B", "refresh", cwd=checkout.parent / "remote.git")
    return result.stdout


def test_nothing_moved_opens_nothing(pull_request: Any, checkout: Path) -> None:
    (checkout / "other.txt").write_text("after\n")
    result, calls = pull_request()
    assert (result.returncode, result.stdout, calls) == (0, "Nothing to refresh.\n", [])


def test_what_moved_becomes_a_pull_request(pull_request: Any, checkout: Path) -> None:
    for name in ("stacks/Pulumi.prod.yaml", "recipe/lock.yaml", "other.txt"):
        (checkout / name).write_text("after\n")
    result, calls = pull_request()
    assert result.returncode == 0, result.stderr
    assert calls[-1].startswith("pr create --head refresh --title Refresh images --body-file ")
    text = pushed(checkout)
    assert text.startswith("Refresh images\n\nasOf 2026-11-01 → 2026-11-25\n")
    assert "stacks/Pulumi.prod.yaml" in text
    assert "recipe/lock.yaml" in text
    assert "other.txt" not in text, "only what a refresh moves"


def test_an_open_pull_request_is_brought_up_to_date(pull_request: Any, checkout: Path, tmp_path: Path) -> None:
    (checkout / "stacks/Pulumi.prod.yaml").write_text("after\n")
    pull_request()
    run("git", "switch", "--quiet", "main", cwd=checkout)
    (checkout / "stacks/Pulumi.prod.yaml").write_text("later\n")
    (tmp_path / "open").write_text("12\n")
    result, calls = pull_request()
    assert result.returncode == 0, result.stderr
    assert calls[-1].startswith("pr edit 12 --body-file ")


def test_gitlab_makes_the_merge_request_of_the_push(checkout: Path, tmp_path: Path) -> None:
    (checkout / "stacks/Pulumi.prod.yaml").write_text("after\n")
    moves = tmp_path / "moves.txt"
    moves.write_text("asOf moved\n")
    run("git", "config", "receive.advertisePushOptions", "true", cwd=checkout.parent / "remote.git")
    hook = checkout.parent / "remote.git" / "hooks" / "post-receive"
    hook.write_text(f"#!/bin/sh\nenv | grep ^GIT_PUSH_OPTION_[0-9] >{tmp_path}/options\n")
    hook.chmod(0o755)
    project = {"CI_PROJECT_URL": str(checkout.parent / "remote"), "CI_DEFAULT_BRANCH": "main", "GITLAB_TOKEN": "secret"}
    result = run("tools/ci/gitlab-merge-request", moves, cwd=checkout, **project)
    assert result.returncode == 0, result.stderr
    options = (tmp_path / "options").read_text()
    for option in ("merge_request.create", "merge_request.target=main", "merge_request.title=Refresh images"):
        assert option in options
    assert pushed(checkout).startswith("Refresh images\n\nasOf moved\n")
