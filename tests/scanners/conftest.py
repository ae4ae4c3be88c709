"""trivy's and grype's own code, with a database of our own."""

import json
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from toolchain import scanners
from toolchain.layout import Layout
from toolchain.progress import Progress

HERE = Path(__file__).parent
Scan = Callable[[Path], set[tuple[str, str, str]]]
"""Of a bill: the program or `system`, package and vulnerability of each finding."""
Environment = dict[str, str]


@pytest.fixture(scope="session")
def programs() -> Path:
    """`make test` brings them before; whoever runs this file alone waits for it once."""
    return scanners.ensure(Layout.of(), Progress())


@pytest.fixture(scope="session")
def environment(programs: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Both scanners on PATH; they have our database for their own and ask nobody for another."""
    made = tmp_path_factory.mktemp("databases")
    subprocess.run([programs / "database", HERE / "advisories.json", made], check=True)
    return {
        **os.environ,
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TRIVY_CACHE_DIR": str(made / "trivy"),
        "GRYPE_DB_CACHE_DIR": str(made / "grype"),
        "GRYPE_DB_AUTO_UPDATE": "false",
        "GRYPE_DB_VALIDATE_AGE": "false",
        "GRYPE_CHECK_FOR_APP_UPDATE": "false",
    }


@pytest.fixture(scope="session")
def trivy(environment: Environment) -> Scan:
    def scan(bill: Path) -> set[tuple[str, str, str]]:
        return trivy_findings(run(["trivy", "sbom", bill], environment))

    return scan


@pytest.fixture(scope="session")
def grype(environment: Environment) -> Scan:
    def scan(bill: Path) -> set[tuple[str, str, str]]:
        return grype_findings(run(["grype", f"sbom:{bill}", "--output", "json"], environment))

    return scan


def run(command: list[str | Path], environment: Environment) -> Any:
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "Unsupported os" not in done.stderr
    return json.loads(done.stdout)


def trivy_findings(report: Any) -> set[tuple[str, str, str]]:
    return {
        ("system" if result["Class"] == "os-pkgs" else result["Target"], item["PkgName"], item["VulnerabilityID"])
        for result in report["Results"]
        for item in result.get("Vulnerabilities", [])
    }


def grype_findings(report: Any) -> set[tuple[str, str, str]]:
    """grype does not tell which program a module is in; the reference in the bill does."""
    return {
        (_owner(item["artifact"]), item["artifact"]["name"], item["vulnerability"]["id"]) for item in report["matches"]
    }


def _owner(artifact: Any) -> str:
    return re.sub(r":[^:]*$", "", artifact["id"]) if artifact["type"] == "go-module" else "system"
