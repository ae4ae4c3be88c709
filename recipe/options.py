"""What a stack file may add to a node: `node-images:node`, typed, with the files it names read."""

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    AnyHttpUrl,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError
from pydantic_core.core_schema import ValidationInfo, no_info_after_validator_function

from recipe import containerd
from recipe.hardening import load_hardening

STEP_FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*\.sh", re.ASCII)
DROP_IN_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.toml", re.ASCII)
SyntaxCheck = Callable[[str], str]
"""What is wrong with the syntax of a script, or nothing. Whoever reads a stack file brings it: it asks a bash."""
CERTIFICATE = re.compile("-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)


def rule(text: str, remedy: str) -> PydanticCustomError:
    """A rule that a value breaks, with its remedy, for a pydantic validator to raise."""
    return PydanticCustomError("rule", "{rule}", {"rule": text, "remedy": remedy})


@dataclass(frozen=True)
class SourceFile:
    """A file of the user's that goes onto the node."""

    name: str
    text: str


@dataclass(frozen=True)
class _Matching:
    """The whole of a text matches a pattern, which the JSON Schema has as well."""

    pattern: str
    what: str
    example: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:  # noqa: ANN401
        return no_info_after_validator_function(self._check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {**handler(schema), "pattern": f"^({self.pattern})$"}

    def _check(self, value: str) -> str:
        if not re.fullmatch(self.pattern, value):
            raise rule(f"not {self.what}", f"write it like {self.example}")
        return value


def read_file(value: object, info: ValidationInfo) -> SourceFile:
    """The text file that a stack file names. Raises the rule that it breaks."""
    return _read(_folder(info) / str(value), f"name a text file, as seen from {_folder(info)}")


def _read(path: Path, remedy: str) -> SourceFile:
    try:
        return SourceFile(path.name, path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise rule(f"the file {path.name} cannot be read: {reason}", remedy) from error


def _scripts(value: object, info: ValidationInfo) -> list[SourceFile]:
    files = sorted((_folder(info) / str(value)).glob("[!.]*"))
    if not any(file.suffix == ".sh" for file in files):
        raise rule("no directory with *.sh files", f"name one, as seen from {_folder(info)}")
    odd = [file.name for file in files if not STEP_FILE.fullmatch(file.name)]
    if odd:
        remedy = "name steps like 10-agent.sh, with letters, digits, dots and dashes; keep everything else elsewhere"
        raise rule(f"{', '.join(odd)}: not the name of a step, so it would never run", remedy)
    scripts = [_read(file, "write it as UTF-8") for file in files]
    _refuse_broken(scripts, info)
    return scripts


def _refuse_broken(scripts: Iterable[SourceFile], info: ValidationInfo) -> None:
    check: SyntaxCheck | None = info.context and info.context.get("syntax")
    said = {file.name: check(file.text) for file in scripts} if check else {}
    wrong = [f"{name}: {error}" for name, error in said.items() if error]
    if wrong:
        raise rule(f"not valid bash: {'; '.join(wrong)}", "mend that line; bash -n FILE tells whether it is well")


def _folder(info: ValidationInfo) -> Path:
    assert info.context is not None, "whoever validates passes the folder"  # noqa: S101
    folder: Path = info.context["folder"]
    return folder


def _certificate(value: SourceFile) -> SourceFile:
    if not CERTIFICATE.search(value.text):
        raise rule(
            "holds no certificate in PEM form", "convert it with: openssl x509 -inform der -in FILE -out FILE.pem"
        )
    if "PRIVATE KEY-----" in value.text:
        raise rule("holds a private key, which every node would carry", "name a file with the certificate alone")
    return value


def _drop_in(value: SourceFile) -> SourceFile:
    if not value.name.endswith(".toml"):
        raise rule("containerd reads only files that end in .toml", f"rename it to {value.name}.toml")
    if not DROP_IN_FILE.fullmatch(value.name):
        raise rule(
            f"{value.name}: not a plain file name", "name it like 10-debug.toml, with letters, digits, dots and dashes"
        )
    try:
        tomllib.loads(value.text)
    except tomllib.TOMLDecodeError as error:
        raise rule(f"not valid TOML: {error}", "mend that line") from error
    return value


def _text(value: object) -> object:
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _flag_text(value: object) -> object:
    """As Go reads it: numbers with a fraction, and true and false, too."""
    return str(value).lower() if isinstance(value, bool | int | float) else value


def _without_password(value: AnyHttpUrl) -> AnyHttpUrl:
    if value.username is not None or value.password is not None:
        said = "a user or password in it would stand in this file, in the state and on every node"
        raise rule(said, "take it out; docs/node.md says where the credentials of a registry can live")
    return value


def _limit(value: str) -> str:
    soft, _, hard = value.partition(":")
    if hard and _unbounded(soft) > _unbounded(hard):
        raise rule(
            "the first limit, with which a process begins, is above the one to which it may raise it", "swap the two"
        )
    return value


def _unbounded(limit: str) -> float:
    return float(limit.replace("infinity", "inf"))


def _files_apart(value: list[SourceFile]) -> list[SourceFile]:
    names = [file.name for file in value]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise rule(
            f"{', '.join(twice)}: two files of one name, of which a node would have the last", "rename one of the two"
        )
    return value


Package = Annotated[
    str, _Matching(r"[A-Za-z0-9][A-Za-z0-9+._:-]*(=[A-Za-z0-9+._:~-]+)?", "a package name", "htop or htop=3.4.1-5")
]
Module = Annotated[str, _Matching(r"[A-Za-z0-9_-]+", "a kernel module's name", "ip_vs")]
Sysctl = Annotated[
    str, _Matching(r"[a-z][A-Za-z0-9_]*([./][A-Za-z0-9_*-]+)+", "a kernel setting's name", "net.core.somaxconn")
]
Value = Annotated[
    str,
    BeforeValidator(_text, json_schema_input_type=str | int),
    _Matching(r"[^\n'\"]+", "one line of text without quotes", '"4096"'),
]
FlagValue = Annotated[
    str,
    BeforeValidator(_flag_text, json_schema_input_type=str | bool | int | float),
    _Matching(r"[^\x00-\x1f\x7f]*", "one line of text", '"memory.available<5%"'),
]
LimitName = Literal[
    "as",
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nofile",
    "nproc",
    "rss",
    "sigpending",
    "stack",
]
Limit = Annotated[
    str,
    BeforeValidator(_text, json_schema_input_type=str | int),
    _Matching(r"(\d+|infinity)(:(\d+|infinity))?", "a limit, or two", '"65536:524288"'),
    AfterValidator(_limit),
]
Registry = Annotated[str, _Matching(r"_default|[a-z0-9.-]+(:\d+)?", "a registry's host name", "docker.io")]
RegistryHost = Annotated[str, _Matching(r"[a-z0-9.-]+(:\d+)?", "a registry's host name", "harbor.example.com:8443")]
Mirror = Annotated[AnyHttpUrl, AfterValidator(_without_password)]
Image = Annotated[
    str,
    _Matching(
        r"[a-z0-9][a-z0-9./_-]*(:\d+/[a-z0-9./_-]+)?(:[\w.-]+)?(@sha256:[0-9a-f]{64})?",
        "an image reference",
        "quay.io/cilium/cilium:v1.18.2",
    ),
]
Argument = Annotated[
    str, _Matching(r"[a-z][a-z0-9-]*", "the name of a kubelet flag, without dashes before it", "max-pods")
]
Certificate = Annotated[
    SourceFile, BeforeValidator(read_file, json_schema_input_type=str), AfterValidator(_certificate)
]
DropIn = Annotated[SourceFile, BeforeValidator(read_file, json_schema_input_type=str), AfterValidator(_drop_in)]
Scripts = Annotated[list[SourceFile], BeforeValidator(_scripts, json_schema_input_type=str)]


class Settings(BaseModel):
    """Base of what a stack file holds: camelCase keys, none but the known ones."""

    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True)


class OwnSteps(Settings):
    """Directories of shell scripts that run before or after the steps of the recipe, in the order of their names."""

    before: Scripts = Field(default=[])
    after: Scripts = Field(default=[])

    @model_validator(mode="after")
    def _named_apart(self) -> Self:
        twice = sorted({file.name for file in self.before} & {file.name for file in self.after})
        if twice:
            raise rule(f"{', '.join(twice)}: a step before and another after the recipe's", "rename one of the two")
        return self


class NodeOptions(Settings):
    """All options of a node. Every default gives the node that docs/recipe.md describes."""

    preload_images: bool = False
    extra_images: list[Image] = Field(default=[])
    extra_packages: list[Package] = Field(default=[])
    sysctls: dict[Sysctl, Value] = Field(default={})
    modules: list[Module] = Field(default=[])
    registry_mirrors: dict[Registry, Annotated[list[Mirror], Field(min_length=1)]] = Field(default={})
    registry_certificates: dict[RegistryHost, Certificate] = Field(default={})
    ca_certificates: Annotated[list[Certificate], AfterValidator(_files_apart)] = Field(default=[])
    containerd: Annotated[list[DropIn], AfterValidator(_files_apart)] = Field(default=[])
    container_limits: dict[LimitName, Limit] = Field(default={})
    kubelet_arguments: dict[Argument, FlagValue | None] = Field(default={})
    hardening: Literal["none", "cis"] = "none"
    steps: OwnSteps = OwnSteps()

    @model_validator(mode="after")
    def _agree_with_the_profile(self) -> Self:
        for item in load_hardening().sysctls if self.hardening == "cis" else []:
            told = self.sysctls.get(item.name, item.value)
            if told != item.value:
                said = f"hardening: cis sets {item.name} = {item.value} (CIS {item.id}), and sysctls says {told}"
                raise rule(said, "take one of the two out")
        return self

    def kubelet_flags(self) -> str:
        """Flags of kubelet on this node, a line each; those that kubeadm or people set come after them, and so win."""
        flags = {**KUBELET_DEFAULTS, **self.kubelet_arguments}
        return "\n".join(f"--{name}={value}" for name, value in flags.items() if value is not None)

    def limits(self) -> dict[str, str]:
        """Limits of containers by name, where they are not the default."""
        return {str(name): value for name, value in self.container_limits.items()}

    def containerd_files(self) -> dict[str, str]:
        """Drop-ins, registries and limits: path -> content."""
        drop_ins = {f"{containerd.FOLDER}/conf.d/{file.name}": file.text for file in self.containerd}
        mirrors = {host: [str(url) for url in urls] for host, urls in self.registry_mirrors.items()}
        authorities = {host: file.text for host, file in self.registry_certificates.items()}
        limits = f"[Service]\n{containerd.limit_lines(self.limits())}\n"
        return {
            **drop_ins,
            **containerd.registry_files(mirrors, authorities),
            **({containerd.LIMITS_FILE: limits} if self.container_limits else {}),
        }


KUBELET_DEFAULTS: Mapping[str, str | None] = {
    # Hetzner's cloud controller manager, which CAPH clusters run, gives nodes their addresses and provider id.
    "cloud-provider": "external",
    # Hetzner hands out more name servers than the three that kubelet and libc take.
    "resolv-conf": "/etc/kubernetes/resolv.conf",
}
