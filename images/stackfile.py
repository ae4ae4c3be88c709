"""The stack file of an environment: `stacks/Pulumi.<stack>.yaml`, typed, with all of its problems found at once."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BeforeValidator,
    Field,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic_core import InitErrorDetails, PydanticCustomError
from pydantic_core.core_schema import ValidationInfo

from images.given import (
    Given,
    Place,
    WithoutDates,
    encrypted,
    environments,
    is_encrypted,
    is_secret_by_engine,
    problem_of_secret,
    problem_of_unopened,
    with_given,
)
from images.suggest import did_you_mean, full_version, is_misspelt, way_to
from recipe.catalog import Architecture, Catalog
from recipe.containerd import configuration_version, version_of
from recipe.gossfile import Level
from recipe.kubeadm import Fragment, KubeadmSettings
from recipe.lock import load_lock
from recipe.options import NodeOptions, OwnSteps, RegistryHost, Settings, SourceFile, SyntaxCheck, rule
from recipe.problems import Problem, ProblemsError, malformed

PROJECT = "node-images"
LOGINS = "registryCredentials"
"""The one setting whose values are secrets: the program hands them to the build server, and nothing else reads them."""
FULL_VERSION = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}", re.ASCII)
DAY_FIRST = re.compile(r"\d{4}-\d{2}-\d{2}([T ].+)?", re.ASCII)
TOKEN_LENGTH = 64
PROVIDER_KEYS = ("token", "endpoint", "endpointHetzner", "pollFunction", "pollInterval")
"""What pulumi-hcloud reads of its own settings."""

SERVER_TYPES: Mapping[Architecture, Sequence[str]] = {
    "amd64": ("cx23", "cpx12", "cpx22", "cx33", "cpx32"),
    "arm64": ("cax11", "cax21"),
}
LOCATIONS = ("nbg1", "fsn1", "hel1")
"""Where and on what images are built unless a stack file says otherwise, in order of preference."""


def _known_os(value: str, info: ValidationInfo) -> str:
    known = _catalog(info).operating_systems
    if value not in known:
        raise rule("not an operating system of recipe/catalog.yaml", did_you_mean(value, list(known)))
    return value


def _listed(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _version_text(value: object, info: ValidationInfo) -> object:
    if isinstance(value, int | float):
        remedy = full_version(str(value), _catalog(info), load_lock())
        raise rule(f"{value} is a number, not a full version", f"{remedy}; mind the quotes")
    return value


def _supported_version(value: str, info: ValidationInfo) -> str:
    catalog = _catalog(info)
    if not FULL_VERSION.fullmatch(value):
        remedy = full_version(value, catalog, load_lock())
        raise rule("not a full Kubernetes version (MAJOR.MINOR.PATCH, no v)", remedy)
    if not catalog.serves(value):
        raise rule(
            "recipe/catalog.yaml has no components for this Kubernetes minor",
            f"use one of {', '.join(catalog.kubernetes)}, or add the minor to the catalogue",
        )
    return value


def _time(value: object, info: ValidationInfo) -> str:
    """A date or a time, as package archives write it: `20261101T000000Z`."""
    try:
        moment = datetime.fromisoformat(str(value)) if DAY_FIRST.fullmatch(str(value)) else None
        moment = moment and (moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC))
    except (ValueError, OverflowError):
        moment = None
    if moment is None:
        raise rule("not a date", 'write it like "2026-11-01" or "2026-11-01T12:00:00Z"')
    today = _context(info)["today"]
    if today and moment.date() > today:
        raise rule("no package archive knows the future", f"use {today} or an earlier date")
    return moment.strftime("%Y%m%dT%H%M%SZ")


def _seconds(value: object) -> object:
    """`30m` -> 1800; a bare number is seconds."""
    match = re.fullmatch(r"(\d+)(s|m|h)?", str(value))
    if isinstance(value, bool) or match is None:
        raise rule("not a length of time", 'write it like "90s", "30m" or "2h"')
    return int(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]


def _network(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError as error:
        raise rule(f"not a network: {error}", 'write it like "203.0.113.7" or "198.51.100.0/24"') from error


def _login(value: object) -> str:
    if not is_encrypted(value):
        command = f"./pulumiw config set --secret --path '{PROJECT}:{LOGINS}[\"HOST\"]' --stack STACK"
        raise rule("a password in the clear, here and in this file's history", f"change it, and set it with: {command}")
    return "(secret)"


def _logins(value: object) -> object:
    """Of a map that is a secret as a whole, only the engine knows the hosts."""
    return {} if is_encrypted(value) else value


def _named_once(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise rule("something is named twice", "name each once")
    return value


def _over_defaults(value: dict[Architecture, list[str]]) -> dict[Architecture, list[str]]:
    return {**{architecture: [*names] for architecture, names in SERVER_TYPES.items()}, **value}


def _with_snapshot(value: list[str]) -> list[str]:
    if "snapshot" not in value:
        remedy = "write forms: [snapshot, tarball], or forms: [snapshot]"
        raise rule("a tarball is packed on a server booted from the verified snapshot, so there always is one", remedy)
    return value


def _readable(value: NodeOptions, info: ValidationInfo) -> NodeOptions:
    """Every containerd of these images reads every drop-in: it does not start with one of a version that it does not know."""
    wrong = [
        InitErrorDetails(type=error, loc=("containerd", number), input=file.name)
        for number, file in enumerate(value.containerd)
        if (error := _too_new(file, _kubernetes(info), _catalog(info)))
    ]
    if wrong:
        raise ValidationError.from_exception_data("node", wrong)
    return value


def _too_new(file: SourceFile, versions: Iterable[str], catalog: Catalog) -> PydanticCustomError | None:
    said = version_of(file.text)
    readers = {version: catalog.components(version)["containerd"] for version in versions}
    known = {version: configuration_version(release) for version, release in readers.items()}
    behind = {version: newest for version, newest in known.items() if newest < said}
    if not behind:
        return None
    version = min(behind, key=lambda name: behind[name])
    reads = f"containerd {readers[version]}, which Kubernetes {version} gets, reads version {behind[version]} at most"
    remedy = f"write it in version {behind[version]}, or keep the images that it is for in a stack file of their own"
    return rule(f"version = {said} in it, and {reads}: it would not start", remedy)


def _kubernetes(info: ValidationInfo) -> list[str]:
    """The versions of all images, where they are known to be good."""
    images: list[ImageSettings] = info.data.get("images", [])
    return [version for item in images for version in item.kubernetes]


def _catalog(info: ValidationInfo) -> Catalog:
    catalog: Catalog = _context(info)["catalog"]
    return catalog


def _context(info: ValidationInfo) -> dict[str, Any]:
    assert info.context is not None, "parse_stack_file passes it"  # noqa: S101
    return dict(info.context)


Length = Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^\d+(s|m|h)?$")]
Seconds = Annotated[int, BeforeValidator(_seconds, json_schema_input_type=Length), Field(ge=1)]
Network = Annotated[str, AfterValidator(_network)]
OsName = Annotated[str, AfterValidator(_known_os)]
Version = Annotated[
    str,
    BeforeValidator(_version_text),
    AfterValidator(_supported_version),
    WithJsonSchema({"type": "string", "pattern": f"^{FULL_VERSION.pattern}$"}),
]
Versions = Annotated[list[Version], Field(min_length=1)]
Encrypted = dict[Literal["secure"], str]
"""As `pulumi config set --secret` writes it."""


class ImageSettings(Settings):
    """An operating system with the Kubernetes versions to keep images of."""

    os: OsName
    kubernetes: Annotated[Versions, BeforeValidator(_listed, json_schema_input_type=Version | Versions)]
    architectures: Annotated[list[Architecture], AfterValidator(_named_once)] = Field(default=["amd64"], min_length=1)
    protect: bool = False


class ArtifactSettings(Settings):
    """Where steps download from, and what sums are trusted beside those of the lock.

    `mirror`: as this machine reaches it. `mirrorForServers`: as build servers reach it, where that is by another URL.
    `localBuilds`: of what the mirror built itself (recipe/lock.local.yaml). `unlocked`: of files that the lock lacks, none, or
    what their publishers give on the day of the run.
    """

    mirror: AnyHttpUrl | None = None
    mirror_for_servers: AnyHttpUrl | None = None
    local_builds: bool = False
    unlocked: Literal["refused", "published"] = "refused"


class Timeouts(Settings):
    """How long a run waits, in seconds.

    For an `action` of Hetzner Cloud, for a server to `boot` until its SSH answers, for its `shutdown`, for a `snapshot` to be
    complete, and for `room` where a quota is used up while builds of the same stack run. A `step`, or
    the packing of a `tarball`, that takes longer is ended. In the acceptance tests: for `kubelet` to be healthy, and for all that
    is done with a `cluster` before its server is started anew, again after it, and again by each part of a second server's join.
    """

    step: Seconds = 1800
    tarball: Seconds = 3600
    action: Seconds = 900
    boot: Seconds = 300
    shutdown: Seconds = 90
    snapshot: Seconds = 3600
    room: Seconds = 3600
    kubelet: Seconds = 120
    cluster: Seconds = 900


class StackFile(Settings):
    """All settings of an environment. Every key but `images` has a default that suits Hetzner Cloud."""

    images: Annotated[list[ImageSettings], Field(min_length=1)]
    server_types: Annotated[
        dict[Architecture, Annotated[list[str], Field(min_length=1)]], AfterValidator(_over_defaults)
    ] = Field(default=_over_defaults({}))
    locations: list[str] = Field(default=[*LOCATIONS], min_length=1)
    max_disk: Annotated[int, Field(ge=1)] | None = None
    keep_generations: Annotated[int, Field(ge=0)] = 1
    max_parallel: Annotated[int, Field(ge=1, le=20)] = 2
    on_failure: Literal["release", "keep"] = "release"
    ssh_port: Annotated[int, Field(ge=1, le=65535)] = 22
    ssh_from: list[Network] = Field(default=[])
    timeouts: Timeouts = Timeouts()
    artifacts: ArtifactSettings = ArtifactSettings()
    node: Annotated[NodeOptions, AfterValidator(_readable)] = NodeOptions()
    as_of: Annotated[
        str, BeforeValidator(_time), WithJsonSchema({"type": "string", "pattern": f"^{DAY_FIRST.pattern}$"})
    ] = ""
    verification: Level = "auto"
    kubeadm: Fragment = KubeadmSettings()
    reverify: Annotated[str, BeforeValidator(str, json_schema_input_type=Any)] = ""
    registry_credentials: Annotated[
        dict[RegistryHost, Annotated[str, BeforeValidator(_login, json_schema_input_type=Encrypted)]],
        BeforeValidator(_logins, json_schema_input_type=dict[RegistryHost, Encrypted] | Encrypted),
    ] = Field(default={})
    sboms: str = Field(default="sboms", min_length=1)
    forms: Annotated[list[Literal["snapshot", "tarball"]], AfterValidator(_with_snapshot)] = Field(default=["snapshot"])
    tarballs: str = Field(default="tarballs", min_length=1)

    @model_validator(mode="after")
    def _has_archives(self, info: ValidationInfo) -> Self:
        catalog = _catalog(info)
        systems = [item.os for item in self.images]
        without = [name for name in systems if catalog.operating_systems[name].distribution not in catalog.archives]
        if self.as_of and without:
            distribution_rule = (
                f"asOf: the distribution of {', '.join(without)} keeps no archive of its packages by date"
            )
            raise rule(distribution_rule, "remove asOf, or keep those images in a stack file of their own")
        return self

    @model_validator(mode="after")
    def _can_be_installed(self, info: ValidationInfo) -> Self:
        catalog = _catalog(info)
        without = [item.os for item in self.images if not catalog.operating_systems[item.os].installimage]
        if self.has_tarballs and without:
            tarball_rule = f"forms: no tarball for installimage can be made of {', '.join(without)}"
            raise rule(tarball_rule, "remove tarball, or keep those images in a stack file of their own")
        return self

    @property
    def test_servers(self) -> int:
        """How many servers test one image at the same time."""
        return 2 if self.verification == "join" else 1

    @property
    def has_tarballs(self) -> bool:
        return "tarball" in self.forms

    @property
    def mirror(self) -> str:
        """Base URL of the artifact mirror for this machine, or nothing."""
        return _base(self.artifacts.mirror)

    @property
    def mirror_for_servers(self) -> str:
        """Base URL of the artifact mirror for build servers, or nothing."""
        return _base(self.artifacts.mirror_for_servers) or self.mirror

    @property
    def local_builds(self) -> bool:
        return self.artifacts.local_builds


def _base(url: AnyHttpUrl | None) -> str:
    return str(url).rstrip("/") if url else ""


def load_stack_file(  # noqa: PLR0913 - what it is read with
    file: Path,
    catalog: Catalog,
    label: str | None = None,
    today: date | None = None,
    syntax: SyntaxCheck | None = None,
    given: Given | None = None,
) -> StackFile:
    """Read a stack file. `label` is what errors call it (default: its path). Raises ProblemsError with all problems.

    Files that it names lie relative to the directory above its own, the checkout. Without `today`, `asOf` may be in the future;
    without `syntax`, own steps are taken as they are; without `given`, the file is all there is.
    """
    name = label or str(file)
    return parse_stack_file(_text(file, name), catalog, name, file.absolute().parents[1], today, syntax, given)


def environments_of(file: Path) -> list[str]:
    """The environments of Pulumi ESC that a stack file opens. Raises ProblemsError where it cannot be read."""
    return environments(_document(_text(file, str(file)), str(file)))


def read_config(file: Path) -> dict[str, Any]:
    """The settings of a stack file as they stand there, of all programs. Raises ProblemsError where it cannot be read."""
    return _config(_document(_text(file, str(file)), str(file)), str(file))


def _text(file: Path, label: str) -> str:
    try:
        return file.read_text()
    except UnicodeDecodeError as error:
        remedy = "write it as UTF-8"
        raise ProblemsError([Problem(label, "", "", f"the file is not text ({error})", remedy)]) from error
    except OSError as error:
        remedy = "write it after the example of stacks/Pulumi.dev.yaml, or select another stack: ./pulumiw stack ls"
        raise ProblemsError(
            [Problem(label, "", "", f"the stack has no readable stack file ({error.strerror})", remedy)]
        ) from error


def parse_stack_file(  # noqa: PLR0913 - what it is read with
    text: str,
    catalog: Catalog,
    label: str,
    folder: Path = Path(),
    today: date | None = None,
    syntax: SyntaxCheck | None = None,
    given: Given | None = None,
) -> StackFile:
    """The typed settings in the text of a stack file. Raises ProblemsError with all problems."""
    document = _document(text, label)
    config = with_given(_config(document, label), given, opens=bool(environments(document)))
    own = {key.removeprefix(f"{PROJECT}:"): value for key, value in config.items() if key.startswith(f"{PROJECT}:")}
    problems = [
        *_misplaced(document, label),
        *_provider_problems(config, label),
        *_duplicates(own.get("images"), label),
    ]
    if LOGINS in own and is_secret_by_engine(f"{PROJECT}:{LOGINS}", own[LOGINS], given):
        own[LOGINS] = {"secure": ""}
    hidden = _hidden(own, given)
    problems += [problem_of_secret(label, _key(place)) for place in hidden]
    context = {"catalog": catalog, "folder": folder, "today": today, "syntax": syntax}
    try:
        settings = StackFile.model_validate(own, context=context)
    except ValidationError as error:
        found = [item for item in error.errors(include_url=False) if not _is_below(item["loc"], hidden)]
        opened = [] if given else environments(document)
        problems += [
            problem_of_unopened(label, _key(item["loc"]), opened)
            if opened and item["loc"] == ("images",) and item["type"] == "missing"
            else _problem(item, label)
            for item in found
        ]
    if problems:
        raise ProblemsError(sorted(problems))
    return settings


def _document(text: str, label: str) -> dict[str, Any]:
    try:
        document = yaml.load(text, WithoutDates)  # noqa: S506 - it is a SafeLoader
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # also of brackets without end
        raise malformed(label, error) from error
    return document if isinstance(document, dict) else {}


def _config(document: Mapping[str, Any], label: str) -> dict[str, Any]:
    config = document.get("config")
    if config is None and environments(document):
        return {}
    if not isinstance(config, dict):
        remedy = f"write config: with {PROJECT}:images: below it, after the example of stacks/Pulumi.dev.yaml"
        raise ProblemsError([Problem(label, "config", "", "the stack file has no settings", remedy)])
    return {str(key): value for key, value in config.items()}


def _hidden(own: Mapping[str, Any], given: Given | None) -> list[Place]:
    """Where values of ours are secrets."""
    secret = {key.removeprefix(f"{PROJECT}:") for key in given.secret} if given else set()
    open_ones = {key: value for key, value in own.items() if key != LOGINS}
    whole: list[Place] = [(key,) for key in open_ones if key in secret]
    return sorted({*whole, *encrypted({key: value for key, value in open_ones.items() if key not in secret})}, key=str)


def _is_below(place: Place, others: Sequence[Place]) -> bool:
    return any(place[: len(other)] == other for other in others)


def _misplaced(document: Mapping[str, Any], label: str) -> Iterator[Problem]:
    for key, value in document.items():
        if ":" in str(key):
            yield Problem(
                label, str(key), _shown(value), "a setting beside config, which nobody reads", "write it below config:"
            )


def _provider_problems(config: Mapping[str, Any], label: str) -> Iterator[Problem]:
    for key, value in config.items():
        namespace, _, name = key.partition(":")
        if namespace not in (PROJECT, "hcloud", "pulumi"):
            rule = "unknown key: no part of this project reads it"
            yield Problem(label, key, _shown(value), rule, _of_nobody(key, namespace))
        elif namespace == "hcloud" and name not in PROVIDER_KEYS:
            rule = "unknown key: the Hetzner Cloud provider does not read it"
            yield Problem(label, key, "(not shown)", rule, did_you_mean(name, PROVIDER_KEYS))
    endpoint = config.get("hcloud:endpoint")
    if (
        endpoint is not None
        and not is_encrypted(endpoint)
        and not re.fullmatch(r"https?://[^/\s]+(/.*)?", str(endpoint))
    ):
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


def _of_nobody(key: str, namespace: str) -> str:
    if key in _keys_at(()):
        return f"write it as {_written_as(key, ())}"
    return did_you_mean(namespace, [PROJECT, "hcloud", "pulumi"])


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
    if item["type"] in _PLAIN:
        rule, remedy = (words.format(**context) for words in _PLAIN[item["type"]])
    else:  # pydantic's words are shown as they are: braces in them are no places to fill
        rule, remedy = item["msg"], "docs/stack-file.md lists every key with its values"
    value = "" if item["type"] == "missing" else _shown(item["input"])
    if item["loc"][:1] == (LOGINS,):
        value = "(not shown)"
    return Problem(
        label,
        _key(item["loc"]),
        value,
        context.get("rule") or rule,
        context.get("remedy") or _of_key(item) or remedy,
    )


_PLAIN = {
    "extra_forbidden": ("unknown key", ""),
    "missing": ("this key is required", "add it after the example of stacks/Pulumi.dev.yaml"),
    "model_type": ("not a mapping of keys", ""),
    "dict_type": ("not a mapping of keys", 'write "key: value" lines, indented below it'),
    "list_type": ("not a list", "write it in brackets, [a, b], or with a line for each, indented below it: - a"),
    "too_short": ("it is empty", "name at least one, or remove the key where it has a default"),
    "string_too_short": ("it is empty", "remove the key for its default"),
    "string_type": ("not a text", "write one value, in quotes"),
    "int_type": ("not a whole number", "write a number without quotes"),
    "int_from_float": ("not a whole number", "write a number without a fraction"),
    "int_parsing": ("not a whole number", "write a number without quotes"),
    "bool_type": ("neither true nor false", "write true or false"),
    "bool_parsing": ("neither true nor false", "write true or false"),
    "greater_than_equal": ("less than {ge}", "write {ge} or more"),
    "less_than_equal": ("more than {le}", "write {le} or less"),
    "literal_error": ("not {expected}", "write one of these"),
    "url_parsing": ("not a URL: {error}", 'write it like "http://127.0.0.1:8788"'),
    "url_scheme": ("not a URL of a web server", 'write it like "http://127.0.0.1:8788"'),
}
"""Rule and remedy of what pydantic finds, in the words of people who write YAML."""


def _of_key(item: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    """The remedy where it depends on the level at which the key stands."""
    place = tuple(str(part) for part in item["loc"] if not isinstance(part, int))
    if item["type"] == "extra_forbidden":
        return _of_unknown(place[-1], place[:-1])
    if item["type"] == "model_type":
        return f"write its keys indented below it: {', '.join(_keys_at(place))}"
    return ""


def _of_unknown(key: str, here: tuple[str, ...]) -> str:
    """A remedy for a key that its level does not have: the level that has it, or else what was probably meant."""
    known = _keys_at(here)
    there = next((level for level in _LEVELS if key in _keys_at(level)), None)
    if there is None or is_misspelt(key, known):
        return did_you_mean(key, known)
    return f"it belongs {way_to(there, here)}: write it as {_written_as(key, there)}"


def _written_as(key: str, level: tuple[str, ...]) -> str:
    """As docs/stack-file.md writes it: `node-images:images[].os`."""
    return f"{PROJECT}:{'.'.join([*level, key])}".replace(f"{PROJECT}:images.", f"{PROJECT}:images[].")


def _keys_at(level: tuple[str, ...]) -> list[str]:
    return [field.alias or name for name, field in _LEVELS.get(level, StackFile).model_fields.items()]


_LEVELS: dict[tuple[str, ...], type[Settings]] = {
    (): StackFile,
    ("images",): ImageSettings,
    ("artifacts",): ArtifactSettings,
    ("timeouts",): Timeouts,
    ("node",): NodeOptions,
    ("node", "steps"): OwnSteps,
    ("kubeadm",): KubeadmSettings,
}


def _key(place: tuple[str | int, ...]) -> str:
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in place if part != "[key]")
    return f"{PROJECT}:" + "".join(parts).lstrip(".")


def _shown(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000).strip().removesuffix("...")
    text = re.sub(r"//[^/@ ]+@", "//(not shown)@", " ".join(text.split()))
    return text if len(text) <= 80 else f"{text[:77]}..."
