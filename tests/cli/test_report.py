"""`./node-images report`: what a reviewer reads of a preview that the engine really made (tests/cli/pull_request/).

The preview, the API's answers and the bills of materials were recorded in the sandbox, and cut down to what is read.
"""

import json
import threading
from collections.abc import Iterator
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
import yaml
from click.testing import Result
from typer.testing import CliRunner

from cli import engine
from cli.__main__ import app
from cli.comment import LONGEST, marker, money
from tests.images.previews import OLD, build, document, record

RECORDED = Path(__file__).with_name("pull_request").absolute()
PREVIEW = RECORDED / "preview.json"
PAGE = Path("docs/pull-requests.md").absolute()
QUIET = document()


class Api(BaseHTTPRequestHandler):
    """The recorded answers, to a token that may only read."""

    written: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        file = RECORDED / f"{self.path.rpartition('/v1/')[2].partition('?')[0]}.json"
        body = file.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.written.append(f"{self.command} {self.path}")
        self.send_error(403)

    do_PUT = do_DELETE = do_POST  # noqa: N815 - http.server's names

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, api: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the stack file of the recorded pull request, which says where the API is."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("PULUMI_STACK", "HCLOUD_TOKEN", "HCLOUD_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    config = {
        "hcloud:endpoint": api,
        "hcloud:token": "t" * 64,
        "node-images:images": [{"os": "debian-13", "kubernetes": ["1.36.4", "1.35.8"]}],
        "node-images:asOf": "2026-11-15",
        "node-images:sboms": str(RECORDED / "bills"),
    }
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks" / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": config}))
    return tmp_path


def report(*arguments: str, given: object = None) -> Result:
    return CliRunner().invoke(app, ["report", *arguments], input=None if given is None else json.dumps(given))


def comment(*arguments: str, given: object = None) -> str:
    result = report("--markdown", *arguments, given=given)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_comment_tells_all_of_the_change() -> None:
    text = comment("--stack", "prod", "--preview", str(PREVIEW))
    assert text.startswith(f"{marker('prod')}\n")
    for part in (
        "**Node images of `prod`**: 1 added, 1 rebuilt, 2 kept.",
        "containerd 2.3.3 → 2.3.4<br>asOf 2026-11-01 → 2026-11-15<br>step own-10-tree added",
        "debian-13/1.35.8 is new<br>kubernetes 1.35.7 → 1.35.8",
        "a server was created from it: workers-md-0-x7k2p",
        "about +0.003 EUR a month",
        "3 of 30 snapshots now, 5 after; 1 server now, 3 while it builds",
        "| **containerd** | 2.3.3 | **2.3.4** |",
        "| runc | 1.4.3 | 1.4.3 |",
        "Packages of debian-13/1.36.4 (amd64): 1 added",
        "| tree | - | 2.2.1-1 |",
    ):
        assert part in text


def test_the_page_shows_this_report(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it is stale, put in its place what this prints."""
    monkeypatch.setenv("COLUMNS", "110")
    lines = (line.rstrip() for line in report("--preview", str(PREVIEW)).stdout.splitlines())
    page = PAGE.read_text()
    for shown in (
        f"<!-- report -->\n{comment('--preview', str(PREVIEW))}<!-- /report -->",
        "\n".join(["```text", *lines, "```"]),
    ):
        assert shown in page, f"{PAGE.name} is stale. Write:\n\n{shown}"


def test_the_terminal_shows_the_same() -> None:
    result = report("--preview", str(PREVIEW))
    assert result.exit_code == 0, result.output
    for part in (
        "prod: 1 added, 1 rebuilt, 2 kept.",
        "containerd 2.3.3 → 2.3.4",
        "+0.003 EUR a month",
        "tree",
        "2.2.1-1",
    ):
        assert part in result.stdout


def test_a_report_only_reads() -> None:
    comment("--preview", str(PREVIEW))
    assert Api.written == []


def test_an_empty_change_is_one_line() -> None:
    text = comment("--preview", "-", given=QUIET)
    assert text == f"{marker('prod')} **Node images of `prod`**: no image changes (1 in all, 0.003 EUR a month).\n"


def test_an_empty_change_with_warnings_is_one_line() -> None:
    (line,) = comment("--preview", "-", "--snapshot-limit", "1", given=QUIET).splitlines()
    assert "Warning: 3 snapshots while it builds, but the limit is 1" in line


def test_limits_come_from_the_environment_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODE_IMAGES_SNAPSHOT_LIMIT", "4")
    monkeypatch.setenv("NODE_IMAGES_SERVER_LIMIT", "2")
    text = comment("--preview", str(PREVIEW))
    assert "> - 5 snapshots while it builds, but the limit is 4" in text
    assert "> - 3 servers while it builds, but the limit is 2" in text


def test_two_hundred_images_fit_into_a_comment() -> None:
    more = {"runc": "1.4.3", "crictl": "1.36.0", "cni-plugins": "1.9.1", "pause": "3.10.2"}

    def versions(name: str) -> dict[str, str]:
        return {"kubernetes": name.split("-")[3], "containerd": "2.3.3", **more}

    names = [f"debian-13-kube-1.{minor}.{patch}-0000{minor}{patch}" for minor in range(10, 30) for patch in range(10)]
    later = {name: f"{name[:-4]}ffff" for name in names}
    steps = [part for name in names for part in build(later[name], **{**more, "containerd": "9.9.9"})]
    text = comment(
        "--preview",
        "-",
        given=document(*steps, records=[{**record(name), "components": versions(name)} for name in names]),
    )
    assert LONGEST - 5000 < len(text) < LONGEST + 200
    assert all(name in text for name in later.values())
    assert "more tables do not fit" in text
    assert text.count("| **rebuilt** |") == 1, "the same reason is one row"


def test_text_of_others_stays_text() -> None:
    given = document(*build(f"{OLD[:-8]}evil0000", inputs={"lib.sh": "|", "node.<b>x|y</b>": "z"}))
    text = comment("--preview", "-", given=given)
    assert "&lt;b>x\\|y&lt;/b>" in text
    assert "<b>" not in text


def test_a_preview_with_errors_is_told_and_fails() -> None:
    given = {"diagnostics": [{"severity": "error", "message": "error: stacks/Pulumi.prod.yaml: ```no such system"}]}
    result = report("--stack", "prod", "--preview", "-", "--markdown", given=given)
    assert result.exit_code == 1
    assert result.stdout.startswith(marker("prod"))
    assert "the preview failed" in result.stdout
    assert "```text\nstacks/Pulumi.prod.yaml: '''no such system\n```" in result.stdout
    assert report("--stack", "prod", "--preview", "-", given=given).exit_code == 1


def test_without_the_api_the_rest_is_told(checkout: Path) -> None:
    file = checkout / "stacks" / "Pulumi.prod.yaml"
    document = yaml.safe_load(file.read_text())
    document["config"]["hcloud:endpoint"] = "http://127.0.0.1:1/v1"
    file.write_text(yaml.safe_dump(document))
    text = comment("--preview", str(PREVIEW))
    assert "1 added, 1 rebuilt, 2 kept." in text
    assert "> - costs and quotas are not known: http://127.0.0.1:1/v1 does not answer (ConnectionError)" in text
    del document["config"]["hcloud:token"]
    file.write_text(yaml.safe_dump(document))
    assert "costs and quotas are not known: no API token" in comment("--preview", str(PREVIEW))


@pytest.mark.parametrize(
    ("arguments", "given", "said"),
    [
        (["--preview", "nowhere.json"], None, "nowhere.json: \n    cannot be read (No such file or directory)"),
        (["--preview", "-"], "broken", "not JSON"),
        (
            ["--preview", "-"],
            '{"sequence": 0, "timestamp": 1}\n{"sequence": 1}\n',
            "unset PULUMI_ENABLE_STREAMING_JSON_PREVIEW",
        ),
        (["--preview", "-"], "[1, 2]", "not the output of `pulumi preview --json`"),
        (["--preview", "-"], json.dumps(document(records=[{"name": OLD}])), "images[0].snapshots"),
        (["--preview", str(PREVIEW), "--stack", "dev"], None, "it is a preview of stack prod"),
        (["--preview", "-"], json.dumps(QUIET).replace("pulumi:prod", "pulumi:gone"), "no readable stack file"),
    ],
)
def test_mistakes_are_told_in_words(arguments: list[str], given: str | None, said: str) -> None:
    result = CliRunner().invoke(app, ["report", *arguments], input=given)
    assert result.exit_code == 1
    assert said in result.stderr
    assert isinstance(result.exception, SystemExit), "no traceback"
    as_comment = CliRunner().invoke(app, ["report", "--markdown", *arguments], input=given)
    assert as_comment.exit_code == 1
    assert said in as_comment.stdout, "the comment of an earlier push must not stay as it is"


@pytest.fixture
def pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The engine's stand-in."""
    monkeypatch.setattr(engine, "ROOT", tmp_path)
    script = tmp_path / "pulumiw"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return script


def test_without_a_file_the_engine_is_asked(pulumi: Path) -> None:
    pulumi.write_text(f'#!/bin/sh\necho "$@" >arguments\ncat {PREVIEW}\n')
    assert "1 added, 1 rebuilt, 2 kept." in comment("--stack", "prod")
    assert pulumi.with_name("arguments").read_text() == "preview --json --show-sames --non-interactive --stack prod\n"


def test_an_engine_that_says_nothing(pulumi: Path) -> None:
    assert "the engine said nothing" in report("--stack", "prod").stderr


@pytest.mark.parametrize(("amount", "text"), [("0", "0.00"), ("0.0036", "0.004"), ("0.1", "0.10"), ("12.346", "12.35")])
def test_money(amount: str, text: str) -> None:
    assert money(Decimal(amount)) == text
