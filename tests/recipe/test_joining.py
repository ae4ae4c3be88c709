"""A second server joins: what it is told, what it must not share with the first, and that its scripts are sound shell."""

import json
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any

import pytest

from mirror import ensure
from recipe import Node, load_catalog, load_lock, render
from recipe.joining import PARTS, TUNNEL, JoinScripts
from recipe.kubeadm import KubeadmSettings
from recipe.render import artifacts_of, assignments
from recipe.unique import Unique, load_unique
from tests.cluster.programs import program
from tests.recipe.test_render import SHELLCHECK

CATALOG, LOCK = load_catalog(), load_lock()
OURS = {item.name: [f"{item.name} of this server"] for item in load_unique()}
THEIRS = {item.name: [f"{item.name} of the other"] for item in load_unique()}
OF_A_CONTAINER = [
    "SystemVerification",
    "FileContent--proc-sys-net-ipv4-ip_forward",
    "FileContent--proc-sys-net-bridge-bridge-nf-call-iptables",
]
INVITATION = {
    "address": "198.51.100.7",
    "unique": THEIRS,
    "discovery": {
        "bootstrapToken": {
            "apiServerEndpoint": "198.51.100.7:6443",
            "token": "abcdef.0123456789abcdef",
            "caCertHashes": [f"sha256:{'a' * 64}"],
        }
    },
}


def scripts(**kubeadm: Any) -> JoinScripts:
    node = Node("debian-13", "1.36.4", "amd64", verification="join", kubeadm=KubeadmSettings.model_validate(kubeadm))
    join = render(CATALOG, LOCK, node).join
    assert join
    return join


@pytest.fixture
def shell(tmp_path: Path) -> Any:
    """Runs lines after the functions of join.sh, whose PART is left out, on a server whose own values are `OURS`."""

    def run(lines: str, **variables: str) -> subprocess.CompletedProcess[str]:
        unique = json.dumps(
            [{**item.model_dump(), "command": shlex.join(["echo", *OURS[item.name]])} for item in load_unique()]
        )
        given = {"UNIQUE": unique, "INVITATION": json.dumps(INVITATION), **variables}
        body = "\n".join(part.read_text() for part in PARTS)
        body = body.replace("report=/run/node-image", f"report={tmp_path}/report").replace('\n"$PART"\n', "\n")
        text = f"{Path('recipe/steps/lib.sh').read_text()}\n{assignments(given)}\n{body}\n{lines}"
        environment = {"PATH": f"{tmp_path}:/usr/bin:/bin:/usr/sbin:/sbin"}
        return subprocess.run(["bash", "-c", text, "join"], env=environment, capture_output=True, text=True, timeout=60)

    return run


def test_every_script_is_sound_shell() -> None:
    for script in scripts():
        result = subprocess.run(SHELLCHECK, input=script, capture_output=True, text=True)
        assert result.returncode == 0, result.stdout


def test_each_script_has_a_part_of_its_own() -> None:
    parts = [re.findall(r"^PART=(\w+)$", script, re.MULTILINE) for script in scripts()]
    assert parts == [["invite"], ["introduce"], ["join_cluster"], ["meet"]]
    functions = re.findall(r"^(\w+)\(\) ", "\n".join(part.read_text() for part in PARTS), re.MULTILINE)
    assert {name for (name,) in parts} <= set(functions)


@pytest.mark.parametrize("level", ["auto", "boot", "cluster"])
def test_no_other_level_has_a_second_server(level: Any) -> None:
    assert render(CATALOG, LOCK, Node("debian-13", "1.36.4", "amd64", verification=level)).join is None


def test_other_scripts_are_other_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    node = Node("debian-13", "1.36.4", "amd64", verification="join")
    before = render(CATALOG, LOCK, node)
    monkeypatch.setattr("recipe.joining.load_unique", lambda: (Unique(name="x", command="y", why="z"),))
    after = render(CATALOG, LOCK, node)
    assert before.tests_digest != after.tests_digest
    assert before.steps == after.steps, "how an image is tested is no part of it"


def test_every_unique_value_has_a_reason_and_a_name_of_its_own() -> None:
    items = load_unique()
    assert len({item.name for item in items}) == len(items)
    assert all(item.why and item.command for item in items)


@pytest.mark.parametrize("item", load_unique(), ids=lambda item: item.name)
def test_every_command_is_sound_shell(item: Unique) -> None:
    result = subprocess.run(SHELLCHECK, input=item.command, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_two_servers_that_share_nothing_go_on(shell: Any) -> None:
    done = shell('refuse_twins "$(of "$INVITATION" .unique)"')
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("item", load_unique(), ids=lambda item: item.name)
def test_a_value_that_both_servers_have_is_refused_with_its_reason(shell: Any, item: Unique) -> None:
    theirs = {**THEIRS, item.name: ["another one", *OURS[item.name]]}
    done = shell(shlex.join(["refuse_twins", json.dumps(theirs)]))
    assert done.returncode == 1
    same = f"failed: {item.name} is the same on two servers of the image: {OURS[item.name][0]}"
    assert done.stderr.splitlines()[:2] == [same, f"  {item.why}"]
    assert "error: 1 acceptance tests failed" in done.stderr


@pytest.mark.parametrize("item", load_unique(), ids=lambda item: item.name)
def test_what_a_server_must_have_is_not_left_out_in_silence(shell: Any, item: Unique) -> None:
    done = shell(shlex.join(["refuse_twins", json.dumps({**THEIRS, item.name: []})]))
    assert (done.returncode == 0) == item.optional
    assert item.optional or f"failed: {item.name} is missing on a server of the image" in done.stderr


def test_values_are_lines_and_what_is_missing_has_none(shell: Any) -> None:
    unique = json.dumps([{"name": "two", "command": "printf 'b\\na\\n'"}, {"name": "none", "command": "cat /missing"}])
    done = shell("own_values", UNIQUE=unique)
    assert json.loads(done.stdout) == {"two": ["a", "b"], "none": []}
    assert done.stderr == ""


def test_an_invitation_has_what_kubeadm_prints(shell: Any, tmp_path: Path) -> None:
    program(
        tmp_path / "kubeadm",
        "echo W1129 something >&2\necho 'kubeadm join 198.51.100.7:6443 --token a.b --discovery-token-ca-cert-hash sha256:c '",
    )
    done = shell("own_address() { echo 198.51.100.7; }; invite")
    assert json.loads(done.stdout) == {
        "address": "198.51.100.7",
        "unique": OURS,
        "discovery": {
            "bootstrapToken": {"apiServerEndpoint": "198.51.100.7:6443", "token": "a.b", "caCertHashes": ["sha256:c"]}
        },
    }
    assert not (tmp_path / "report" / "must.log").exists(), "the token is kept nowhere"


def test_a_server_introduces_itself_once_it_has_booted(shell: Any, tmp_path: Path) -> None:
    program(tmp_path / "cloud-init", "exit 0")
    program(tmp_path / "hostname", "echo second")
    done = shell("own_address() { echo 198.51.100.8; }; introduce")
    assert json.loads(done.stdout) == {"address": "198.51.100.8", "name": "second"}


@pytest.mark.parametrize(
    ("processors", "container", "names"),
    [(2, False, []), (1, False, ["NumCPU"]), (1, True, [*OF_A_CONTAINER, "NumCPU"]), (4, True, OF_A_CONTAINER)],
)
def test_what_kubeadm_misses_on_a_server_is_no_fault_of_the_image(
    shell: Any, tmp_path: Path, processors: int, container: bool, names: list[str]
) -> None:
    program(tmp_path / "nproc", f"echo {processors}")
    program(tmp_path / "systemd-detect-virt", f"exit {int(not container)}")
    assert json.loads(shell("no_fault_of_the_image").stdout) == names


def join_configuration(shell: Any, tmp_path: Path, **kubeadm: Any) -> dict[str, Any]:
    script = scripts(**kubeadm).join
    (documents,) = re.findall(r"^KUBEADM='(.*?)'$", script, re.MULTILINE | re.DOTALL)
    program(tmp_path / "kubeadm", f"cat $3 >{tmp_path}/told; exit 1")
    done = shell("own_address() { echo 198.51.100.8; }; join_cluster", KUBEADM=documents)
    assert "error: kubeadm join failed" in done.stderr
    return dict(json.loads((tmp_path / "told").read_text().removeprefix("---\n")))


def test_kubeadm_is_told_the_invitation_and_what_only_the_server_knows(shell: Any, tmp_path: Path) -> None:
    told = join_configuration(shell, tmp_path)
    assert (told["kind"], told["discovery"]) == ("JoinConfiguration", INVITATION["discovery"])
    assert told["nodeRegistration"] == {
        "criSocket": "unix:///run/containerd/containerd.sock",
        "kubeletExtraArgs": [{"name": "node-ip", "value": "198.51.100.8"}],
        "ignorePreflightErrors": [],
    }
    assert told["timeouts"]["tlsBootstrap"] == "900s"


def test_the_second_node_is_registered_as_the_first_but_for_what_one_alone_can_have(shell: Any, tmp_path: Path) -> None:
    first = {
        "nodeRegistration": {"name": "first", "taints": [{"key": "a"}], "imagePullPolicy": "Never"},
        "timeouts": {"discovery": "10m"},
        "patches": {"directory": "/etc/patches"},
        "skipPhases": ["addon/coredns"],
    }
    told = join_configuration(shell, tmp_path, InitConfiguration=first)
    assert told["nodeRegistration"]["imagePullPolicy"] == "Never"
    assert {"name", "taints"} & told["nodeRegistration"].keys() == set()
    assert (told["timeouts"]["discovery"], told["patches"]) == ("10m", {"directory": "/etc/patches"})
    assert "skipPhases" not in told, "a phase of init is none of join"


def test_kubeadm_takes_the_configuration(shell: Any, tmp_path: Path) -> None:
    (tmp_path / "join.yaml").write_text(json.dumps(join_configuration(shell, tmp_path)))
    artifacts = artifacts_of(CATALOG, LOCK, "1.36.4", "amd64")
    (kubeadm,) = ensure([item.url for item in artifacts if item.name == "kubeadm"])
    kubeadm.path.chmod(0o755)
    command = [str(kubeadm.path), "config", "validate", "--config", str(tmp_path / "join.yaml")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, "ok"), done.stderr


def test_an_attempt_before_is_undone(shell: Any, tmp_path: Path) -> None:
    """The connection may be lost while a script runs; it is run again, on the same server."""
    program(tmp_path / "kubeadm", f"echo $1 >>{tmp_path}/calls; [ $1 = reset ]")
    (tmp_path / "ca.crt").touch()
    text = PARTS[-1].read_text()
    assert text.count("/etc/kubernetes/pki/ca.crt") == 1
    lines = f"eval \"$(declare -f join_cluster | sed 's|/etc/kubernetes/pki/ca.crt|{tmp_path}/ca.crt|')\"\njoin_cluster"
    shell(lines, KUBEADM="[]")
    assert (tmp_path / "calls").read_text().split() == ["reset", "join"]


def test_the_two_ends_of_the_tunnel_fit(shell: Any, tmp_path: Path) -> None:
    program(tmp_path / "ip", f'echo "$*" >>{tmp_path}/ip.log')
    shell(
        'tunnel "$first_end" "$second_end" "$second_pods" 198.51.100.8\n'
        'tunnel "$second_end" "$first_end" "$first_pods" 198.51.100.7'
    )
    told = (tmp_path / "ip.log").read_text()
    assert told.count("link delete pods") == 2, "it may run again"
    assert "route add 10.244.1.0/24 via 10.244.255.253 dev pods" in told
    assert "route add 10.244.0.0/24 via 10.244.255.254 dev pods" in told


def test_the_tunnel_is_that_of_make_cluster() -> None:
    from tools.cluster.bootstrap import CONTROL_PLANE, WORKER, tunnel  # noqa: PLC0415

    assert TUNNEL.read_text() in tunnel(CONTROL_PLANE, WORKER, "198.51.100.8")


REFUSED_ONCE = """\
case "$1" in taint) exit 0 ;; esac
echo "$*" >>{calls}
[ $(grep -cFxe "$*" {calls}) -gt 1 ] || {{ echo refused >&2; exit 1; }}
case "$1:$2:$7" in
    exec:*:TCP:node-image-second:80*) echo second ;;
    exec:*) echo server ;;
    logs:*) echo serving ;;
esac
"""
"""kubectl, where each call is refused once, as by an API server that kubelet has ended."""


def test_an_api_server_that_is_started_anew_is_waited_for(shell: Any, tmp_path: Path) -> None:
    program(tmp_path / "ip", "exit 0")
    program(tmp_path / "kubectl", REFUSED_ONCE.format(calls=f"{tmp_path}/calls"))
    told = {"INTRODUCTION": '{"name": "second", "address": "198.51.100.8"}', "JOINED": '{"join": 3.5}'}
    done = shell("left() { echo 60; }\nmeet", PAUSE_IMAGE="pause", **told)
    assert done.returncode == 0, done.stderr
    number = len(load_unique())
    assert json.loads(done.stdout) == {"passed": number, "total": number, "level": "join", "seconds": {"join": 3.5}}


def test_the_first_node_waits_for_it_as_well(shell: Any, tmp_path: Path) -> None:
    program(tmp_path / "kubeadm", "exit 0")
    program(tmp_path / "kubectl", REFUSED_ONCE.format(calls=f"{tmp_path}/calls"))
    done = shell("left() { echo 60; }\npod_network() { :; }\nmake_cluster", PAUSE_IMAGE="pause")
    assert done.returncode == 0, done.stderr
    figures = [line.split()[0] for line in (tmp_path / "report" / "seconds").read_text().splitlines()]
    assert figures == ["ready", "cluster"]


def test_what_never_works_ends_with_its_last_words(shell: Any, tmp_path: Path) -> None:
    program(tmp_path / "crictl", "exit 0")
    program(tmp_path / "kubectl", "exit 0")
    lines = "left() { echo 2; }\nkeep_all_logs() { :; }\nmust 'it does not work' none sh -c 'echo no way; exit 1'"
    done = shell(lines, CLUSTER_SECONDS="2")
    assert done.returncode == 1
    assert "no way" in done.stderr
    assert "error: it does not work within 2 s" in done.stderr
