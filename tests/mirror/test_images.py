"""Images of containers: the real registry, the real crane, containerd's own client, and things that go wrong."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from mirror import MirrorError, ensure
from mirror.daemon import Home, Running
from mirror.images.crane import Crane
from mirror.images.own_programs import are_there
from mirror.images.recipes import RECIPES, TEST_POD, GoProgram, Recipe
from mirror.programs import Program
from mirror.progress import Lines
from tests.mirror.doubles import ROOT, get, needs_go, within
from tests.mirror.images import NOTE, PAUSE, ImagePlace, go_environment, note
from tests.mirror.test_mirror_command import HANGING_GO, path_with, refused
from tests.mirror.test_mirror_real import CONTAINERD

NAMED = {"note": note("one"), "other/path": note("other")}
HELLO = 'package main\n\nfunc main() { println("hello") }\n'


@pytest.fixture(scope="module")
def silent() -> str:
    """A registry that does not answer: a port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, silent: str) -> ImagePlace:
    """A cache with the pause image and the one for pods of tests, which the tests only read."""
    place = ImagePlace(tmp_path_factory.mktemp("filled"), silent)
    place.ensure(PAUSE, TEST_POD)
    return place


@pytest.fixture(scope="module")
def mirror(filled: ImagePlace) -> Iterator[Running]:
    yield started(filled)
    Home(filled.home).stop()


@pytest.fixture(scope="module")
def registry(mirror: Running) -> str:
    return mirror.registry.removeprefix("http://")


@pytest.fixture
def place(tmp_path: Path, silent: str) -> ImagePlace:
    return ImagePlace(tmp_path / "place", silent)


def started(place: ImagePlace) -> Running:
    result = place.run("start", "--port=0")
    assert result.returncode == 0, result.stderr
    running = Home(place.home).running()
    assert running is not None
    return running


@pytest.fixture
def containerd(tmp_path: Path) -> Iterator[list[str]]:
    """Containerd in temporary folders; yields its client's words."""
    (artifact,) = ensure([CONTAINERD], local_lock=tmp_path / "lock.local.yaml", progress=Lines())
    with tarfile.open(artifact.path) as archive:
        archive.extractall(tmp_path / "containerd", filter="data")
    programs, socket_path = tmp_path / "containerd" / "bin", tmp_path / "containerd.sock"
    settings = tmp_path / "config.toml"
    settings.write_text(
        f'version = 3\nroot = "{tmp_path}/root"\nstate = "{tmp_path}/state"\n'
        f'disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"]\n'
        f'[grpc]\naddress = "{socket_path}"\n[ttrpc]\naddress = "{tmp_path}/ttrpc.sock"\n'
    )
    with (tmp_path / "containerd.log").open("w") as log:
        daemon = subprocess.Popen([programs / "containerd", "--config", settings], stdout=log, stderr=log)
        try:
            assert within(30, socket_path.exists), (tmp_path / "containerd.log").read_text()
            yield [str(programs / "ctr"), f"--address={socket_path}"]
        finally:
            daemon.terminate()
            daemon.wait(20)


def test_an_image_is_pulled_by_its_tag_and_by_its_digest(filled: ImagePlace, registry: str) -> None:
    by_tag = json.loads(filled.crane("manifest", "--platform=linux/amd64", f"{registry}/pause:3.10.2").stdout)
    (kept,) = [kept for kept in filled.store.all() if kept.name == PAUSE]
    by_digest = json.loads(filled.crane("manifest", f"{registry}/pause@{kept.digest}").stdout)
    assert by_tag == by_digest
    assert kept.size == sum(layer["size"] for layer in by_tag["layers"])


def test_containerd_pulls_it_under_upstreams_name(
    containerd: list[str], mirror: Running, filled: ImagePlace, tmp_path: Path
) -> None:
    hosts = tmp_path / "certs.d" / "registry.k8s.io" / "hosts.toml"
    hosts.parent.mkdir(parents=True)
    hosts.write_text(f'[host."{mirror.registry}"]\n  capabilities = ["pull", "resolve"]\n')
    pull = [*containerd, "images", "pull", "--local", "--snapshotter=native", f"--hosts-dir={tmp_path}/certs.d", PAUSE]
    result = subprocess.run(pull, capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode == 0, result.stderr
    listed = subprocess.run([*containerd, "images", "list"], capture_output=True, text=True, check=True).stdout
    assert PAUSE in listed
    content = subprocess.run([*containerd, "content", "list"], capture_output=True, text=True, check=True).stdout
    assert all(kept.digest in content for kept in filled.store.all() if kept.name == PAUSE)


def test_a_tag_that_nobody_has_is_answered_with_the_reason(mirror: Running) -> None:
    status, _, body = get(f"{mirror.registry}/v2/pause/manifests/0.1")
    (error,) = json.loads(body)["errors"]
    assert (status, error["code"], error["detail"]) == (404, "MANIFEST_UNKNOWN", "unknown tag=0.1")
    assert get(f"{mirror.registry}/v2/no-such-image/manifests/1")[0] == 404


def test_machines_cannot_change_it(filled: ImagePlace, registry: str) -> None:
    result = filled.crane("tag", f"{registry}/pause:3.10.2", "mine")
    assert result.returncode == 1
    assert "405" in result.stderr
    assert get(f"http://{registry}/v2/pause/manifests/mine")[0] == 404


def test_what_is_made_here_says_so(filled: ImagePlace, mirror: Running, registry: str) -> None:
    settings = json.loads(filled.crane("config", f"{registry}/pause:3.10.2").stdout)["config"]
    assert settings["Labels"]["node-images.origin"] == "built"
    assert "not the image that registry.k8s.io publishes" in settings["Labels"]["org.opencontainers.image.description"]
    answered = {image["name"]: image["origin"] for image in json.loads(get(f"{mirror.url}/images")[2])}
    assert answered == {PAUSE: "built", f"registry.k8s.io/{TEST_POD}": "built"}
    lines = filled.run("status").stdout.splitlines()
    assert f"registry runs at {mirror.registry}" in lines
    assert [line.split()[0] for line in lines if PAUSE in line] == ["built"]


def test_an_image_has_upstreams_settings(filled: ImagePlace, registry: str) -> None:
    settings = json.loads(filled.crane("config", f"{registry}/pause:3.10.2").stdout)["config"]
    assert (settings["Entrypoint"], settings["User"]) == (["/pause"], "65535:65535")
    assert settings["Env"] == ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]


def children_of(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_pause_takes_note_of_ended_processes_and_ends_when_told(
    filled: ImagePlace, registry: str, tmp_path: Path, number: int
) -> None:
    program = filled.unpacked(f"{registry}/pause:3.10.2", tmp_path / "pause") / "pause"
    outer = subprocess.Popen(["unshare", "--pid", "--fork", "--kill-child", program], stderr=subprocess.PIPE, text=True)
    try:
        assert within(5, lambda: children_of(outer.pid))
        (pause,) = children_of(outer.pid)
        assert within(5, lambda: Path(f"/proc/{pause}/comm").read_text() == "pause\n")
        orphan = "(sleep 0.2; touch done) & exit 0"
        subprocess.run(["nsenter", f"--target={pause}", "--pid", "sh", "-c", orphan], cwd=tmp_path, check=True)
        assert within(5, lambda: children_of(pause))
        assert within(5, (tmp_path / "done").exists)
        assert within(5, lambda: not children_of(pause)), "a process that has ended stays until somebody takes note"
        os.kill(pause, number)
        assert outer.wait(5) == 0
        assert outer.stderr and outer.stderr.read() == ""
    finally:
        outer.kill()
        outer.wait()


def test_the_pod_of_tests_serves_and_ends_when_told(filled: ImagePlace, registry: str, tmp_path: Path) -> None:
    root = filled.unpacked(f"{registry}/{TEST_POD}", tmp_path / "root")
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    (root / "dev").mkdir()
    start = 'mount --rbind /dev "$0/dev" && exec chroot "$0" /serve'
    command = ["unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "sh", "-c", start, root]
    pod = subprocess.Popen(command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PORT": str(port)})
    try:
        assert within(10, lambda: answers(port))
        assert get(f"http://127.0.0.1:{port}/cgi-bin/hostname")[2].decode().strip() == socket.gethostname()
        (first,) = children_of(pod.pid)
        os.kill(first, signal.SIGTERM)
        assert pod.wait(5) == 0
    finally:
        pod.kill()
        pod.wait()
    for applet in ("nslookup", "wget", "ip"):
        assert (root / "bin" / applet).is_symlink()
        told = subprocess.run(["chroot", root, applet, "--help"], capture_output=True, text=True, check=False)
        assert f"Usage: {applet}" in told.stderr


def answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def test_two_caches_make_the_same_image(filled: ImagePlace, place: ImagePlace) -> None:
    (again,) = place.ensure(PAUSE)
    assert again.digest in [kept.digest for kept in filled.store.all()]


@needs_go
def test_a_go_program_is_compiled_at_the_version_of_the_tag(
    place: ImagePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in go_environment(tmp_path / "proxy", "example.test/hello", HELLO).items():
        monkeypatch.setenv(name, value)
    program = Program(name="hello", module="example.test/hello", files={}, variables={})
    recipes = {"hello": Recipe((GoProgram(program, ".", "usr/local/bin/hello"),), ("/usr/local/bin/hello",))}
    (kept,) = place.ensure("hello:v1.0.0-0", recipes=recipes)
    assert kept.facts["module"] == "example.test/hello@v1.0.0"
    running = started(place)
    try:
        registry = running.registry.removeprefix("http://")
        root = place.unpacked(f"{registry}/hello:v1.0.0-0", tmp_path / "root")
        settings = json.loads(place.crane("config", f"{registry}/hello:v1.0.0-0").stdout)["config"]
    finally:
        Home(place.home).stop()
    printed = subprocess.run([root / "usr/local/bin/hello"], capture_output=True, text=True, check=True).stderr
    assert printed == "hello\n"
    assert settings["Labels"]["node-images.module"] == "example.test/hello@v1.0.0"
    with pytest.raises(MirrorError, match=r"example\.test/hello@v2\.0\.0"):
        place.ensure("hello:2.0.0", recipes=recipes)
    with pytest.raises(MirrorError, match="the tag names no version"):
        place.ensure("hello:latest", recipes=recipes)


def test_a_tag_has_both_architectures_whenever_they_were_made(place: ImagePlace) -> None:
    place.ensure(NOTE, recipes=NAMED)
    place.ensure(NOTE, recipes=NAMED, arches=("arm64",))
    running = started(place)
    try:
        name = f"{running.registry.removeprefix('http://')}/note:1"
        found = [
            json.loads(place.crane("config", f"--platform=linux/{arch}", name).stdout)["architecture"]
            for arch in ("amd64", "arm64")
        ]
    finally:
        Home(place.home).stop()
    assert found == ["amd64", "arm64"]


def test_what_upstream_has_is_taken_and_the_rest_is_made(place: ImagePlace, tmp_path: Path) -> None:
    (theirs,) = place.ensure(NOTE, recipes={"note": note("theirs")})
    running = started(place)
    try:
        ours = ImagePlace(tmp_path / "ours", running.registry.removeprefix("http://"))
        taken, made = ours.ensure(NOTE, "other/path:2", recipes=NAMED)
        with pytest.raises(MirrorError, match=r"unknown:3 amd64: cannot be made here, and .*(NAME|MANIFEST)_UNKNOWN"):
            ours.ensure("unknown:3", recipes=NAMED)
    finally:
        Home(place.home).stop()
    assert (taken.origin, taken.digest) == ("upstream", theirs.digest)
    assert made.origin == "built"
    assert ours.ensure(NOTE, "other/path:2", recipes=NAMED) == [taken, made]


def test_a_registry_that_takes_the_call_but_says_nothing_is_asked_once(
    place: ImagePlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    digest = Crane.digest

    def ask(crane: Crane, name: str, arch: str, _seconds: float) -> str:
        asked.append(name)
        return digest(crane, name, arch, 0.5)

    monkeypatch.setattr(Crane, "digest", ask)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        place.upstream = f"127.0.0.1:{mute.getsockname()[1]}"
        made = place.ensure(NOTE, "other/path:2", recipes=NAMED)
    assert [kept.origin for kept in made] == ["built", "built"]
    assert asked == [f"{place.upstream}/note:1"]


def test_another_recipe_makes_it_anew_and_the_old_image_goes(place: ImagePlace) -> None:
    (old,) = place.ensure(NOTE, recipes=NAMED)
    (new,) = place.ensure(NOTE, recipes={"note": note("two")})
    assert new.digest != old.digest
    blobs = [path.parent.name for path in place.store.storage.rglob("blobs/sha256/*/*/data")]
    assert old.digest.removeprefix("sha256:") not in blobs
    # The index, the manifest, the settings and the layer: nothing of what it was put together from is left.
    assert len(blobs) == 4
    assert place.leftovers() == []


def test_a_name_that_is_none_is_refused(place: ImagePlace) -> None:
    with pytest.raises(MirrorError, match="not the name of an image"):
        place.ensure("../../etc:1")
    result = place.run("images", "docker.io/library/x:1:2")
    assert (result.returncode, "Traceback" in result.stderr) == (1, False)


def test_without_a_c_compiler_it_says_what_to_install(place: ImagePlace, tmp_path: Path) -> None:
    path = path_with(tmp_path / "bin", "nice", "setpriv")
    result = place.run("images", PAUSE, PATH=path)
    refused(result, "gcc: not found; /pause is written in C", "apt-get install gcc libc6-dev")
    assert place.leftovers() == []


def test_a_full_disk_is_named(place: ImagePlace) -> None:
    # A small file system of its own, in a mount namespace that ends with the command.
    mount = (
        'cp -r "$0/programs" "$0.programs"; mount -t tmpfs -o size=1k none "$0" && ln -s "$0.programs" "$0/programs"'
    )
    script = f'{mount} && exec "$@"'
    command = ["unshare", "--mount", "sh", "-c", script, str(place.store.root), *place.command("images", PAUSE)]
    refused(
        subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False), "the disk is full"
    )


@needs_go
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_leaves_nothing_and_the_next_goes_on(
    place: ImagePlace, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    go, go_pid = tmp_path / "bin" / "go", tmp_path / "go.pid"
    go.parent.mkdir()
    go.write_text(HANGING_GO)
    go.chmod(0o755)
    environment = os.environ | {"PATH": f"{go.parent}:{os.environ['PATH']}", "PID_FILE": str(go_pid)}
    with (tmp_path / "out").open("w") as out:
        run = subprocess.Popen(
            place.command("images", PAUSE, "coredns/coredns:v1.0.0"), cwd=ROOT, env=environment, stdout=out, stderr=out
        )
        assert within(40, lambda: go_pid.exists() and place.store.all()), (tmp_path / "out").read_text()
        (kept,) = place.store.all()
        run.send_signal(number)
        run.wait(30)
    assert "Traceback" not in (tmp_path / "out").read_text()
    assert within(10, lambda: place.processes() == [])
    assert within(10, lambda: not Path(f"/proc/{go_pid.read_text().strip()}").exists())
    for name, value in go_environment(tmp_path / "proxy", "example.test/hello", HELLO).items():
        monkeypatch.setenv(name, value)
    program = Program(name="hello", module="example.test/hello", files={}, variables={})
    recipes = {"coredns/coredns": Recipe((GoProgram(program, ".", "coredns"),), ("/coredns",))}
    again, made = place.ensure(PAUSE, "coredns/coredns:v1.0.0", recipes=recipes)
    assert (again, made.origin) == (kept, "built")
    assert place.leftovers() == []
    assert place.processes() == []


def test_nothing_is_left_when_it_stops_or_is_killed(place: ImagePlace) -> None:
    first = started(place)
    assert len(place.processes()) == 1
    os.kill(first.pid, signal.SIGKILL)
    assert within(5, lambda: place.processes() == [])
    second = started(place)
    place.run("stop")
    assert place.processes() == []
    socket.create_server(("127.0.0.1", urlsplit(second.registry).port or 0)).close()


def test_a_registry_that_is_killed_is_started_again(place: ImagePlace) -> None:
    running = started(place)
    try:
        (pid,) = place.processes()
        os.kill(pid, signal.SIGKILL)
        # A process that is dying has lost its arguments, and with them its name here, before its port closes:
        # only another process says that it was started again.
        assert within(
            15, lambda: place.processes() not in ([], [pid]) and answers(urlsplit(running.registry).port or 0)
        )
        assert get(f"{running.registry}/v2/")[0] == 200
    finally:
        Home(place.home).stop()


def test_the_registry_comes_up_once_its_program_is_there(place: ImagePlace, tmp_path: Path) -> None:
    aside = shutil.move(place.store.programs, tmp_path / "aside")
    result = place.run("start", "--port=0")
    try:
        assert "python -m mirror images VERSION" in result.stdout
        running = Home(place.home).running()
        assert running
        port = urlsplit(running.registry).port or 0
        assert not answers(port)
        shutil.move(aside, place.store.programs)
        assert within(15, lambda: answers(port))
    finally:
        Home(place.home).stop()


def test_programs_of_another_version_are_brought_although_all_images_are_there(
    place: ImagePlace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kept,) = place.ensure(NOTE, recipes=NAMED)
    aside = shutil.move(place.store.programs, tmp_path / "aside")
    monkeypatch.setattr("mirror.images.fill.ensure_own", lambda store, *_: shutil.copytree(aside, store.programs))
    assert place.ensure(NOTE, recipes=NAMED) == [kept]
    assert are_there(place.store)


def test_it_listens_on_loopback_only(registry: str) -> None:
    # Were 0.0.0.0 taken, another address of this machine would be too.
    socket.create_server(("127.0.0.2", int(registry.rpartition(":")[2]))).close()


def test_a_taken_port_is_an_error_that_names_it(place: ImagePlace) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = place.run("start", "--port=0", f"--registry-port={port}")
    assert result.returncode == 1
    assert f"127.0.0.1:{port}: the registry cannot listen" in result.stderr
    assert "--registry-port" in result.stderr
    assert "Traceback" not in result.stderr
    assert place.processes() == []


def test_a_registry_that_cannot_start_says_why(place: ImagePlace) -> None:
    program = next(place.store.programs.glob("registry-*"))
    program.write_text("#!/bin/sh\necho it does not like this day\nexit 3\n")
    start = time.monotonic()
    result = place.run("start", "--port=0")
    assert (result.returncode, "it does not like this day" in result.stderr) == (1, True), result.stderr
    assert time.monotonic() - start < 60
    assert Home(place.home).running() is None


def test_the_programs_that_kube_proxy_calls_run_in_its_image(place: ImagePlace, tmp_path: Path) -> None:
    proxy = RECIPES["kube-proxy"]
    without_go = Recipe(tuple(part for part in proxy.contents if part != proxy.go), proxy.entrypoint)
    (kept,) = place.ensure("proxy:1", recipes={"proxy": without_go})
    packages = [package.partition("=")[0] for package in kept.facts["debian"].split()]
    assert set(packages) >= {"libc6", "conntrack", "iptables", "kmod", "nftables"}
    running = started(place)
    try:
        root = place.unpacked(f"{running.registry.removeprefix('http://')}/proxy:1", tmp_path / "root")
    finally:
        Home(place.home).stop()
    for command, printed in {
        "iptables --version": "(nf_tables)",
        "ip6tables-save --version": "(nf_tables)",
        "iptables-restore --version": "(nf_tables)",
        "nft --version": "nftables v",
        "conntrack --version": "conntrack v",
        "modprobe --version": "kmod version",
    }.items():
        told = subprocess.run(["chroot", root, *command.split()], capture_output=True, text=True, check=False)
        assert printed in told.stdout, (command, told.stderr)
