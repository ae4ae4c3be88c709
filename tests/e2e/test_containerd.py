"""What a stack file says of containerd, kubelet and registries, on a machine with the real programs: what they made of it.

Only the steps that it takes are run, in the order of a build.
"""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from images.stackfile import load_stack_file
from recipe import Node, load_catalog, load_lock, render
from recipe.options import NodeOptions
from recipe.render import acceptance_tests, artifacts_of
from tests.e2e.registry import Registry, registry
from tests.e2e.test_options import write
from tests.e2e.workspace import Workspace, booted
from tests.mutation.on_a_server import exported

Run = Callable[..., str]
STEPS = ("runc", "containerd", "crictl", "registries", "kubernetes", "kubelet-defaults", "images")
ODD = "/opt/a 'b' \"c\" \\d $HOME ${PATH} %H %% {{e}} `f`;g"
USER, PASSWORD = "robot$pull", "not-for-the-image"
SPEGEL = "version = 3\n[plugins.'io.containerd.cri.v1.images']\n  discard_unpacked_layers = false\n"
OF_CONTAINERD_1 = """version = 3
[plugins."io.containerd.grpc.v1.cri"]
  discard_unpacked_layers = false
[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "native"
"""


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """Harbor's way of being a mirror of another registry: below a path."""
    with registry(tmp_path_factory.mktemp("registry"), USER, PASSWORD) as made:
        made.push("proxy/library/hello", "1.0", {"hello.txt": "hello"})
        made.push("proxy/library/passing", "1.0", {"hello.txt": "passing"})
        yield made


@pytest.fixture(scope="module")
def options(workspace: Workspace, company: Registry) -> NodeOptions:
    write(workspace.root, {"own/spegel.toml": SPEGEL, "own/company.pem": company.authority.read_text()})
    node = {
        "containerd": ["own/spegel.toml"],
        "containerLimits": {"nofile": "4096:8192"},
        "kubeletArguments": {
            "eviction-hard": "memory.available<5%,nodefs.available<10%",
            "volume-plugin-dir": ODD,
            "fail-swap-on": False,
        },
        "registryMirrors": {"docker.io": [f"{company.url_for_servers}/v2/proxy"]},
        "registryCertificates": {company.host_for_servers: "own/company.pem"},
        "extraImages": ["docker.io/library/hello:1.0"],
    }
    workspace.configure(node=node)
    return load_stack_file(workspace.stack_file, load_catalog()).node


@pytest.fixture(scope="module")
def run(workspace: Workspace, options: NodeOptions, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Commands on a machine that the steps have made a node of, as far as it goes."""
    node = Node("debian-13", "1.36.4", "amd64", options)
    urls = [artifact.url for artifact in artifacts_of(load_catalog(), {}, node.kubernetes, node.architecture)]
    assert workspace.python("mirror", "ensure", *urls).returncode == 0
    local = workspace.root / "recipe" / "lock.local.yaml"
    recipe = render(load_catalog(), load_lock(local_builds=True, local_file=local), node)
    scripts = {step.name: step.script for step in recipe.steps}
    logins = json.dumps({"198.18.255.9": "other:user", **_logins(options)})
    told = exported({"MIRROR": workspace.mirror_for_servers, "REGISTRY_CREDENTIALS": logins})
    with booted(workspace, tmp_path_factory.mktemp("server"), "debian-13") as made:
        made("apt-get update -qq && apt-get install -qq --yes jq iptables conntrack >/dev/null", seconds=300)
        for name in STEPS:
            made('exec bash -c "$(cat)" step </dev/null', told + scripts[name], seconds=300)
        yield made


def _logins(options: NodeOptions) -> dict[str, str]:
    return dict.fromkeys(options.registry_certificates, f"{USER}:{PASSWORD}")


def test_the_file_of_ours_has_the_version_of_this_containerd(run: Run) -> None:
    newest = run("containerd config default | head -n 1")
    assert newest == "version = 4"
    assert run("head -n 1 /etc/containerd/config.toml") == newest
    assert "migrated from version 4" not in run("containerd config dump 2>&1 >/dev/null")


def test_a_drop_in_of_the_users_wins(run: Run, options: NodeOptions) -> None:
    assert "discard_unpacked_layers = false" in run("containerd config dump")
    assert judged(run, options) == ""


def judged(run: Run, options: NodeOptions) -> str:
    """What the tests of containerd say of a node, that are no scripts of their own but for containerd.sh."""
    tests = acceptance_tests(load_catalog(), load_lock(), Node("debian-13", "1.36.4", "amd64", options), "booted")
    script = Path("recipe/acceptance/containerd.sh").read_text()
    run("mkdir -p /run/node-image && cat >/run/node-image/containerd.sh", script)
    items = {name: test["exec"] for name, test in tests["command"].items() if name.startswith("containerd takes")}
    assert len(items) == len(options.containerd)
    said = [run(f"{command} 2>&1 || true") for command in items.values()]
    return "\n".join(filter(None, said))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (OF_CONTAINERD_1, "plugins.'io.containerd.grpc.v1.cri'.discard_unpacked_layers has no effect: this containerd"),
        (OF_CONTAINERD_1, "plugins.'io.containerd.grpc.v1.cri'.containerd.snapshotter has no effect: this containerd"),
        ("version = 3\n[plugins.nosuch]\na = 1\n", "plugins.nosuch.a has no effect"),
        ("version = 3\n[debug]\nlevle = 'debug'\n", "debug.levle has no effect"),
        ("version = 3\n[metrics]\naddress = '127.0.0.1:1338'\n", ""),
        ("version = 2\n[plugins.'io.containerd.grpc.v1.cri'.containerd]\nsnapshotter = 'native'\n", ""),
        ("version = 4\n[plugins.'io.containerd.gc.v1.scheduler']\nschedule_delay = '1m'\n", ""),
    ],
)
def test_a_key_of_a_drop_in_that_has_no_effect_is_told(run: Run, options: NodeOptions, text: str, said: str) -> None:
    changed = options.model_copy(update={"containerd": [type(options.containerd[0])("30-tried.toml", text)]})
    run("cat >/etc/containerd/conf.d/30-tried.toml", text)
    try:
        words = judged(run, changed)
    finally:
        run("rm /etc/containerd/conf.d/30-tried.toml")
    assert said in words if said else words == ""


def test_what_something_else_overrides_is_told(run: Run, options: NodeOptions) -> None:
    run("cat >/etc/containerd/conf.d/zz-other.toml", SPEGEL.replace("false", "true"))
    try:
        assert "the drop-in says false, and containerd has true" in judged(run, options)
    finally:
        run("rm /etc/containerd/conf.d/zz-other.toml")


def test_limits_are_those_of_the_stack_file_and_of_containerd_itself(run: Run) -> None:
    """Of the two, a program in Go raises the first for itself, and gives what it starts the one that it was given."""
    assert run("prlimit --pid $(pidof containerd) --nofile --noheadings --output HARD").strip() == "8192"
    said = run("systemctl show containerd.service --property=LimitNOFILESoft,LimitNOFILE,LimitNPROC,LimitCORE").split()
    assert sorted(said) == ["LimitCORE=infinity", "LimitNOFILE=8192", "LimitNOFILESoft=4096", "LimitNPROC=infinity"]
    assert run("grep ^LimitNOFILE /etc/systemd/system/containerd.service") == "LimitNOFILE=1024:524288"


STARTED = """mkdir -p /run/systemd/system/kubelet.service.d
cat >/run/systemd/system/kubelet.service.d/zz.conf <<'EOF'
[Unit]
ConditionPathExists=
[Service]
Restart=no
ExecStart=
ExecStart=/usr/local/bin/kubelet $KUBELET_NODE_IMAGE_ARGS --v=1
EOF
systemctl daemon-reload && systemctl restart kubelet.service
until journalctl --unit=kubelet.service --output=cat | grep --quiet 'FLAG: --vmodule'; do sleep 0.2; done
systemctl stop kubelet.service
journalctl --unit=kubelet.service --output=cat
rm -r /run/systemd/system/kubelet.service.d && systemctl daemon-reload"""


def test_kubelet_gets_each_flag_as_it_stands_in_the_stack_file(run: Run) -> None:
    """In kubelet's own words: Go's notation of what it was given."""
    words = run(STARTED)
    assert 'FLAG: --eviction-hard="memory.available<5%,nodefs.available<10%"' in words
    assert f"FLAG: --volume-plugin-dir={json.dumps(ODD)}" in words
    assert 'FLAG: --fail-swap-on="false"' in words
    verified = run("systemd-analyze verify kubelet.service 2>&1 || true")
    assert "20-node-image.conf" not in verified


def test_a_pull_asks_the_path_that_the_url_says(run: Run, company: Registry) -> None:
    assert company.pulls("proxy/library/hello") > 0
    assert "/v2/proxy/v2/" not in company.log.read_text()


def test_credentials_are_nowhere_after_the_pull(run: Run, company: Registry) -> None:
    assert run("findmnt --noheadings --output TARGET | grep -c 'certs.d\\|node-image-logins' || true") == "0"
    encoded = run(f"printf %s '{USER}:{PASSWORD}' | base64")
    for secret in (PASSWORD, encoded):
        assert (
            run(
                f"grep --recursive --files-with-matches --fixed-strings '{secret}' /etc /run /var /root 2>/dev/null || true"
            )
            == ""
        )
    assert run("crictl pull docker.io/library/passing:1.0 >/dev/null 2>&1 || echo refused") == "refused"
    asked = [line for line in company.log.read_text().splitlines() if "/v2/proxy/library/passing/manifests/" in line]
    assert asked, "the mirror was asked"
    assert not [line for line in asked if '" 200 ' in line], "and gave nothing"


NODE_FILE = """server = "https://registry-1.docker.io"

[host."{url}/v2/proxy"]
  capabilities = ["pull", "resolve"]
  override_path = true
  ca = "/etc/containerd/certs.d/{host}/ca.crt"
  [host."{url}/v2/proxy".header]
    Authorization = "Basic {header}"
"""


def test_a_node_takes_credentials_from_its_cluster(run: Run, company: Registry) -> None:
    """As docs/node.md says: the whole file, written at the first boot, without a restart of containerd."""
    header = run(f"printf %s '{USER}:{PASSWORD}' | base64")
    text = NODE_FILE.format(url=company.url_for_servers, host=company.host_for_servers, header=header)
    run("cp --archive /etc/containerd/certs.d/docker.io/hosts.toml /run/before")
    run("cat >/etc/containerd/certs.d/docker.io/hosts.toml", text)
    run("crictl pull docker.io/library/passing:1.0")
    run("mv /run/before /etc/containerd/certs.d/docker.io/hosts.toml")
    assert company.pulls("proxy/library/passing") > 0


def test_preloaded_images_outlive_a_clean_up(run: Run) -> None:
    """After the one before: an image that somebody pulled is not pinned, and goes."""
    said = json.loads(run("crictl images --output json"))["images"]
    assert {image["repoTags"][0]: image["pinned"] for image in said} == {
        "docker.io/library/hello:1.0": True,
        "docker.io/library/passing:1.0": False,
    }
    run("crictl rmi --prune")
    assert run("crictl images --output json | jq --raw-output '.images[].repoTags[]'") == "docker.io/library/hello:1.0"
    run("systemctl restart containerd.service")
    assert run("crictl inspecti --output json docker.io/library/hello:1.0 | jq .status.pinned") == "true"
