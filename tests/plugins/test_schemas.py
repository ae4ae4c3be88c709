"""The plugins have the types and properties that the Python packages ask for."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pulumi
import pulumi_command
import pulumi_hcloud
import pytest
from pulumi.runtime.proto import provider_pb2

from tests.plugins.conftest import HCLOUD, toolchain
from tests.plugins.plugin import Plugin


def schema_of(plugin: Plugin) -> dict[str, Any]:
    return dict(json.loads(plugin.stub.GetSchema(provider_pb2.GetSchemaRequest()).schema))


@pytest.fixture(scope="session")
def command_schema(command_plugin: Plugin) -> dict[str, Any]:
    return schema_of(command_plugin)


@pytest.fixture(scope="session")
def hcloud_schema() -> Iterator[dict[str, Any]]:
    plugin = Plugin(Path(toolchain()["plugins"]) / HCLOUD)
    yield schema_of(plugin)
    plugin.close()


def inputs_of(arguments: type) -> set[str]:
    """List the inputs that a Python package's argument class takes, under their names in schemas."""
    return {camel_case(name) for name in inspect.signature(arguments).parameters}


def camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


@pytest.mark.parametrize(
    ("token", "arguments"),
    [
        ("command:local:Command", pulumi_command.local.CommandArgs),
        ("command:remote:Command", pulumi_command.remote.CommandArgs),
        ("command:remote:CopyToRemote", pulumi_command.remote.CopyToRemoteArgs),
        ("command:remote:CopyFile", pulumi_command.remote.CopyFileArgs),
    ],
)
def test_command_resources_take_what_the_package_gives(
    command_schema: dict[str, Any], token: str, arguments: type
) -> None:
    assert set(command_schema["resources"][token]["inputProperties"]) == inputs_of(arguments)


@pytest.mark.parametrize(
    ("token", "arguments"),
    [
        ("command:remote:Connection", pulumi_command.remote.ConnectionArgs),
        ("command:remote:ProxyConnection", pulumi_command.remote.ProxyConnectionArgs),
    ],
)
def test_connections_take_what_the_package_gives(command_schema: dict[str, Any], token: str, arguments: type) -> None:
    properties = command_schema["types"][token]["properties"]
    assert set(properties) == inputs_of(arguments)
    secret = {name for name, setting in properties.items() if setting.get("secret")}
    assert secret == {"password", "privateKey", "privateKeyPassword"}


def test_the_command_plugin_has_nothing_else(command_schema: dict[str, Any]) -> None:
    assert len(command_schema["resources"]) == 4
    assert set(command_schema["functions"]) == {"command:local:run"}
    values = [value["value"] for value in command_schema["types"]["command:remote:Logging"]["enum"]]
    assert values == ["stdout", "stderr", "stdoutAndStderr", "none"]
    for token in ("command:local:Command", "command:remote:Command", "command:remote:CopyToRemote"):
        assert command_schema["resources"][token]["inputProperties"]["triggers"]["replaceOnChanges"]


def test_the_hcloud_plugin_is_complete(hcloud_schema: dict[str, Any]) -> None:
    assert len(hcloud_schema["resources"]) == 29
    assert len(hcloud_schema["functions"]) == 45


# What the package has from a later Terraform provider than the newest that the Go module proxy is known to serve.
LATER_INPUTS = {"LoadBalancer": {"ipv4Id", "ipv6Id"}}


def package_resources() -> list[str]:
    """List the resource classes of pulumi-hcloud."""
    classes = inspect.getmembers(pulumi_hcloud, inspect.isclass)
    return [name for name, kind in classes if issubclass(kind, pulumi.CustomResource) and name != "Provider"]


def inputs_of_resource(name: str) -> set[str]:
    own = {"__self__", "resource_name", "opts", "__props__"}
    parameters = inspect.signature(getattr(pulumi_hcloud, name)._internal_init).parameters
    return {camel_case(parameter) for parameter in parameters if parameter not in own}


@pytest.mark.parametrize("name", package_resources())
def test_hcloud_resources_take_what_the_package_gives(hcloud_schema: dict[str, Any], name: str) -> None:
    by_class = {token.rsplit(":")[-1]: resource for token, resource in hcloud_schema["resources"].items()}
    assert inputs_of_resource(name) - LATER_INPUTS.get(name, set()) == set(by_class[name]["inputProperties"])


def test_the_provider_takes_an_endpoint_and_a_secret_token(hcloud_schema: dict[str, Any]) -> None:
    inputs = hcloud_schema["provider"]["inputProperties"]
    assert inputs_of(pulumi_hcloud.ProviderArgs) == set(inputs)
    assert inputs["token"]["secret"]
