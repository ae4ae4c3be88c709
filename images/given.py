"""What of a stack file only Pulumi reads: environments of Pulumi ESC, and encrypted values."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from recipe.problems import Problem

Place = tuple[str | int, ...]
DEEPEST = 10
"""No setting has as many levels."""


@dataclass(frozen=True)
class Given:
    """All settings as the engine gives them to the program: with what Pulumi ESC and Pulumi.yaml add, `secret` ones decrypted.

    Each value is text, lists and mappings as JSON.
    """

    values: Mapping[str, str]
    secret: Collection[str] = ()


class WithoutDates(yaml.SafeLoader):
    """Dates stay text, so that one that does not exist is told with all other problems, by its key."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class has it as a variable of instances
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def environments(document: Mapping[str, Any]) -> list[str]:
    """The environments of Pulumi ESC that a stack file opens: their names, and `environment` for what it defines itself."""
    opened = document.get("environment")
    imports = opened.get("imports") if isinstance(opened, dict) else opened
    names = [str(item) for item in imports] if isinstance(imports, list) else []
    return [*names, *(["environment"] if isinstance(opened, dict) and opened.get("values") else [])]


def with_given(config: Mapping[str, Any], given: Given | None, *, opens: bool) -> dict[str, Any]:
    """The settings of a stack file, and those that only the engine knows.

    What the file says goes before; where it `opens` environments of Pulumi ESC, a mapping is what the engine merged of both.
    Anything else is read from the file itself, as the engine's text of a date is none that people write.
    """
    if given is None:
        return dict(config)
    found = {key: _value(text) for key, text in given.values.items()}
    merged = {key for key, value in config.items() if opens and isinstance(value, dict) and not is_encrypted(value)}
    return {**found, **{key: value for key, value in config.items() if key not in merged & found.keys()}}


def _value(text: str) -> Any:  # noqa: ANN401 - any setting
    try:
        return yaml.load(text, WithoutDates)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError):
        return text


def encrypted(value: object, place: Place = ()) -> Iterator[Place]:
    """Where `secure: ...` stands instead of a value."""
    if is_encrypted(value):
        yield place
    elif len(place) > DEEPEST:  # of an alias to itself
        return
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from encrypted(item, (*place, str(key)))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from encrypted(item, (*place, index))


def is_encrypted(value: object) -> bool:
    """Whether `pulumi config set --secret` wrote it."""
    return isinstance(value, dict) and list(value) == ["secure"]


def problem_of_secret(label: str, key: str) -> Problem:
    """Of a setting of ours that is encrypted."""
    rule = "it is encrypted (secure:, or a secret of Pulumi ESC), and no setting of node images can be a secret"
    remedy = (
        "write it in the clear, as it stands in names, exports and the image; bring secrets to nodes with the cluster"
    )
    return Problem(label, key, "(not shown)", rule, remedy)


def is_secret_by_engine(key: str, value: object, given: Given | None) -> bool:
    """Whether a value is a secret of Pulumi ESC, which the engine gives decrypted."""
    return given is not None and key in given.secret and not any(encrypted(value))


def problem_of_unopened(label: str, key: str, opened: Collection[str]) -> Problem:
    """Of a required setting that the file lacks, and the environments that it opens may have."""
    rule = f"{key} is not in config, and Pulumi ESC opens its environments for pulumi preview and up alone, not for commands"
    return Problem(label, "environment", ", ".join(opened), rule, f"write {key} below config: of the stack file")
