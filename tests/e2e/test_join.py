"""The level `join` with the real engine: two servers of one snapshot, and what is left of them in every end.

Light machines, whose scripts say what those of real ones would; tests/kubernetes has the proof on real kernels.
"""

import json
import subprocess
from pathlib import Path

import pytest

from tests.e2e.workspace import Workspace

TOKEN = "abcdef.0123456789abcdef"
REPORT = '{"passed": 1, "total": 1, "level": "cluster", "seconds": {"ssh": 1.5}}'
RUN = f"""\
[[ $TESTS ]] || exit 1
printf '%s\\n' '{REPORT}'
"""
JOIN = f"""\
case $PART:$UNIQUE in
    invite:*) printf '{{"address": "198.51.100.7", "discovery": "%s%s"}}\\n' {TOKEN[:6]} {TOKEN[6:]} ;;
    introduce:*) printf '%s\\n' '{{"address": "198.51.100.8", "name": "second"}}' ;;
    join_cluster:*)
        [[ $INVITATION == *{TOKEN[:6]}*{TOKEN[6:]}* && $KUBEADM ]] || die "no invitation"
        [[ ! -e /etc/no-join ]] || die "kubeadm join failed"
        printf '%s\\n' '{{"join": 3.5}}'
        ;;
    meet:*)
        [[ $INTRODUCTION == *second* ]] || die "nobody introduced itself"
        printf '%s\\n' "{{\\"passed\\": 2, \\"total\\": 2, \\"level\\": \\"join\\", \\"seconds\\": $JOINED}}"
        ;;
esac
"""
BROKEN, SOUND = "1.36.3", "1.36.4"


@pytest.fixture(scope="module", autouse=True)
def prepared(small: Workspace) -> None:
    """Tests that claim a cluster; images of one version have a second server that does not join."""
    tests = small.root / "recipe" / "acceptance"
    (tests / "run.sh").write_text(RUN)
    (tests / "join.sh").write_text(JOIN)
    small.append("recipe/steps/50-marker.sh", f"[[ $KUBERNETES_VERSION != {BROKEN} ]] || touch /etc/no-join\n")


def text_of(result: subprocess.CompletedProcess[str]) -> str:
    return result.stdout + result.stderr


def test_an_image_is_published_once_a_second_server_has_joined(small: Workspace) -> None:
    small.configure(images=[{"os": "debian-13", "kubernetes": SOUND}], verification="join")
    result = small.up()
    assert result.returncode == 0, text_of(result)
    (image,) = small.output("images")
    assert image["tests"]["amd64"] == {
        "passed": 4, "total": 4, "level": "join", "seconds": {"ssh": 1.5, "join": 3.5}
    }  # fmt: skip
    small.nothing_left_over()
    small.unchanged()


def test_what_opens_the_cluster_is_neither_shown_nor_in_the_state(small: Workspace) -> None:
    state = small.pulumi("stack", "export").stdout
    assert TOKEN not in state
    assert "/invite" in state
    logs = [
        file for file in Path(small.root / ".pulumi").rglob("*") if file.is_file() and file.suffix in (".json", ".log")
    ]
    assert not [file for file in logs if TOKEN in file.read_text(errors="replace")]


def test_the_two_servers_let_each_other_in(small: Workspace) -> None:
    """Their firewalls are gone with them: the state tells what was asked for."""
    resources = json.loads(small.pulumi("stack", "export").stdout)["deployment"]["resources"]
    (connected,) = [item for item in resources if item["urn"].endswith("-joiner-connected")]
    assert [node["address"] for node in connected["outputs"]["nodes"]] == ["198.51.100.7", "198.51.100.8"]


def test_a_join_that_fails_publishes_nothing_and_leaves_no_server(small: Workspace) -> None:
    small.configure(images=[{"os": "debian-13", "kubernetes": [SOUND, BROKEN]}], verification="join")
    result = small.up()
    assert result.returncode != 0
    assert "step join of debian-13-kube-1.36.3" in text_of(result)
    assert "kubeadm join failed" in text_of(result)
    assert sorted(name.startswith("unpublished") for name in small.snapshots()) == [False, True]
    small.nothing_left_over()


def test_another_image_goes_on_while_both_servers_of_a_failed_join_go(small: Workspace) -> None:
    small.append("recipe/steps/50-marker.sh", "say once more\n")
    result = small.pulumi("up", "--yes", "--skip-preview", "--continue-on-error")
    assert result.returncode != 0
    assert "kubeadm join failed" in text_of(result)
    assert "The other images go on" in text_of(result)
    names = [name for name in small.snapshots() if not name.startswith("unpublished")]
    assert any(f"-{SOUND}-" in name for name in names)
    assert not any(f"-{BROKEN}-" in name for name in names)
    small.nothing_left_over()
