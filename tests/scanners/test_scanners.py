"""Scanners find in the bill of an image what they would find on the node: no less, and no more."""

import re
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.bills import known_of
from recipe.sbom import read_inventory, sbom
from tests.scanners.conftest import Environment, Scan
from tests.scanners.inventories import inventory

OF_PROGRAMS = {
    ("runc", "golang.org/x/net", "CVE-2026-0031"),
    ("kubelet", "stdlib", "CVE-2026-0032"),
    ("runc", "github.com/opencontainers/runc", "CVE-2026-0033"),
    ("kubelet", "k8s.io/kubernetes", "CVE-2026-0034"),
    ("kubelet", "k8s.io/client-go", "CVE-2026-0036"),
}
OF_DEBIAN = {
    ("system", "libssl3t64", "CVE-2026-0001"),
    ("system", "lvm2", "CVE-2026-0002"),
    ("system", "dmsetup", "CVE-2026-0002"),
    ("system", "linux-image-6.12.57+deb13-amd64", "CVE-2026-0004"),
}
OF_UBUNTU = {
    ("system", "libssl3t64", "CVE-2026-0011"),
    ("system", "linux-image-6.8.0-50-generic", "CVE-2026-0012"),
    ("system", "linux-modules-6.8.0-50-generic", "CVE-2026-0012"),
}
OF_ROCKY = {
    ("system", "openssl-libs", "CVE-2026-0021"),
    ("system", "kernel-core", "CVE-2026-0025"),
}
# trivy knows advisories of Rocky Linux, by package and stream; grype those of Red Hat, by package and by source package.
OF_STREAMS = {("system", "nodejs", "CVE-2026-0024")}
OF_SOURCES = {("system", "openssl-libs", "CVE-2026-0022")}


def bill(folder: Path, of: str) -> Path:
    file = folder / f"{of}.cdx.json"
    file.write_text(sbom(f"{of}-kube-1.36.4-0a1b2c3d", read_inventory(inventory(of))))
    return file


@pytest.mark.parametrize(
    ("of", "expected"), [("debian-13", OF_DEBIAN), ("ubuntu-24.04", OF_UBUNTU), ("rocky-9", OF_ROCKY | OF_STREAMS)]
)
def test_trivy(of: str, expected: set[tuple[str, str, str]], trivy: Scan, tmp_path: Path) -> None:
    assert trivy(bill(tmp_path, of)) == expected | OF_PROGRAMS


@pytest.mark.parametrize(
    ("of", "expected"), [("debian-13", OF_DEBIAN), ("ubuntu-24.04", OF_UBUNTU), ("rocky-9", OF_ROCKY | OF_SOURCES)]
)
def test_grype(of: str, expected: set[tuple[str, str, str]], grype: Scan, tmp_path: Path) -> None:
    assert grype(bill(tmp_path, of)) == expected | OF_PROGRAMS


def test_the_commands_of_the_page(environment: Environment, tmp_path: Path) -> None:
    page = Path("docs/how-to/scan-for-cves.md").read_text()
    block, _ = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    file = tmp_path / re.findall(r"sboms/\S+", block)[0]
    file.parent.mkdir(parents=True)
    bill(tmp_path, "debian-13").rename(file)
    said = [
        subprocess.run(
            line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
        ).stdout
        for line in block.splitlines()
    ]
    assert len(said) == 2
    for output in said:
        assert "CVE-2026-0001" in output
        assert "CVE-2026-0033" in output


@pytest.mark.parametrize("scanner", ["trivy", "grype"])
def test_the_command_of_the_product(
    scanner: str, environment: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It counts what the scanner itself finds, and the catalogue and diff read it from beside the bill."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "sboms" / "prod"
    folder.mkdir(parents=True)
    name = "debian-13-kube-1.36.4-0a1b2c3d"
    bill(tmp_path, "debian-13").rename(folder / f"{name}-amd64.cdx.json")
    result = CliRunner().invoke(app, ["scan", "--stack", "prod", "--scanner", scanner])
    assert result.exit_code == 0, result.output
    ids = {found for _, _, found in OF_DEBIAN | OF_PROGRAMS}
    # Our database has no severities of vendors, which trivy goes by.
    severity = {"trivy": "unknown", "grype": "high"}[scanner]
    assert result.stdout == f"{name}-amd64: {len(ids)} {severity} ({scanner})\n"
    (scan,) = known_of(name, tmp_path / "sboms").scans.values()
    assert {item.id for item in scan.findings} == ids
    assert all(item.fixed for item in scan.findings)
