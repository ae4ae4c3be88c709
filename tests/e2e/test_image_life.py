"""What happens to images over time: a lost state, a rival for a name, protection, later tests that fail, one that fails alone.

Light machines with a small recipe. The tests tell one story in their order.
"""

import json
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
import yaml

from tests.e2e.workspace import Workspace

FIRST, SECOND, THIRD = "1.36.4", "1.36.3", "1.35.8"


@pytest.fixture(scope="module", autouse=True)
def built(small: Workspace) -> None:
    """Two images; the marker step fails for a version that a test names in a file."""
    small.append("recipe/steps/50-marker.sh", f"[[ $KUBERNETES_VERSION != {SECOND} ]] || sleep 1\n")
    small.declare(FIRST, SECOND)
    small.settle()


def text_of(result: subprocess.CompletedProcess[str]) -> str:
    assert "Traceback" not in result.stdout + result.stderr
    return result.stdout + result.stderr


def forget_state(small: Workspace) -> None:
    for command in (["rm", "--force", "--yes", "--preserve-config", "sandbox"], ["select", "--create", "sandbox"]):
        result = small.pulumi("stack", *command)
        assert result.returncode == 0, result.stderr


def test_a_snapshot_whose_creation_was_reported_as_failed_is_taken_up(small: Workspace) -> None:
    """As after a lost answer: it is there, without a name; its server is gone, and the state does not know of it."""
    name = small.output("snapshots")[f"debian-13/{SECOND}"]
    before = small.snapshots()
    image = small.client.images.get_by_id(before[name])
    image.update(labels={key: value for key, value in (image.labels or {}).items() if key != "caph-image-name"})
    resources = json.loads(small.pulumi("stack", "export").stdout)["deployment"]["resources"]
    (urn,) = [item["urn"] for item in resources if item["urn"].endswith(f"Snapshot::{name}-amd64")]
    forgotten = small.pulumi("state", "delete", urn, "--target-dependents", "--yes")
    assert forgotten.returncode == 0, forgotten.stderr
    small.settle()
    assert small.snapshots() == before
    small.nothing_left_over()
    small.unchanged()


def test_a_lost_state_is_found_again_and_nothing_is_built(small: Workspace) -> None:
    """A key that no server of a known build has is left over; `sweep` shows it and deletes it when told to."""
    before, exports = small.snapshots(), small.output("snapshots")
    forget_state(small)
    labels = {"managed-by": "node-images", "stack": "sandbox", "role": "builder"}
    small.client.firewalls.create("lost-builder", [], labels)  # type: ignore[arg-type]
    result = small.up()
    assert result.returncode == 0, text_of(result)
    assert "left over: lost-builder" in result.stdout
    assert "firewall lost-builder" in small.run("./node-images", "sweep").stdout
    assert len(small.client.firewalls.get_all()) == 1, "a dry run"
    assert small.run("./node-images", "sweep", "--yes").stdout.endswith("Deleted.\n")
    small.nothing_left_over()
    assert "builder-server" not in result.stdout
    assert small.snapshots() == before
    assert small.output("snapshots") == exports
    small.unchanged()


def test_a_rival_for_a_name_is_told_by_the_preview(small: Workspace) -> None:
    name = small.output("snapshots")[f"debian-13/{FIRST}"]
    theirs = small.client.images.get_by_id(small.snapshots()[small.output("snapshots")[f"debian-13/{SECOND}"]])
    labels = dict(theirs.labels or {})
    theirs.update(labels={"caph-image-name": name})
    text = text_of(small.pulumi("preview"))
    assert f"snapshot {theirs.id}, made by nobody of this project, carries caph-image-name={name}" in text
    assert f"hcloud image remove-label {theirs.id} caph-image-name" in text
    theirs.update(labels=labels)
    small.unchanged()


def test_protection_keeps_a_removed_version_until_it_is_lifted(small: Workspace) -> None:
    gone = small.output("snapshots")[f"debian-13/{SECOND}"]
    small.configure(images=[{"os": "debian-13", "kubernetes": [FIRST, SECOND], "protect": True}])
    small.settle()
    small.unchanged()
    small.configure(images=[{"os": "debian-13", "kubernetes": [FIRST]}])
    image = small.client.images.get_by_id(small.snapshots()[gone])
    assert f"hcloud image disable-protection {image.id} delete" in text_of(small.pulumi("preview"))
    small.settle()
    assert gone in small.snapshots()
    small.unchanged()
    image.change_protection(delete=False).wait_until_finished()
    small.settle()
    assert gone not in small.snapshots()
    small.unchanged()


@pytest.fixture
def broken_tests(small: Workspace) -> Iterator[None]:
    """The marker of an image that is there is no longer what the tests expect."""
    run = small.root / "recipe/acceptance/run.sh"
    text = run.read_text()
    run.write_text(text.replace("grep --quiet ok", "grep --quiet better"))
    yield
    run.write_text(text)


def test_an_image_whose_later_tests_fail_is_withdrawn(small: Workspace, broken_tests: None) -> None:
    name, number = small.output("snapshots")[f"debian-13/{FIRST}"], small.snapshots()
    small.configure(reverify=1)
    result = small.up()
    assert result.returncode != 0
    assert "It was published, and is so no more" in text_of(result)
    assert small.snapshots() == {f"unpublished-{number[name]}": number[name]}
    small.nothing_left_over()


def test_and_comes_back_when_they_pass(small: Workspace) -> None:
    small.settle()
    assert list(small.snapshots()) == [small.output("snapshots")[f"debian-13/{FIRST}"]]
    assert small.output("images")[0]["tests"]["amd64"] == {"passed": 1, "total": 1}
    small.nothing_left_over()
    small.unchanged()


def test_an_image_that_fails_stops_no_other_where_it_shall_not(small: Workspace) -> None:
    """All in one lane: first one that fails, then an architecture that is out of stock, then one that is built."""
    exports = small.output("snapshots")
    marker = small.root / "recipe/steps/50-marker.sh"
    marker.write_text(marker.read_text().replace("|| sleep 1", "|| die no such luck"))
    both = {"os": "debian-13", "kubernetes": FIRST, "architectures": ["arm64", "amd64"]}
    small.configure(images=[{"os": "debian-13", "kubernetes": SECOND}, both], maxParallel=1)
    small.sell_out("cax*")
    result = small.pulumi("up", "--yes", "--skip-preview", "--continue-on-error")
    small.sell_out()
    text = text_of(result)
    assert result.returncode != 0
    assert f"step marker of debian-13-kube-{SECOND}" in text
    assert "no such luck" in text
    assert "cax11 in nbg1" in text
    assert "malformed" not in text
    published = [name for name in small.snapshots() if name.startswith(f"debian-13-kube-{FIRST}")]
    assert len(published) == 2, "the new one, and the generation before it"
    assert small.output("snapshots") == exports, "they are of one piece: all images, or as they were"
    small.nothing_left_over()


def test_a_kept_server_can_be_entered_by_the_printed_command(small: Workspace) -> None:
    small.declare(SECOND)
    small.configure(onFailure="keep")
    text = text_of(small.up())
    command = next(line for line in text.splitlines() if "ssh -F" in line).partition("To look at it:")[2]
    result = small.run("bash", "-c", f"{command} cat /etc/marker")
    assert (result.returncode, result.stdout.strip()) == (0, "ok"), result.stderr
    marker = small.root / "recipe/steps/50-marker.sh"
    marker.write_text(marker.read_text().replace("|| die no such luck", "|| sleep 1"))
    small.settle()
    small.nothing_left_over()
    assert list((small.root / ".pulumi" / "logins").iterdir()) == []


def test_a_snapshot_that_takes_longer_than_its_limit_ends_its_build(small: Workspace) -> None:
    before = small.snapshots()
    small.configure(timeouts={"snapshot": "2s"}, onFailure="release")
    small.append("recipe/steps/50-marker.sh", 'say "as new"\n')
    small.fault(kind="snapshot_stuck", server="*-builder", seconds=8)
    text = text_of(small.up())
    assert "waited 2 s for Hetzner Cloud to finish the snapshot (node-images:timeouts.snapshot)" in text
    assert "retrying create" not in text
    assert small.snapshots() == before
    small.nothing_left_over()
    small.configure(timeouts={"snapshot": "1h"})
    small.settle()
    small.unchanged()


def test_a_snapshot_that_is_tried_again_leaves_no_second_one_behind(small: Workspace) -> None:
    """The engine remembers the first failure beside the snapshot: one more `up` ends that (docs/trouble.md)."""
    small.append("recipe/steps/50-marker.sh", 'say "tried again"\n')
    small.fault(kind="action_error", action="create_image", when="after")
    result = small.up()
    assert result.returncode == 0, result.stdout + result.stderr
    assert "retrying create" in result.stdout
    assert not [name for name in small.snapshots() if name.startswith("unpublished")]
    small.settle()
    small.unchanged()


def test_a_run_that_was_killed_after_the_login_was_taken_away_is_taken_up(small: Workspace) -> None:
    """In the middle of the step `clean`, which nothing can end then: its server is made anew.

    The step says so by a connection to this machine, whose network a light machine has.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(300)
        says = f"echo >/dev/tcp/127.0.0.1/{listener.getsockname()[1]}; sleep 60"
        small.append("recipe/steps/90-clean.sh", f"[[ $STEP_SECONDS != 61 ]] || {{ {says}; }}\n")
        small.configure(timeouts={"step": "61s"})
        with subprocess.Popen(
            ["./pulumiw", "up", "--yes", "--skip-preview", "--non-interactive"],
            cwd=small.root, env=small.environment(), stdout=subprocess.DEVNULL, start_new_session=True,
        ) as process:  # fmt: skip
            listener.accept()[0].close()
            os.killpg(process.pid, signal.SIGKILL)
    cancelled = small.pulumi("cancel", "--yes")
    assert cancelled.returncode == 0, cancelled.stderr
    small.configure(timeouts={"step": "30m"})
    small.settle()
    small.nothing_left_over()
    small.unchanged()


def test_two_stacks_of_one_project_at_a_time_and_two_runs_of_one(small: Workspace) -> None:
    """Both stacks converge, each with its own; the second run of one is refused by the engine's lock, in words."""
    small.append("recipe/steps/50-marker.sh", "sleep 2\n")
    small.declare(FIRST)
    small.configure(maxParallel=2)
    document = yaml.safe_load(small.stack_file.read_text())
    document["config"]["node-images:images"] = [{"os": "debian-13", "kubernetes": THIRD}]
    (small.root / "stacks/Pulumi.second.yaml").write_text(yaml.safe_dump(document))
    environment = {**small.environment(), "PULUMI_CONFIG_PASSPHRASE": "sandbox"}
    created = small.run("env", "PULUMI_CONFIG_PASSPHRASE=sandbox", "./pulumiw", "stack", "init", "second")
    assert created.returncode == 0, created.stderr
    small.pulumi("stack", "select", "sandbox")
    runs = {
        stack: subprocess.Popen(
            ["./pulumiw", "up", "--yes", "--skip-preview", "--non-interactive", "--stack", stack],
            cwd=small.root, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        for stack in ("sandbox", "second")
    }  # fmt: skip
    while not small.client.servers.get_all():
        time.sleep(0.2)
    again = small.up()
    assert again.returncode != 0
    assert "the stack is currently locked" in text_of(again)
    for stack, run in runs.items():
        text, _ = run.communicate(timeout=600)
        assert run.returncode == 0, f"{stack}: {text}"
    small.nothing_left_over()
    small.unchanged()
    published = [name for name in small.snapshots() if name.startswith(f"debian-13-kube-{THIRD}")]
    assert len(published) == 1
