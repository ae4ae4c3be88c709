"""System packages: named before they are installed, and never without the right to."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest

from tests.toolchain.conftest import executable
from toolchain.errors import SetupError
from toolchain.progress import Progress
from toolchain.system_packages import PACKAGES, TEST_PACKAGES, ensure_packages, ensure_test_packages

ALL = "; ".join(f"echo {name} installed" for name in PACKAGES)
BUT_TWO = (
    "; ".join(f"echo {name} installed" for name in PACKAGES if name not in ("jq", "curl")) + "; echo jq config-files"
)


def dpkg(folder: Path, answer: str) -> None:
    executable(folder / "dpkg-query", f"#!/bin/sh\n{answer}\n")


def apt(folder: Path, trace: Path, *, knows_after_update: bool = True, works: bool = True) -> None:
    checks = {
        (True, True): f"[ -e {trace}.updated ]",
        (False, True): "true",
        (True, False): "echo 'E: Unable to locate package jq'; false",
    }[knows_after_update, works]
    executable(
        folder / "apt-get",
        f'#!/bin/sh\necho "$DEBIAN_FRONTEND: $*" >> {trace}\n[ "$1" != update ] || {{ : > {trace}.updated; exit; }}\n{checks}\n',
    )


@pytest.fixture
def said() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def trace(tmp_path: Path) -> Path:
    return tmp_path / "apt-calls"


def test_nothing_missing_needs_no_right_and_says_nothing(
    only_path: Path, said: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    dpkg(only_path, ALL)
    ensure_packages(Progress(said))
    assert said.getvalue() == ""


def test_what_is_missing_is_named_and_installed(
    only_path: Path, said: io.StringIO, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    dpkg(only_path, BUT_TWO)
    apt(only_path, trace, knows_after_update=False)
    ensure_packages(Progress(said))
    assert "These system packages will be installed now:\n  curl " in said.getvalue()
    assert trace.read_text() == "noninteractive: install --yes --no-install-recommends curl jq\n"


def test_the_lists_are_updated_only_where_a_package_is_unknown(
    only_path: Path, said: io.StringIO, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    dpkg(only_path, BUT_TWO)
    apt(only_path, trace)
    ensure_packages(Progress(said))
    assert [line.split()[1] for line in trace.read_text().splitlines()] == ["install", "update", "install"]


def test_a_failure_of_apt_is_shown(
    only_path: Path, said: io.StringIO, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    dpkg(only_path, BUT_TWO)
    apt(only_path, trace, works=False)
    with pytest.raises(SetupError, match="Unable to locate package jq"):
        ensure_packages(Progress(said))


@pytest.mark.parametrize("sudo", [None, "exit 1"], ids=["no sudo", "sudo that asks nobody"])
def test_without_root_and_sudo_the_error_says_what_to_run(
    only_path: Path, said: io.StringIO, monkeypatch: pytest.MonkeyPatch, sudo: str | None
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    dpkg(only_path, BUT_TWO)
    if sudo:
        executable(only_path / "sudo", f"#!/bin/sh\n{sudo}\n")
    with pytest.raises(SetupError) as error:
        ensure_packages(Progress(said))
    assert "needs root or sudo" in error.value.problem
    assert error.value.remedy == "Run as root: apt-get install --yes --no-install-recommends curl jq"


def test_sudo_is_used_where_it_asks_for_no_password(
    only_path: Path, said: io.StringIO, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    dpkg(only_path, BUT_TWO)
    executable(only_path / "sudo", '#!/bin/sh\n[ "$1" != -n ] || exit 0\nPATH=$PATH:/usr/bin exec "$@"\n')
    apt(only_path, trace, knows_after_update=False)
    ensure_packages(Progress(said))
    assert trace.read_text() == "noninteractive: install --yes --no-install-recommends curl jq\n"


@pytest.mark.parametrize(("user", "installed"), [(0, True), (1000, False)], ids=["root", "nobody"])
def test_what_only_some_releases_have_is_installed_where_it_can_be(
    only_path: Path, said: io.StringIO, trace: Path, monkeypatch: pytest.MonkeyPatch, user: int, installed: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    dpkg(only_path, ALL)
    apt(only_path, trace, knows_after_update=False)
    executable(only_path / "apt-cache", '#!/bin/sh\n[ "$*" = "show --no-all-versions packer" ]\n')
    ensure_packages(Progress(said))
    assert trace.exists() == installed
    if installed:
        assert trace.read_text() == "noninteractive: install --yes --no-install-recommends packer\n"


def test_another_system_is_told_what_it_needs(only_path: Path, said: io.StringIO) -> None:
    ensure_packages(Progress(said))
    assert "mmdebstrap" in said.getvalue()


def test_the_browser_is_brought_for_tests_alone(
    only_path: Path, said: io.StringIO, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    dpkg(only_path, ALL)
    apt(only_path, trace, knows_after_update=False)
    ensure_packages(Progress(said))
    assert not trace.exists()
    ensure_test_packages(Progress(said))
    names = " ".join(TEST_PACKAGES)
    assert trace.read_text() == f"noninteractive: install --yes --no-install-recommends {names}\n"


def test_a_browser_that_is_there_is_enough(only_path: Path, said: io.StringIO) -> None:
    executable(only_path / "chromedriver", "#!/bin/sh\n")
    ensure_test_packages(Progress(said))
    assert said.getvalue() == ""


def test_without_a_browser_to_install_the_other_tests_still_run(
    only_path: Path, said: io.StringIO, trace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    dpkg(only_path, ALL)
    apt(only_path, trace, works=False)
    ensure_test_packages(Progress(said))
    assert "tests in a browser will fail" in said.getvalue()
