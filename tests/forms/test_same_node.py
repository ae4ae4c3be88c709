"""Whatever the form, the node is the same: a server made by cloud-init and an image made with curl, one whole build each.

tests/e2e/test_main_job.py has the image made by Packer, and holds it against the program's own.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.workspace import Workspace, booted, by_curl, first_boot_done, render_forms, rendered

MANIFEST = "cat /etc/node-image.json"


@pytest.fixture(scope="module")
def folder(workspace: Workspace, tmp_path_factory: pytest.TempPathFactory) -> Path:
    prepared = workspace.python("tools.prepare", "sandbox")
    assert prepared.returncode == 0, prepared.stderr
    return render_forms(workspace, tmp_path_factory.mktemp("forms"))


@pytest.fixture(scope="module")
def image_by_curl(workspace: Workspace, folder: Path) -> dict[str, Any]:
    """The published snapshot as the API shows it, and what the example said of its tests."""
    result = by_curl(workspace, "build", folder)
    assert result.returncode == 0, result.stderr
    (image,) = workspace.client.images.get_all(type=["snapshot"])
    assert result.stdout == f"{image.labels['caph-image-name']}\n"
    said = next(line for line in result.stderr.splitlines() if line.startswith("== acceptance tests: "))
    return {"id": image.id, "labels": image.labels, "tests": json.loads(said.partition(": ")[2])}


def test_an_image_made_with_curl_is_published_and_nothing_else_left(
    workspace: Workspace, folder: Path, image_by_curl: dict[str, Any]
) -> None:
    order = json.loads((folder / "image.json").read_text())
    assert image_by_curl["labels"] == {
        **order["labels"], "managed-by": "node-image.sh", "caph-image-name": order["name"],
    }  # fmt: skip
    assert image_by_curl["tests"]["passed"] == image_by_curl["tests"]["total"] > 200
    workspace.nothing_left_over()
    again = by_curl(workspace, "build", folder)
    assert (again.returncode, again.stdout) == (0, f"{order['name']}\n"), again.stderr
    assert "is there already" in again.stderr


def test_every_form_makes_the_same_node(
    workspace: Workspace,
    folder: Path,
    image_by_curl: dict[str, Any],
    tmp_path_factory: pytest.TempPathFactory,
    proves: Callable[..., None],
) -> None:
    with booted(workspace, tmp_path_factory.mktemp("curl"), image_by_curl["id"]) as node:
        manifest_by_curl = json.loads(node(MANIFEST))
    manifest, figures = node_by_cloud_init(workspace, folder, tmp_path_factory.mktemp("cloud-init"))
    assert manifest == manifest_by_curl
    assert manifest["components"]["kubelet"]["version"] == "1.36.4"
    assert figures["passed"] == figures["total"] > 70
    workspace.nothing_left_over()
    proves("booted", "debian-13", "1.36.4", form="script")
    proves("booted", "debian-13", "1.36.4", form="cloud-init")


def node_by_cloud_init(workspace: Workspace, forms: Path, folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Its manifest, and the figures of the tests that it must pass as a node itself."""
    with booted(workspace, folder, "debian-13", rendered(workspace, "cloud-init")) as node:
        first_boot_done(node)
        assert node("cloud-init schema --system >/dev/null && echo valid") == "valid"
        node("cat >/run/acceptance.sh", (forms / "acceptance.sh").read_text())
        mirror = workspace.mirror_for_servers
        figures = json.loads(node(f"MIRROR={mirror} bash /run/acceptance.sh --node"))
        return json.loads(node(MANIFEST)), figures


@pytest.mark.parametrize(
    ("scripts", "said"),
    [
        ({"provision.sh": "echo no room >&2; exit 1"}, ["no room", "provision.sh failed on the build server"]),
        (
            {"acceptance.sh": "echo 1 test failed >&2; exit 1"},
            ["1 test failed", "fails its acceptance tests: not published"],
        ),
    ],
    ids=["provision", "acceptance"],
)
def test_what_fails_is_neither_published_nor_kept(
    workspace: Workspace, folder: Path, tmp_path: Path, scripts: dict[str, str], said: list[str]
) -> None:
    before = workspace.snapshots()
    order = json.loads((folder / "image.json").read_text())
    (tmp_path / "image.json").write_text(json.dumps({**order, "name": "small"}))
    for name, text in {"provision.sh": "true", "acceptance.sh": "true", **scripts}.items():
        (tmp_path / name).write_text(text + "\n")
    result = by_curl(workspace, "build", tmp_path)
    assert (result.returncode, result.stdout) == (1, "")
    for part in said:
        assert part in result.stderr
    assert workspace.snapshots() == before
    workspace.nothing_left_over()
