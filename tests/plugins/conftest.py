"""Plugins under test, and a real SSH server for them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.plugins.plugin import Plugin, Resource
from tests.plugins.sshd import Sshd
from toolchain.assemble import read_settings
from toolchain.layout import Layout

COMMAND = "resource-command-v1.2.1/pulumi-resource-command"
HCLOUD = "resource-hcloud-v1.43.3/pulumi-resource-hcloud"


def toolchain() -> dict[str, str]:
    return read_settings(Layout.of().settings)


def command_plugins() -> dict[str, Path]:
    """Find the plugins to test: the one of this checkout's toolchain (ours if it was built, which is way 3), and the
    official one where another Pulumi of this user has it, or where PULUMI_COMMAND_PLUGIN says.
    """
    settings = toolchain()
    own = Path(settings["plugins"] or "/nowhere") / COMMAND
    home = Path(os.environ.get("PULUMI_HOME", Path.home() / ".pulumi"))
    elsewhere = Path(os.environ.get("PULUMI_COMMAND_PLUGIN", home / "plugins" / COMMAND))
    candidates = {"stand-in": own, "official": elsewhere} if settings["way"] == "3" else {"official": own}
    if settings["way"] == "1":
        candidates = {"official": elsewhere}
    return {name: path for name, path in candidates.items() if path.exists()}


@pytest.fixture(scope="session", params=command_plugins().items(), ids=lambda item: item[0])
def command_plugin(request: pytest.FixtureRequest) -> Iterator[Plugin]:
    plugin = Plugin(request.param[1])
    plugin.configure()
    yield plugin
    plugin.close()


@pytest.fixture(scope="session")
def sshd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sshd]:
    server = Sshd(tmp_path_factory.mktemp("sshd")).start()
    yield server
    server.stop()


@pytest.fixture
def make(command_plugin: Plugin, request: pytest.FixtureRequest) -> Callable[[str], Resource]:
    """Make a resource of a type, with a name of its own."""
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    return lambda token: Resource(command_plugin, token, name)


@pytest.fixture
def remote(make: Callable[[str], Resource]) -> Resource:
    return make("command:remote:Command")


@pytest.fixture
def local(make: Callable[[str], Resource]) -> Resource:
    return make("command:local:Command")
