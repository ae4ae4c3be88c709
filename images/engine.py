"""What a shell may have told the engine that is not meant for our calls of it."""

import re
from collections.abc import Mapping

_OUTPUT = re.compile(
    r"PULUMI_(OPTION_\w+|ENABLE_\w+|DEBUG_\w+|NEO\w*|EXPERIMENTAL|DEV|LEGACY_PROVIDER_PREVIEW|PARALLEL_DIFF"
    r"|RUN_PROGRAM|ERROR_OUTPUT_STRING|DISABLE_(OUTPUT_VALUES|RESOURCE_REFERENCES|PROVIDER_PREVIEW))"
    r"|TF_LOG\w*"
)
"""Variables that change what the engine writes, or of what. Each of its options is one: PULUMI_OPTION_..."""


def plain(variables: Mapping[str, str]) -> dict[str, str]:
    """The variables of a shell without what changes the engine's output: what is left says where and who."""
    return {name: value for name, value in variables.items() if not _OUTPUT.fullmatch(name)}
