"""The three ways to an engine: which is taken when, and what is said where none works."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import socket
import tarfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.toolchain.conftest import executable
from toolchain import gobuild
from toolchain.errors import SetupError
from toolchain.layout import Layout
from toolchain.pins import Pins
from toolchain.progress import Progress
from toolchain.ways import MACHINES, NotThisWayError, Ways, answers

NOWHERE = "http://127.0.0.1:1"


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def ways(tmp_path: Path, said: io.StringIO) -> Ways:
    layout = Layout(tmp_path / "checkout", tmp_path / "cache", "key")
    layout.parts.mkdir(parents=True)
    return Ways(layout, Pins.load(), Progress(said), NOWHERE, NOWHERE)


def fake_pulumi(folder: Path, version: str, plugins: dict[str, str]) -> Path:
    listing = [{"name": name, "kind": "resource", "version": pin} for name, pin in plugins.items()]
    return executable(
        folder / "pulumi",
        f"#!/bin/sh\ncase $1 in version) echo {version} ;; plugin) echo '{json.dumps(listing)}' ;; esac\n",
    )


# Way 1


def test_a_fitting_pulumi_with_its_plugins_is_taken(ways: Ways, only_path: Path) -> None:
    engine = fake_pulumi(only_path, "v3.300.0", ways.pins.plugins)
    toolchain = ways.take()
    assert (toolchain.way, toolchain.engine, toolchain.files) == (1, str(engine), {})


@pytest.mark.parametrize(
    ("version", "plugins", "reason"),
    [
        ("v3.100.0", {"hcloud": "1.43.3", "command": "1.2.1"}, "it is v3.100.0, and 3.259.0 or later is needed"),
        ("v3.300.0", {"hcloud": "1.0.0", "command": "1.2.1"}, "its plugins hcloud are not installed"),
    ],
)
def test_a_pulumi_that_does_not_fit_is_left_with_the_reason(
    ways: Ways, only_path: Path, version: str, plugins: dict[str, str], reason: str
) -> None:
    fake_pulumi(only_path, version, plugins)
    with pytest.raises(NotThisWayError, match=reason):
        ways.own_pulumi()


def test_missing_plugins_are_installed_where_the_site_answers(ways: Ways, only_path: Path, site: Site) -> None:
    engine = fake_pulumi(only_path, "v3.300.0", {})
    called = only_path / "called"
    engine.write_text(engine.read_text() + f'echo "$*" >> {called}\n')
    site.use_for(ways).own_pulumi()
    assert called.read_text().splitlines()[2:] == [
        "plugin install resource hcloud 1.43.3",
        "plugin install resource command 1.2.1",
    ]


# Way 2


@dataclass
class Site:
    """A stand-in of Pulumi's site, with a release that is made of scripts."""

    folder: Path
    url: str

    def use_for(self, ways: Ways) -> Ways:
        return replace(ways, site=self.url, checksums=self.url)

    def publish(self, version: str, *, checksum: str | None = None) -> None:
        name = f"pulumi-v{version}-linux-{MACHINES[platform.machine()][0]}.tar.gz"
        install = '#!/bin/sh\n[ "$1" != plugin ] || { mkdir -p "$PULUMI_HOME/plugins/$3-$4-v$5" && touch "$_/x"; }\n'
        install = install.replace('touch "$_/x"', 'touch "$PULUMI_HOME/plugins/$3-$4-v$5/pulumi-$3-$4"')
        tree = executable(self.folder / "tree" / "pulumi", install)
        (self.folder / "sdk").mkdir()
        with tarfile.open(self.folder / "sdk" / name, "w:gz") as archive:
            archive.add(tree, "pulumi/pulumi")
        digest = checksum or hashlib.sha256((self.folder / "sdk" / name).read_bytes()).hexdigest()
        (self.folder / f"v{version}").mkdir()
        (self.folder / f"v{version}" / f"pulumi-{version}-checksums.txt").write_text(
            f"{digest}  {name}\n{'0' * 64}  else\n"
        )


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    folder = tmp_path / "site"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield Site(folder, f"http://127.0.0.1:{server.server_port}")
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_release_is_taken_where_there_is_no_pulumi(ways: Ways, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.which", lambda name: None if name == "pulumi" else f"/usr/bin/{name}")
    site.publish(ways.pins.engine_release)
    toolchain = site.use_for(ways).take()
    assert toolchain.way == 2
    assert set(toolchain.files) == {"pulumi"}
    assert set(toolchain.plugins) == {"resource-hcloud-v1.43.3", "resource-command-v1.2.1"}


def test_a_release_that_was_changed_is_refused(ways: Ways, site: Site) -> None:
    site.publish(ways.pins.engine_release, checksum="0" * 64)
    with pytest.raises(SetupError, match="not what it should be"):
        site.use_for(ways).release()
    assert not list(ways.layout.parts.glob("*/pulumi"))


def test_a_site_that_does_not_answer_is_found_out_fast() -> None:
    with Silent() as url:
        start = time.monotonic()
        assert not answers(url, seconds=0.3)
        assert not answers(NOWHERE)
        assert time.monotonic() - start < 2


class Silent:
    """A server that takes connections and says nothing."""

    def __enter__(self) -> str:
        self.socket = socket.create_server(("127.0.0.1", 0))
        return f"http://127.0.0.1:{self.socket.getsockname()[1]}"

    def __exit__(self, *_: object) -> None:
        self.socket.close()


# Way 3


def fake_go(folder: Path, version: str, toolchain: str = "local") -> None:
    answer = f"case $2 in GOVERSION) echo {version} ;; GOTOOLCHAIN) echo {toolchain} ;; esac"
    executable(folder / "go", f"#!/bin/sh\n{answer}\n")


def test_without_go_the_error_says_what_to_install(ways: Ways, only_path: Path, said: io.StringIO) -> None:
    ways = replace(ways, layout=Layout.of())
    ways = replace(ways, layout=Layout(ways.layout.checkout, only_path / "cache", "key"))
    with pytest.raises(SetupError) as error:
        ways.take()
    assert "no `go` on PATH" in error.value.problem
    assert f"Install Go {ways.pins.go} or later" in error.value.remedy
    assert said.getvalue().splitlines() == [
        "Way 1, a `pulumi` on PATH: no, there is none",
        f"Way 2, Pulumi's release archive: no, {NOWHERE} does not answer",
    ]


@pytest.mark.parametrize(("version", "toolchain"), [("go1.19.8", "auto"), ("go1.25.0", "local")])
def test_a_go_that_is_too_old_is_an_error(only_path: Path, version: str, toolchain: str) -> None:
    fake_go(only_path, version, toolchain)
    with pytest.raises(SetupError, match=f"is {version}, too old"):
        gobuild.require_go("1.26.4")


@pytest.mark.parametrize(("version", "toolchain"), [("go1.26.4", "local"), ("go1.27.1", "local"), ("go1.22.1", "auto")])
def test_a_go_that_is_new_enough_or_fetches_what_is_will_do(only_path: Path, version: str, toolchain: str) -> None:
    fake_go(only_path, version, toolchain)
    gobuild.require_go("1.26.4")


def test_a_failed_build_is_shown_ready_to_be_tried_by_hand(ways: Ways, only_path: Path) -> None:
    fake_go(only_path, "go1.26.4")
    go = only_path / "go"
    go.write_text(go.read_text() + 'if [ "$1" = list ]; then echo "proxy: 403 Forbidden"; exit 1; fi\n')
    layout = Layout(Layout.of().checkout, only_path / "cache", "key")
    with pytest.raises(SetupError) as error:
        replace(ways, layout=layout).build()
    assert "toolchain/go/plugins && go list -deps" in error.value.problem
    assert "403 Forbidden" in error.value.problem
    assert "GOPROXY" in error.value.remedy
