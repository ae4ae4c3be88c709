"""Which variables of a shell our calls of the engine do not get."""

import pytest

from images.engine import plain

WHERE_AND_WHO = [
    "PULUMI_BACKEND_URL",
    "PULUMI_ACCESS_TOKEN",
    "PULUMI_CONFIG_PASSPHRASE",
    "PULUMI_CONFIG_PASSPHRASE_FILE",
    "PULUMI_HOME",
    "PULUMI_STACK",
    "PULUMI_CREDENTIALS_PATH",
    "PULUMI_DIY_BACKEND_GZIP",
    "PULUMI_CONTINUE_ON_ERROR",
    "PULUMI_SKIP_UPDATE_CHECK",
    "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION",
    "PULUMI_FALLBACK_TO_STATE_SECRETS_MANAGER",
    "HCLOUD_TOKEN",
    "PATH",
]
OUTPUT = [
    "PULUMI_ENABLE_STREAMING_JSON_PREVIEW",
    "PULUMI_OPTION_FILE",
    "PULUMI_OPTION_SHELL",
    "PULUMI_OPTION_CWD",
    "PULUMI_EXPERIMENTAL",
    "PULUMI_OPTION_TARGET",
    "PULUMI_DEBUG_GRPC",
    "PULUMI_DISABLE_OUTPUT_VALUES",
    "PULUMI_DISABLE_PROVIDER_PREVIEW",
    "TF_LOG",
]


@pytest.mark.parametrize("name", WHERE_AND_WHO)
def test_where_the_state_is_and_who_asks_stays(name: str) -> None:
    assert plain({name: "x"}) == {name: "x"}


@pytest.mark.parametrize("name", OUTPUT)
def test_what_changes_the_engines_output_goes(name: str) -> None:
    assert plain({name: "x"}) == {}
