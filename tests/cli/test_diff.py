"""Two images side by side: what differs, in the words of the report, and what nobody knows is said."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from images.findings import read_scan
from tests.exports import earlier, exports, image

OLD_INPUTS = {"asOf": "20261101T000000Z", "packages": "a", "step kernel": "1", "source kernel": "1", "file runc": "r"}
NEW_INPUTS = {**OLD_INPUTS, "asOf": "20261115T000000Z", "step kernel": "2", "source kernel": "2"}
OLD = image("1.35.8", digest="0000aaaa", inputs=OLD_INPUTS, disks={"amd64": 40}, snapshots={"amd64": 7})
NEW = image(
    inputs=NEW_INPUTS,
    disks={"amd64": 80},
    sizes={"amd64": 0.41},
    components={**image()["components"], "runc": "1.4.5"},
)
KEPT = earlier()


def bill(name: str, **versions: str) -> dict[str, Any]:
    packages = [{"name": key, "version": version, "type": "library"} for key, version in versions.items()]
    programs = [
        {"name": "kubelet", "version": name.split("-")[3], "type": "application"},
        {"name": "containerd", "version": "2.3.3", "type": "application"},
    ]
    return {"components": [*packages, *programs]}


def trivy(*findings: tuple[str, str, str]) -> dict[str, Any]:
    items = [
        {"VulnerabilityID": id, "Severity": severity, "PkgName": package, "InstalledVersion": "1"}
        for id, severity, package in findings
    ]
    return {"SchemaVersion": 2, "Results": [{"Class": "os-pkgs", "Target": "t", "Vulnerabilities": items}]}


@pytest.fixture(autouse=True)
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the bills of two images, of which both were scanned."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    folder = tmp_path / "sboms" / "sandbox"
    folder.mkdir(parents=True)
    for record, versions, found in (
        (OLD, {"bash": "5.2", "tree": "2.1", "openssl": "3.5.1"}, [("CVE-1", "HIGH", "openssl")]),
        (NEW, {"bash": "5.2", "htop": "3.4", "openssl": "3.5.2"}, [("CVE-2", "LOW", "bash")]),
    ):
        key = f"{record['name']}-amd64"
        (folder / f"{key}.cdx.json").write_text(json.dumps(bill(record["name"], **versions)))
        (folder / f"{key}.trivy.json").write_text(json.dumps(trivy(*found)))
    return tmp_path


def diff(*arguments: str, kept: tuple[dict[str, Any], ...] = (KEPT,)) -> str:
    result = CliRunner().invoke(
        app, ["diff", *arguments, "--exports", "-"], input=json.dumps(exports(OLD, NEW, kept=kept))
    )
    assert result.exit_code == 0, result.output
    return result.stdout


def test_the_terminal_tells_all_that_differs() -> None:
    text = diff(OLD["name"], NEW["name"])
    for part in (
        "2 components, 2 parts of the recipe, 3 packages differ",
        "1.35.8",
        "1.4.5",
        "asOf 2026-11-01 → 2026-11-15",
        "step kernel edited",
        "1 changed, 1 added, 1 removed",
        "openssl",
        "0.41 GB",
        "80 GB",
        "1 high → 1 low; 1 new, 1 gone",
        "CVE-2 (low)",
    ):
        assert part in text, part
    assert "2.3.4" not in text, "containerd is the same"
    assert "Not known" not in text


def test_markdown_has_every_component_and_the_tables_of_the_report() -> None:
    text = diff(OLD["name"], NEW["name"], "--format", "markdown")
    for part in (
        f"**`{OLD['name']}` → `{NEW['name']}`**: 2 components",
        "| **runc** | 1.4.4 | **1.4.5** |",
        "| containerd | 2.3.4 | 2.3.4 |",
        "| **disk amd64** | 40 GB | **80 GB** |",
        "- step kernel edited",
        "| htop | - | 3.4 |",
        "| CVE-1 (high) | openssl 1 | - |",
    ):
        assert part in text, part


def test_json_is_for_programs() -> None:
    found = json.loads(diff(OLD["name"], NEW["name"], "--format", "json"))
    assert (found["before"], found["after"]) == (OLD["name"], NEW["name"])
    assert {"name": "runc", "old": "1.4.4", "new": "1.4.5"} in found["components"]
    assert found["recipe"] == ["asOf 2026-11-01 → 2026-11-15", "step kernel edited"]
    assert [item["name"] for item in found["packages"][0]["added"]] == ["htop"]
    assert [item["id"] for item in found["vulnerabilities"][0]["gone"]] == ["CVE-1"]
    assert found["unknown"] == []


@pytest.mark.parametrize("called", ["debian-13/1.35.8", "0000aaaa", "7"])
def test_an_image_is_called_in_several_ways(called: str) -> None:
    assert json.loads(diff(called, "debian-13/1.36.4", "--format", "json"))["before"] == OLD["name"]


def test_generations_are_counted_backwards() -> None:
    oldest = earlier(digest="eeeeeeee", created="2026-01-01T00:00:00Z", snapshots={"amd64": 1})
    for called, name in (("~0", NEW["name"]), ("~1", KEPT["name"]), ("~2", oldest["name"])):
        found = json.loads(diff(f"debian-13/1.36.4{called}", "7", "--format", "json", kept=(oldest, KEPT)))
        assert found["before"] == name


def test_what_nobody_knows_is_said() -> None:
    text = diff("debian-13/1.36.4~1", "debian-13/1.36.4")
    assert f"the bill of materials of {KEPT['name']} is not on this machine" in text
    assert f"parts of the recipe: not recorded of {KEPT['name']}" in text
    assert "0.32 GB" in text


def test_components_of_an_earlier_image_come_from_its_bill(checkout: Path) -> None:
    file = checkout / "sboms" / "sandbox" / f"{KEPT['name']}-amd64.cdx.json"
    file.write_text(json.dumps(bill(KEPT["name"], bash="5.1")))
    found = json.loads(diff("debian-13/1.36.4~1", "debian-13/1.36.4", "--format", "json"))
    assert [item["name"] for item in found["components"]] == ["kubernetes", "containerd"]
    assert {item["name"] for item in found["packages"][0]["changed"]} == {"bash"}


def test_the_same_image_twice() -> None:
    assert "the content is the same" in diff("7", "7")


@pytest.mark.parametrize("called", ["debian-13/1.36.5", "debian-13/1.36.4~9", "nothing"])
def test_an_image_that_is_not_there(called: str) -> None:
    result = CliRunner().invoke(app, ["diff", called, "7", "--exports", "-"], input=json.dumps(exports(OLD, NEW)))
    assert result.exit_code == 1
    assert f"image = {called}" in result.stderr
    assert "no image of the stack is called that" in result.stderr
    assert NEW["name"] in result.stderr


def test_scans_of_two_scanners_are_not_compared(checkout: Path) -> None:
    folder = checkout / "sboms" / "sandbox"
    (folder / f"{OLD['name']}-amd64.trivy.json").rename(folder / f"{OLD['name']}-amd64.grype.json")
    assert json.loads(diff("7", "debian-13/1.36.4", "--format", "json"))["vulnerabilities"] == []


def test_grype_and_trivy_are_read_into_the_same() -> None:
    match = {
        "vulnerability": {"id": "GHSA-1", "severity": "Negligible", "fix": {"versions": ["2"]}},
        "relatedVulnerabilities": [{"id": "CVE-9"}],
        "artifact": {"name": "runc", "version": "1"},
    }
    found = read_scan("grype", json.dumps({"matches": [match, match]}))
    assert found
    (finding,) = found.findings
    assert (finding.id, finding.severity, finding.fixed) == ("CVE-9", "low", "2")
    assert found.counts == {"low": 1}
    assert read_scan("trivy", '{"matches": []}') is None
    assert read_scan("grype", "no JSON") is None


def test_a_vulnerability_in_several_packages_counts_once() -> None:
    found = read_scan("trivy", json.dumps(trivy(("CVE-1", "HIGH", "lvm2"), ("CVE-1", "HIGH", "dmsetup"))))
    assert found
    assert found.counts == {"high": 1}
    assert len(found.findings) == 2
