"""The stack file of an environment: `stacks/Pulumi.<stack>.yaml`, typed, with all of its problems found at once."""

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, AnyHttpUrl, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from images.suggest import did_you_mean
from recipe.catalog import Architecture, Catalog, minor_of
from recipe.problems import Problem, ProblemsError

PROJECT = "node-images"
FULL_VERSION = re.compile(r"\d+\.\d+\.\d+")
TOKEN_LENGTH = 64


def _rule(rule: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("rule", "{rule}", {"rule": rule, "remedy": remedy})


def _known_os(value: str, info: ValidationInfo) -> str:
    known = list(_catalog(info).operating_systems)
    if value not in known:
        raise _rule("not an operating system of recipe/catalog.yaml", did_you_mean(value, known))
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _version_text(value: object) -> object:
    if isinstance(value, int | float):
        raise _rule(
            f"{value} is a number, not a full version", f'write the patch release in quotes, such as "{value}.0"'
        )
    return value


def _supported_version(value: str, info: ValidationInfo) -> str:
    if not FULL_VERSION.fullmatch(value):
        raise _rule("not a full Kubernetes version (MAJOR.MINOR.PATCH, no v)", 'write it like "1.36.4"')
    minors = list(_catalog(info).kubernetes)
    if minor_of(value) not in minors:
        raise _rule(
            "recipe/catalog.yaml has no components for this Kubernetes minor",
            f"use one of {', '.join(minors)}, or add the minor to the catalogue",
        )
    return value


def _catalog(info: ValidationInfo) -> Catalog:
    assert info.context is not None, "parse_stack_file passes the catalogue"  # noqa: S101
    catalog: Catalog = info.context["catalog"]
    return catalog


OsName = Annotated[str, AfterValidator(_known_os)]
Version = Annotated[str, BeforeValidator(_version_text), AfterValidator(_supported_version)]


class _Settings(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class ImageSettings(_Settings):
    """An operating system with the Kubernetes versions to keep images of."""

    os: OsName
    kubernetes: Annotated[list[Version], BeforeValidator(_listed), Field(min_length=1)]
    architectures: Annotated[list[Architecture], Field(min_length=1)] = ["amd64"]


class ArtifactSettings(_Settings):
    """Where steps download from. `localBuilds` also trusts what the mirror built itself (recipe/lock.local.yaml)."""

    mirror: AnyHttpUrl
    local_builds: bool = False


class StackFile(_Settings):
    """All settings of an environment. Every key but `images` has a default that suits Hetzner Cloud."""

    images: Annotated[list[ImageSettings], Field(min_length=1)]
    server_types: dict[Architecture, Annotated[list[str], Field(min_length=1)]] = {
        "amd64": ["cx23", "cpx22", "cx33", "cpx32"],
        "arm64": ["cax11", "cax21"],
    }
    locations: Annotated[list[str], Field(min_length=1)] = ["nbg1", "fsn1", "hel1"]
    keep_generations: Annotated[int, Field(ge=0)] = 1
    max_parallel: Annotated[int, Field(ge=1, le=20)] = 2
    on_failure: Literal["release", "keep"] = "release"
    ssh_port: Annotated[int, Field(ge=1, le=65535)] = 22
    artifacts: ArtifactSettings | None = None

    @property
    def mirror(self) -> str | None:
        return str(self.artifacts.mirror).rstrip("/") if self.artifacts else None

    @property
    def local_builds(self) -> bool:
        return bool(self.artifacts and self.artifacts.local_builds)


def load_stack_file(file: Path, catalog: Catalog, label: str | None = None) -> StackFile:
    """Read a stack file. `label` is what errors call it (default: its path). Raises ProblemsError with all problems."""
    return parse_stack_file(_text(file, label or str(file)), catalog, label or str(file))


def _text(file: Path, label: str) -> str:
    try:
        return file.read_text()
    except OSError as error:
        remedy = "write it after the example of stacks/Pulumi.dev.yaml, or select another stack"
        raise ProblemsError(
            [Problem(label, "", "", f"the stack has no readable stack file ({error.strerror})", remedy)]
        ) from error


def parse_stack_file(text: str, catalog: Catalog, label: str) -> StackFile:
    """The typed settings in the text of a stack file. Raises ProblemsError with all problems."""
    config = _config(text, label)
    own = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if key.startswith(f"{PROJECT}:")}
    problems = [*_provider_problems(config, label), *_duplicates(own.get("images"), label)]
    try:
        settings = StackFile.model_validate(own, context={"catalog": catalog})
    except ValidationError as error:
        problems += [_problem(item, label) for item in error.errors(include_url=False)]
    if problems:
        raise ProblemsError(sorted(problems))
    return settings


def _config(text: str, label: str) -> dict[str, Any]:
    try:
        document = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        place = " ".join(str(error).split())
        raise ProblemsError([Problem(label, "", "", f"not valid YAML: {place}", "mend that line")]) from error
    config = document.get("config") if isinstance(document, dict) else None
    if not isinstance(config, dict):
        remedy = f"write config: with {PROJECT}:images: below it, after the example of stacks/Pulumi.dev.yaml"
        raise ProblemsError([Problem(label, "config", "", "the stack file has no settings", remedy)])
    return {str(key): value for key, value in config.items()}


def _provider_problems(config: Mapping[str, Any], label: str) -> Iterator[Problem]:
    for key, value in config.items():
        namespace = key.partition(":")[0]
        if namespace not in (PROJECT, "hcloud", "pulumi"):
            rule = "unknown key: no part of this project reads it"
            yield Problem(label, key, _shown(value), rule, did_you_mean(namespace, [PROJECT, "hcloud", "pulumi"]))
    endpoint = config.get("hcloud:endpoint")
    if endpoint is not None and not re.fullmatch(r"https?://[^/\s]+(/.*)?", str(endpoint)):
        remedy = 'write it like "http://127.0.0.1:8787/v1", or remove it for Hetzner Cloud itself'
        yield Problem(label, "hcloud:endpoint", _shown(endpoint), "not a URL of an API", remedy)
    token = config.get("hcloud:token")
    if isinstance(token, str) and len(token) != TOKEN_LENGTH:
        rule = f"a Hetzner Cloud API token has {TOKEN_LENGTH} characters, this has {len(token)}"
        yield Problem(
            label,
            "hcloud:token",
            "(not shown)",
            rule,
            "set it with: ./pulumiw config set --secret hcloud:token --stack STACK",
        )


def _duplicates(images: object, label: str) -> Iterator[Problem]:
    entries = [item for item in images if isinstance(item, dict)] if isinstance(images, list) else []
    pairs = [(item.get("os"), version) for item in entries for version in list(_listed(item.get("kubernetes")))]  # type: ignore[call-overload]
    for (os, version), count in Counter(map(_text_pair, pairs)).items():
        if count > 1:
            rule = f"declared {count} times: one image of an operating system and Kubernetes version is enough"
            yield Problem(label, f"{PROJECT}:images", f"{os}/{version}", rule, "keep one of them")


def _text_pair(pair: tuple[object, object]) -> tuple[str, str]:
    return str(pair[0]), str(pair[1])


def _problem(item: Any, label: str) -> Problem:  # noqa: ANN401 - pydantic's ErrorDetails
    context = item.get("ctx", {})
    rule = context.get("rule") or _PLAIN_RULES.get(item["type"], item["msg"])
    value = "" if item["type"] == "missing" else _shown(item["input"])
    return Problem(label, _key(item["loc"]), value, rule, context.get("remedy") or _remedy(item))


_PLAIN_RULES = {"extra_forbidden": "unknown key", "missing": "this key is required"}


def _remedy(item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    if item["type"] == "extra_forbidden":
        return did_you_mean(str(item["loc"][-1]), _keys_at(item["loc"][:-1]))
    if item["type"] == "missing":
        return "add it after the example of stacks/Pulumi.dev.yaml"
    return "docs/stack-file.md lists every key with its values"


def _keys_at(place: tuple[str | int, ...]) -> list[str]:
    models: dict[str, type[_Settings]] = {"images": ImageSettings, "artifacts": ArtifactSettings}
    model = models.get(str(place[0]) if place else "", StackFile)
    return [to_camel(name) for name in model.model_fields]


def _key(place: tuple[str | int, ...]) -> str:
    return f"{PROJECT}:" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _shown(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...").strip()
    return text if len(text) <= 80 else f"{text[:77]}..."
