"""A scanner is asked of each bill of a stack, and what it found stays beside the bill."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.__main__ import app
from tests.cli.test_diff import trivy

BILL = "debian-13-kube-1.36.4-0a1b2c3d-amd64.cdx.json"
FOUND = trivy(("CVE-1", "CRITICAL", "openssl"), ("CVE-2", "LOW", "bash"), ("CVE-3", "LOW", "bash"))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    (tmp_path / "bin").mkdir()
    made = tmp_path / "sboms" / "prod"
    made.mkdir(parents=True)
    (made / BILL).write_text("{}")
    return made


def scanner(folder: Path, name: str, script: str) -> None:
    file = folder.parents[1] / "bin" / name
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def scan(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["scan", "--stack", "prod", *arguments])


def test_counts_are_shown_and_the_report_stays(folder: Path) -> None:
    scanner(folder, "trivy", f"echo \"$@ $TRIVY_FORMAT\" >{folder}/asked; cat <<'EOF'\n{json.dumps(FOUND)}\nEOF")
    result = scan()
    assert result.exit_code == 0, result.output
    assert result.stdout == "debian-13-kube-1.36.4-0a1b2c3d-amd64: 1 critical, 2 low (trivy)\n"
    assert json.loads((folder / "debian-13-kube-1.36.4-0a1b2c3d-amd64.trivy.json").read_text()) == FOUND
    assert (folder / "asked").read_text() == f"sbom sboms/prod/{BILL} json\n"


def test_reports_of_images_that_are_gone_go(folder: Path) -> None:
    scanner(folder, "grype", "echo '{\"matches\": []}'")
    (folder / "old-amd64.grype.json").write_text("{}")
    assert "none known (grype)" in scan("--scanner", "grype").stdout
    assert not (folder / "old-amd64.grype.json").exists()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("echo 'no database' >&2; exit 1", "trivy failed: no database"),
        ("echo hello", "wrote no report that is known here"),
    ],
)
def test_a_scanner_that_fails_is_told(folder: Path, script: str, said: str) -> None:
    scanner(folder, "trivy", script)
    result = scan()
    assert result.exit_code == 1
    assert said in result.stderr
    assert BILL in result.stderr


def test_without_a_scanner_it_says_which_there_are(folder: Path) -> None:
    result = scan("--scanner", "grype")
    assert result.exit_code == 1
    assert "no grype is on PATH" in result.stderr
    assert "https://trivy.dev" in result.stderr


def test_without_bills_it_says_where_they_would_be(folder: Path) -> None:
    (folder / BILL).unlink()
    assert "sboms/prod: \n    no bill of materials is there" in scan().stderr
