"""A pull request and its report, with the real engine: it tells exactly what changed, and neither preview nor report writes."""

import json
import re
from pathlib import Path

import pytest

from tests.e2e.read_only import read_only
from tests.e2e.workspace import Workspace

FIRST, SECOND = "1.36.4", "1.35.8"


@pytest.fixture(scope="module", autouse=True)
def merged(small: Workspace) -> str:
    """What main has: one version, with an older containerd. Returns the catalogue of the pull request."""
    catalog = small.root / "recipe" / "catalog.yaml"
    later = catalog.read_text()
    catalog.write_text(
        later.replace(
            "containerd: 2.3.4, runc: 1.4.3, crictl: 1.36.0", "containerd: 2.3.3, runc: 1.4.3, crictl: 1.36.0"
        )
    )
    small.declare(FIRST)
    small.settle()
    return later


def report(small: Workspace, *arguments: str) -> str:
    result = small.run("./node-images", "report", "--markdown", *arguments)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def state(small: Workspace) -> dict[Path, bytes]:
    return {
        file: file.read_bytes() for file in sorted((small.root / ".pulumi" / ".pulumi").rglob("*")) if file.is_file()
    }


def test_a_change_that_does_nothing_is_one_line(small: Workspace) -> None:
    (line,) = report(small, "--stack", "sandbox").splitlines()
    assert "no image changes (1 in all" in line


def test_a_pull_request_is_told_exactly(small: Workspace, merged: str) -> None:
    (small.root / "recipe" / "catalog.yaml").write_text(merged)
    small.declare(FIRST, SECOND)
    small.configure(asOf="2026-11-01", node={"sysctls": {"net.core.somaxconn": 4096}})
    before, old = state(small), small.output("snapshots")[f"debian-13/{FIRST}"]
    with read_only(small.endpoint) as (endpoint, refused):
        small.configure(hcloud__endpoint=endpoint)
        preview = small.run("./pulumiw", "preview", "--json", "--stack", "sandbox")
        assert preview.returncode == 0, preview.stderr
        (small.root / "preview.json").write_text(preview.stdout)
        text = report(small, "--preview", "preview.json")
    small.configure(hcloud__endpoint=small.endpoint)
    assert refused == []
    assert state(small) == before
    made = [step["urn"].rpartition("::")[2] for step in json.loads(preview.stdout)["steps"] if step["op"] == "create"]
    (new,) = {name.removesuffix("-amd64") for name in made if re.fullmatch(rf"debian-13-kube-{FIRST}-\w+-amd64", name)}
    reasons = "containerd 2.3.3 → 2.3.4<br>asOf none → 2026-11-01<br>node.sysctls changed"
    assert f"| **rebuilt** | `{new}` amd64 | {reasons} |" in text
    assert f"amd64 | debian-13/{SECOND} is new |" in text
    assert f"| **kept** | `{old}` amd64 | earlier build of debian-13/{FIRST} |" in text
    assert "1 added, 1 rebuilt, 1 kept." in text
    assert "EUR once for building" in text
    assert "1 of 30 snapshots now, 3 after" in text


def test_a_pull_request_with_a_mistake_is_told(small: Workspace) -> None:
    small.configure(images=[{"os": "debian-99", "kubernetes": FIRST}])
    result = small.run("./node-images", "report", "--markdown", "--stack", "sandbox")
    assert result.returncode == 1
    assert "the preview failed" in result.stdout
    assert "images[0].os = debian-99" in result.stdout
    assert "Traceback" not in result.stdout + result.stderr


def test_a_stack_that_does_not_exist(small: Workspace) -> None:
    result = small.run("./node-images", "report", "--stack", "nowhere")
    assert result.returncode == 1
    assert "no stack named 'nowhere' found" in result.stderr
    assert "Traceback" not in result.stderr
