"""`asOf` with a real apt: the recipe's steps, in a Debian of its own, against a signed archive that is kept by date.

The archive lies on this machine, with the layout of snapshot.debian.org: `<archive>/<time>/dists/...`, a time in between
leading to the one before it, and Release files that have long expired.
"""

import asyncio
import re
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from recipe import Node, load_catalog, load_lock, render
from recipe.catalog import Archive
from sandbox.machines.base_images import BaseImages
from sandbox.settings import cache_root

PACKAGE = "node-image-test"
JANUARY, MARCH = "20260101T000000Z", "20260301T000000Z"

# archive ARCHIVE SUITE [VERSION]: a suite, with the package where a version is given, signed by the key of this test.
ARCHIVE = (
    r"""
set -euo pipefail
export GNUPGHOME=/srv/key
archive() {
    mkdir -p "/srv/$1/pool/$2" "/srv/$1/dists/$2/main/binary-amd64"
    cd "/srv/$1"
    if [[ ${3:-} ]]; then
        mkdir -p /tmp/package/DEBIAN
        printf '%s\n' "Package: PACKAGE" "Version: $3" "Architecture: all" "Maintainer: test <test@example.com>" \
            "Description: a package with a date" >/tmp/package/DEBIAN/control
        dpkg-deb --root-owner-group --build /tmp/package "pool/$2/PACKAGE_$3_all.deb" >/dev/null
    fi
    apt-ftparchive packages "pool/$2" >"dists/$2/main/binary-amd64/Packages"
    apt-ftparchive -o APT::FTPArchive::Release::Codename="$2" -o APT::FTPArchive::Release::Components=main \
        -o APT::FTPArchive::Release::Architectures=amd64 release "dists/$2" >/tmp/Release
    [[ $1 == live/* ]] || echo "Valid-Until: Fri, 02 Jan 2026 00:00:00 UTC" >>/tmp/Release
    gpg --batch --clearsign --output "dists/$2/InRelease" /tmp/Release
}
mkdir --mode=0700 "$GNUPGHOME"
gpg --batch --quiet --passphrase '' --quick-generate-key 'archive <archive@example.com>' rsa2048 sign
for keyring in /usr/share/keyrings/debian-archive-keyring.*; do
    rm "$keyring"
    gpg --export >"$keyring"
done
archive archive/debian/JANUARY trixie 1.0
archive archive/debian/JANUARY trixie-updates
archive archive/debian-security/JANUARY trixie-security
archive archive/debian/MARCH trixie 1.0
archive archive/debian/MARCH trixie-updates
archive archive/debian-security/MARCH trixie-security 2.0
archive live/debian trixie 3.0
rm -r "$GNUPGHOME"
""".replace("JANUARY", JANUARY)
    .replace("MARCH", MARCH)
    .replace("PACKAGE", PACKAGE)
)

ORDINARY = "Types: deb\nURIs: {url}/live/debian\nSuites: trixie\nComponents: main\nSigned-By: {keyring}\n"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


class Snapshots(SimpleHTTPRequestHandler):
    """Leads a time at which nothing was kept to the last one before it, as snapshot.debian.org does."""

    refusals: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        if self.refusals:
            self.refuse(self.refusals.pop(0))
        else:
            self.give()

    def refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Retry-After", "1")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.refuse(429)

    def give(self) -> None:
        _, kind, archive, time, *rest = self.path.split("/")
        times = [path.name for path in Path(self.directory, kind, archive).glob("2*Z")]
        earlier = [kept for kept in times if kept < time]
        if kind == "archive" and time not in times and earlier:
            self.send_response(302)
            self.send_header("Location", "/".join(["", kind, archive, max(earlier), *rest]))
            self.send_header("Content-Length", "0")
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None: ...


@dataclass
class System:
    """A fresh Debian. Each command has its mounts and processes to itself; what it writes stays."""

    base: Path
    folder: Path
    url: str

    def run(self, script: str) -> str:
        folders = {name: self.folder / name for name in ("upper", "work", "root", "srv")}
        for folder in folders.values():
            folder.mkdir(exist_ok=True)
        layers = f"lowerdir={self.base},upperdir={folders['upper']},workdir={folders['work']}"
        root = folders["root"]
        enter = (
            f"mount -t overlay -o {layers} overlay {root} && mount -t proc proc {root}/proc && "
            f'mount --bind {folders["srv"]} {root}/srv && exec chroot {root} bash -c "$0"'
        )
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", enter, script]
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    def steps(self, as_of: str, *names: str) -> None:
        archives = {name: f"{self.url}/archive/debian{name}/{{time}}/" for name in ("", "-security")}
        archive = Archive(main=archives[""], security=archives["-security"])
        changes = {"archives": {"debian": archive}, "packages": {"debian": [[PACKAGE]]}}
        catalog = load_catalog().model_copy(update=changes)
        recipe = render(catalog, load_lock(), Node("debian-13", "1.36.4", "amd64", as_of=as_of))
        for step in recipe.steps:
            if step.name in names:
                self.run(step.script)

    def installed(self) -> str:
        return self.run(f"dpkg-query --show --showformat '${{Version}}' {PACKAGE}")

    def sources(self) -> str:
        return self.run("cd /etc/apt && tail -n +1 $(find . -type f | sort)")


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    folder = tmp_path_factory.mktemp("system")
    base = asyncio.run(BaseImages(cache_root() / "base-images").ready("debian-13", lambda *_: None))
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Snapshots, directory=str(folder / "srv")))
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    made = System(base, folder, f"http://127.0.0.1:{server.server_port}")
    made.run(ARCHIVE)
    ordinary = ORDINARY.format(url=made.url, keyring=KEYRING)
    made.run(
        f"cat >/etc/apt/sources.list.d/debian.sources <<'EOF'\n{ordinary}EOF\necho '# none here' >/etc/apt/sources.list"
    )
    yield made
    server.shutdown()
    thread.join()
    server.server_close()


def test_without_a_date_packages_are_those_of_the_day(system: System) -> None:
    system.steps("", "package-date", "packages", "package-sources")
    assert system.installed() == "3.0"


@pytest.mark.parametrize(
    ("as_of", "version"),
    [(MARCH, "2.0"), ("20260201T120000Z", "1.0"), ("20260401T000000Z", "2.0")],
    ids=["back-to-a-date", "an-earlier-date", "a-later-date"],
)
def test_packages_are_those_of_the_date_and_the_ordinary_sources_come_back(
    system: System, as_of: str, version: str
) -> None:
    before = system.sources()
    system.steps(as_of, "package-date")
    assert system.sources() != before
    system.steps(as_of, "packages")
    assert system.installed() == version
    system.steps(as_of, "package-sources")
    assert system.sources() == before
    assert system.installed() == version
    policy = system.run(f"apt-get update --quiet=2 && apt-cache policy {PACKAGE}")
    assert re.search(r"Candidate: 3\.0\n", policy), "who installs something on a node gets today's"


def test_an_archive_that_is_too_busy_for_a_while_is_waited_for(system: System) -> None:
    system.steps(MARCH, "package-date")
    Snapshots.refusals[:] = [429] * 60
    began = time.monotonic()
    system.steps(MARCH, "packages")
    assert time.monotonic() - began > 1
    assert Snapshots.refusals == []
    assert system.installed() == "2.0"
    system.steps(MARCH, "package-sources")


def test_an_archive_that_refuses_the_address_is_told(system: System) -> None:
    system.steps(MARCH, "package-date")
    Snapshots.refusals[:] = [403] * 60
    with pytest.raises(AssertionError, match="answered 403 to this server, whose address is"):
        system.steps(MARCH, "packages")
    Snapshots.refusals.clear()
    system.steps(MARCH, "package-sources")


def test_a_date_before_the_archive_began_is_told(system: System) -> None:
    with pytest.raises(AssertionError, match="20200101T000000Z trixie Release' does not have a Release file"):
        system.steps("20200101T000000Z", "package-date", "packages")
    system.steps("20200101T000000Z", "package-sources")


def test_an_archive_that_its_distribution_did_not_sign_is_refused(system: System) -> None:
    release = system.folder / "srv/archive/debian" / JANUARY / "dists/trixie/InRelease"
    text = release.read_text()
    release.write_text(text.replace("Codename: trixie", "Codename: sid"))
    try:
        with pytest.raises(AssertionError, match=r"(?i)bad signature|badsig|invalid signature|not signed"):
            system.steps(JANUARY, "package-date", "packages")
    finally:
        release.write_text(text)


INTERRUPT = """
package() {
    mkdir --parents "/tmp/$1/DEBIAN"
    printf '%s\\n' "Package: $1" "Version: 1" "Architecture: all" "Maintainer: test <test@example.com>" \
        "Description: cut off" "${@:2}" >"/tmp/$1/DEBIAN/control"
    [[ $1 != killed ]] || install -m 0755 /dev/stdin "/tmp/$1/DEBIAN/postinst" <<'END'
#!/bin/sh
[ -e /var/tmp/killed ] || { touch /var/tmp/killed; kill -KILL "$PPID"; }
END
    dpkg-deb --root-owner-group --build "/tmp/$1" "/tmp/$1.deb" >/dev/null
}
package waiting "Depends: PACKAGE"
package killed
dpkg --purge PACKAGE
dpkg --unpack /tmp/waiting.deb
dpkg --install /tmp/killed.deb || true
apt-get install --yes PACKAGE 2>&1 || true
""".replace("PACKAGE", PACKAGE)


def test_what_was_cut_off_in_mid_package_is_ended(system: System) -> None:
    assert "dpkg was interrupted" in system.run(INTERRUPT)
    system.steps("", "packages")
    states = system.run("dpkg-query --show --showformat '${Package} ${db:Status-Status}\n'").splitlines()
    assert {"killed installed", "waiting installed", f"{PACKAGE} installed"} <= set(states)
    assert [line for line in states if not line.endswith((" installed", " config-files"))] == []
