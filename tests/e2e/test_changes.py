"""What people do next: add and remove versions, change the recipe, break it, interrupt it, lose a snapshot.

Real machines with a small recipe, as none of this depends on what is on the node. The tests tell one story in their order.
"""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.read_only import read_only
from tests.e2e.workspace import Workspace

FIRST, SECOND = "1.36.4", "1.36.3"


@pytest.fixture(scope="module", autouse=True)
def built(small: Workspace) -> None:
    small.declare(FIRST)
    small.settle()


def test_an_added_version_is_built_alone(small: Workspace) -> None:
    before = small.snapshots()
    small.declare(FIRST, SECOND)
    told = small.pulumi("preview").stdout
    assert f"sandbox: 1 image added (debian-13/{SECOND} is new), 1 kept, nothing deleted\n" in told
    assert "[unknown]" not in told
    small.settle()
    after = small.snapshots()
    assert before.items() < after.items()
    assert set(small.output("snapshots")) == {f"debian-13/{FIRST}", f"debian-13/{SECOND}"}
    small.nothing_left_over()
    small.unchanged()


def test_a_removed_version_shows_in_the_preview_and_goes(small: Workspace) -> None:
    first = small.output("snapshots")[f"debian-13/{FIRST}"]
    gone = small.output("snapshots")[f"debian-13/{SECOND}"]
    small.declare(FIRST)
    preview = small.pulumi("preview", "--diff").stdout
    assert f"hcloud:index/snapshot:Snapshot::{gone}-amd64" in preview.replace("$", ":")
    before = small.snapshots()
    small.settle()
    assert small.snapshots() == {first: before[first]}
    small.unchanged()


@pytest.fixture
def pull_request(small: Workspace) -> Iterator[None]:
    """A change of catalogue, recipe and stack file that nobody merges."""
    files = [small.root / "recipe" / "catalog.yaml", small.root / "recipe/steps/50-marker.sh", small.stack_file]
    texts = [file.read_text() for file in files]
    catalog = texts[0].replace('"1.36": {containerd: 2.3.4', '"1.36": {containerd: 2.3.3')
    assert catalog != texts[0]
    files[0].write_text(catalog)
    small.append("recipe/steps/50-marker.sh", 'say "another line"\n')
    small.declare(FIRST, SECOND)
    small.configure(asOf="2026-11-01", node={"sysctls": {"net.core.somaxconn": 4096}})
    yield
    for file, text in zip(files, texts, strict=True):
        file.write_text(text)


def state(small: Workspace) -> dict[Path, bytes]:
    files = sorted((small.root / ".pulumi" / ".pulumi").rglob("*"))
    assert files
    return {file: file.read_bytes() for file in files if file.is_file()}


def test_a_pull_request_is_told_exactly_and_nothing_is_written(small: Workspace, pull_request: None) -> None:
    before, old = state(small), small.output("snapshots")[f"debian-13/{FIRST}"]
    with read_only(small.endpoint) as (endpoint, refused):
        small.configure(hcloud__endpoint=endpoint)
        preview = small.run("./pulumiw", "preview", "--json", "--stack", "sandbox")
        assert preview.returncode == 0, preview.stderr
        (small.root / "preview.json").write_text(preview.stdout)
        result = small.run("./node-images", "report", "--preview", "preview.json", "--markdown")
    assert result.returncode == 0, result.stderr
    assert refused == []
    assert state(small) == before
    reasons = "containerd 2.3.4 → 2.3.3<br>asOf none → 2026-11-01<br>node.sysctls changed<br>step marker edited"
    for row in (
        rf"\| \*\*rebuilt\*\* \| `debian-13-kube-{FIRST}-\w+` amd64 \| {reasons} \|",
        rf"\| \*\*added\*\* \| `debian-13-kube-{SECOND}-\w+` amd64 \| debian-13/{SECOND} is new \|",
        rf"\| \*\*kept\*\* \| `{old}` amd64 \| earlier build of debian-13/{FIRST} \|",
        r"1 added, 1 rebuilt, 1 kept\.",
        r"[0-9.]+ EUR once for building",
        r"1 of 30 snapshots now, 3 after; 0 servers now, 2 while it builds",
    ):
        assert re.search(row, result.stdout), result.stdout


def test_a_report_of_nothing_is_one_line_and_one_of_mistakes_fails(small: Workspace) -> None:
    (line,) = small.run("./node-images", "report", "--markdown").stdout.splitlines()
    assert "no image changes (1 in all" in line
    text = small.stack_file.read_text()
    small.configure(images=[{"os": "debian-99", "kubernetes": FIRST}])
    wrong = small.run("./node-images", "report", "--markdown")
    small.stack_file.write_text(text)
    assert wrong.returncode == 1
    assert "images[0].os = debian-99" in wrong.stdout
    nowhere = small.run("./node-images", "report", "--stack", "nowhere")
    assert nowhere.returncode == 1
    assert "--stack = nowhere" in nowhere.stderr
    assert "Traceback" not in wrong.stdout + wrong.stderr + nowhere.stderr


def test_a_changed_step_is_a_new_image_and_the_old_one_stays(small: Workspace) -> None:
    old = small.output("snapshots")[f"debian-13/{FIRST}"]
    old_id = small.snapshots()[old]
    small.append("recipe/steps/50-marker.sh", 'say "one more line"\n')
    small.settle()
    new = small.output("snapshots")[f"debian-13/{FIRST}"]
    assert new != old
    assert small.snapshots()[old] == old_id
    assert small.output("images")[0]["generations"] == [old]
    small.unchanged()
    assert small.pulumi("refresh", "--yes", "--skip-preview").returncode == 0
    small.unchanged()


def test_only_the_declared_number_of_generations_stays(small: Workspace) -> None:
    second = small.output("snapshots")[f"debian-13/{FIRST}"]
    small.append("recipe/steps/50-marker.sh", 'say "and another"\n')
    small.settle()
    third = small.output("snapshots")[f"debian-13/{FIRST}"]
    assert set(small.snapshots()) == {second, third}
    small.unchanged()


def test_going_back_takes_the_earlier_image_and_builds_nothing(small: Workspace) -> None:
    third, before = small.output("snapshots")[f"debian-13/{FIRST}"], small.snapshots()
    (second,) = set(before) - {third}
    marker = small.root / "recipe/steps/50-marker.sh"
    newer = marker.read_text()
    marker.write_text(newer.replace('say "and another"\n', ""))
    report = small.run("./node-images", "report")
    assert report.returncode == 0, report.stderr
    assert re.search(rf"restored +{second} +an earlier build is the declared one", report.stdout), report.stdout
    assert "known once it is built" not in report.stdout
    small.settle()
    assert small.output("snapshots") == {f"debian-13/{FIRST}": second}
    assert small.output("images")[0]["generations"] == [third]
    assert small.snapshots() == before
    small.unchanged()
    marker.write_text(newer)
    small.settle()
    assert small.output("snapshots") == {f"debian-13/{FIRST}": third}
    assert small.snapshots() == before


def test_a_step_that_fails_is_named_and_publishes_nothing(small: Workspace) -> None:
    before, exports = small.snapshots(), small.output("snapshots")
    cause = 'say "[ERROR Port-6443]: the reason is here"\nfor line in {1..40}; do say "$line"; done\n'
    small.append("recipe/steps/50-marker.sh", f"{cause}false\n")
    result = small.up()
    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert "step marker of debian-13-kube-" in text
    assert "the reason is here" in text
    assert "error: step marker failed: `false` ended with exit status 1" in text
    assert "Traceback" not in text
    last = result.stdout[result.stdout.rindex("sandbox: up failed") :]
    assert len(last.splitlines()) < 24, "one screen"
    assert "[ERROR Port-6443]: the reason is here" in last
    file = small.root / re.search(r"All of its output: (\S+)", last)[1]
    assert [str(number) for number in range(1, 41)] == file.read_text().split("here\n")[1].split("\n")[:40]
    name = file.parent.name
    assert last.endswith(
        f"Next:  ./node-images logs {name} marker --stack sandbox\n       ./pulumiw up --stack sandbox\n"
    )
    assert small.run("./node-images", "logs", name, "marker").stdout == file.read_text()
    assert "marker" in small.run("./node-images", "logs", name).stdout
    assert small.snapshots() == before
    assert small.output("snapshots") == exports
    small.nothing_left_over()
    why = small.run("./node-images", "report").stdout
    assert "its build goes on where an earlier run" in why
    assert "step marker edited" in why


def test_the_next_up_after_the_mend_goes_on(small: Workspace) -> None:
    marker = small.root / "recipe/steps/50-marker.sh"
    marker.write_text(marker.read_text().replace("done\nfalse\n", "done\necho mended\n"))
    small.settle()
    small.nothing_left_over()
    small.unchanged()


@pytest.mark.parametrize(
    ("step", "failed", "snapshots_made"), [("50-marker.sh", "step check", 0), ("90-clean.sh", "acceptance-tests", 1)]
)
def test_an_image_that_fails_its_tests_is_never_published(
    small: Workspace, step: str, failed: str, snapshots_made: int
) -> None:
    """Tested on the builder, before a snapshot is paid for, and on a server booted from the snapshot."""
    before, exports = small.snapshots(), small.output("snapshots")
    small.append(f"recipe/steps/{step}", "echo wrong >/etc/marker\n")
    result = small.up()
    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert f"{failed} of debian-13-kube-" in text
    assert "acceptance tests failed" in text
    unpublished = {name for name in small.snapshots() if name.startswith("unpublished")}
    assert len(unpublished) == snapshots_made
    assert {name: number for name, number in small.snapshots().items() if name not in unpublished} == before
    assert small.output("snapshots") == exports
    small.nothing_left_over()
    file = small.root / "recipe/steps" / step
    file.write_text(file.read_text().replace("echo wrong >/etc/marker\n", f"echo mended {failed!r}\n"))
    small.settle()
    assert not any(name.startswith("unpublished") for name in small.snapshots())
    small.unchanged()


def test_other_tests_are_run_on_the_snapshot_that_is_there(small: Workspace) -> None:
    before, first = small.snapshots(), small.output("images")[0]
    tests = small.root / "recipe/acceptance/more.yaml"
    tests.write_text("command:\n  more: {exec: 'true', exit-status: 0}\n")
    small.settle()
    assert small.snapshots() == before
    assert small.output("images")[0] == first
    small.nothing_left_over()
    small.unchanged()


def test_when_one_of_two_images_fails_no_server_of_either_is_left(small: Workspace) -> None:
    before, exports = small.snapshots(), small.output("snapshots")
    small.declare(FIRST, SECOND)
    small.append("recipe/steps/50-marker.sh", f"[[ $KUBERNETES_VERSION != {SECOND} ]] || die no such luck\nsleep 5\n")
    result = small.up()
    text = result.stdout + result.stderr
    assert result.returncode != 0
    assert f"step marker of debian-13-kube-{SECOND}" in text
    assert "Traceback" not in text
    assert small.snapshots() == before
    assert small.output("snapshots") == exports
    small.nothing_left_over()
    small.declare(FIRST)
    marker = small.root / "recipe/steps/50-marker.sh"
    marker.write_text(marker.read_text().replace("sleep 5\n", ""))
    small.settle()
    small.unchanged()


def test_a_snapshot_deleted_behind_our_back_is_built_again(small: Workspace) -> None:
    name = small.output("snapshots")[f"debian-13/{FIRST}"]
    small.client.images.get_by_id(small.snapshots()[name]).delete()
    preview = small.pulumi("preview", "--expect-no-changes")
    assert preview.returncode != 0
    small.settle()
    assert name in small.snapshots()
    small.nothing_left_over()
    small.unchanged()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_is_taken_up(small: Workspace, how: signal.Signals) -> None:
    small.append("recipe/steps/50-marker.sh", f"sleep 3 # {how.name}\n")
    process = subprocess.Popen(
        ["make", "sandbox"],
        cwd=small.root, env=small.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    while not small.client.servers.get_all():
        assert process.poll() is None, "it ended before it made a server"
        time.sleep(0.1)
    time.sleep(2)
    os.killpg(process.pid, how)
    process.wait(timeout=120)
    assert process.returncode != 0
    again = small.run("make", "sandbox")
    assert again.returncode == 0, again.stdout + again.stderr
    small.nothing_left_over()
    assert small.machines() == []
    small.unchanged()


def test_sweep_finds_nothing_after_all_this(small: Workspace) -> None:
    result = small.run("./node-images", "sweep", "--yes")
    assert result.stdout.strip() == "Nothing is left over."


def test_destroy_leaves_nothing_and_names_the_servers_that_run_from_an_image(small: Workspace) -> None:
    client = small.client
    name, number = next(iter(small.snapshots().items()))
    image, kind = client.images.get_by_id(number), client.server_types.get_by_name("cx23")
    node = client.servers.create("node-1", kind, image)
    node.action.wait_until_finished()
    result = small.pulumi("destroy", "--yes", "--skip-preview")
    assert result.returncode == 0, result.stdout + result.stderr
    assert (
        f"snapshot {number} ({name}) is deleted, but servers were created from it: node-1"
        in result.stdout + result.stderr
    )
    assert small.snapshots() == {}
    node.server.delete().wait_until_finished()
    small.nothing_left_over()
