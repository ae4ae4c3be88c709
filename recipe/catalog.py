"""The catalogue: operating systems, architectures and, for each Kubernetes minor, the components that belong to it."""

from datetime import date
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self, get_args

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from recipe.problems import Problem, ProblemsError, malformed

CATALOG_FILE = Path(__file__).with_name("catalog.yaml")

Architecture = Literal["amd64", "arm64"]
Version = Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
MINOR_PATTERN = r"^\d+\.\d+\+?$"
NEEDS_CONTAINERD_2 = (1, 36)
KUBERNETES_PROGRAMS = ("kubeadm", "kubelet", "kubectl")
COMPONENTS_WITH_FILE = ("containerd", "runc", "crictl", "cni-plugins")
FILES = (*KUBERNETES_PROGRAMS, *COMPONENTS_WITH_FILE, "goss")


def _with(*needed: str, allowed: tuple[str, ...] = ()) -> AfterValidator:
    """A pattern must have all `needed` placeholders, and may have the `allowed` ones."""

    def check(value: str) -> str:
        try:
            found = {name for _, name, _, _ in Formatter().parse(value) if name is not None}
        except ValueError as error:
            raise ValueError(f"not a pattern: {error}") from error
        if missing := set(needed) - found:
            raise ValueError(f"must have {{{'}, {'.join(sorted(missing))}}} in it")
        if foreign := found - {*needed, *allowed}:
            raise ValueError(f"{{{foreign.pop()}}}: only {', '.join((*needed, *allowed))} may stand in braces")
        return value

    return AfterValidator(check)


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatingSystem(_Entry):
    """One operating system: `image` is the name of Hetzner Cloud's system image that a build starts from.

    `installimage` is what Hetzner's installimage calls it, such as `Debian-1300-trixie`; empty where no tarball can be made.
    """

    distribution: str
    version: str
    image: str
    family: Literal["debian", "redhat"]
    installimage: Annotated[str, Field(pattern=r"^([A-Z][a-z]+-\d+-[a-z]+)?$")] = ""


class Support(_Entry):
    """Until when a project mends each of its lines, such as `1.36` or `24.04`, and where it says so."""

    source: Annotated[str, Field(pattern="^https://")]
    until: dict[str, date]


class ClusterNeed(_Entry):
    """What versions want of their cluster. `since`: the first patch release of each minor that does; later minors do, too."""

    what: str
    since: Annotated[list[Version], Field(min_length=1)]
    without: str
    brought_by: str = Field(alias="broughtBy")
    source: Annotated[str, Field(pattern="^https://")]


class Components(_Entry):
    """The versions that belong to a Kubernetes minor; `pause` is the tag of its pause image."""

    containerd: Version
    runc: Version
    crictl: Annotated[str, Field(pattern=r"^(\d+\.\d+|\{minor\})\.\d+$")]
    cni_plugins: Version = Field(alias="cni-plugins")
    pause: Annotated[str, Field(pattern=r"^\d+\.\d+(\.\d+)?$")]


class ArchitectureNames(_Entry):
    """What an architecture is called elsewhere: `hcloud` is `x86` or `arm`."""

    hcloud: str


class ArtifactSource(_Entry):
    """Where upstream publishes an artifact (`url`) and the checksums of it (`sums`), as patterns."""

    url: Annotated[str, Field(pattern="^https://"), _with("version", "architecture", allowed=("name",))]
    sums: Annotated[str, _with(allowed=("url", "version", "architecture", "name"))]


class BareMetal(_Entry):
    """What a distribution needs on bare metal; `firmware` where its package sources have it."""

    kernel: dict[Architecture, str]
    boot_loaders: dict[Architecture, list[str]] = Field(alias="bootLoaders")
    packages: list[str]
    firmware: list[str]


class Archive(_Entry):
    """Where a distribution keeps its packages as they were at `{time}`, such as `20261101T000000Z`."""

    main: Annotated[str, _with("time")]
    security: Annotated[str, _with("time")]


class Catalog(_Entry):
    """All of recipe/catalog.yaml, typed."""

    operating_systems: dict[str, OperatingSystem] = Field(alias="operatingSystems")
    architectures: dict[Architecture, ArchitectureNames]
    kubernetes: dict[Annotated[str, Field(pattern=MINOR_PATTERN)], Components]
    support: dict[str, Support]
    cluster_needs: list[ClusterNeed] = Field(alias="clusterNeeds", default=[])
    goss: str
    artifacts: dict[str, ArtifactSource]
    archives: dict[str, Archive]
    packages: dict[str, list[list[str]]]
    bare_metal: dict[str, BareMetal] = Field(alias="bareMetal")

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        families: set[str] = {system.family for system in self.operating_systems.values()}
        missing = {
            "artifacts": set(FILES) - set(self.artifacts),
            "architectures": set(get_args(Architecture)) - set(self.architectures),
            "packages": families - set(self.packages),
        }
        wrong = [f"{key} has no entry for {', '.join(sorted(names))}" for key, names in missing.items() if names]
        if wrong:
            raise ValueError("; ".join(wrong))
        return self

    @model_validator(mode="after")
    def _can_work(self) -> Self:
        for minor, components in self.kubernetes.items():
            if numbers(minor) >= NEEDS_CONTAINERD_2 and numbers(components.containerd) < (2,):
                raise ValueError(
                    f"kubernetes {minor} with containerd {components.containerd} cannot work: since 1.36 kubelet asks "
                    "for parts of CRI that containerd 1.x does not have; give it a containerd 2.x"
                )
        return self

    @model_validator(mode="after")
    def _has_all_ends(self) -> Self:
        missing = sorted(f"{product} {line}" for product, line in self._lines() if not self._has_end(product, line))
        if missing:
            raise ValueError(f"support has no entry for {', '.join(missing)}")
        return self

    def _lines(self) -> set[tuple[str, str]]:
        """All that is on offer here, but for minors to come."""
        systems = {(system.distribution, system.version) for system in self.operating_systems.values()}
        minors = {("kubernetes", minor) for minor in self.kubernetes if not minor.endswith("+")}
        return systems | minors | {("containerd", minor_of(item.containerd)) for item in self.kubernetes.values()}

    def _has_end(self, product: str, line: str) -> bool:
        return product in self.support and line in self.support[product].until

    def serves(self, kubernetes: str) -> bool:
        """Whether the catalogue has components for a full Kubernetes version."""
        return self._entry(kubernetes) is not None

    def components(self, kubernetes: str) -> dict[str, str]:
        """Every component of a node with its version, for a full Kubernetes version such as `1.36.4`.

        Raises KeyError for a minor that the catalogue does not have.
        """
        entry = self._entry(kubernetes)
        if entry is None:
            raise KeyError(kubernetes)
        versions = entry.model_dump(by_alias=True)
        minor = minor_of(kubernetes)
        return {"kubernetes": kubernetes, **{name: text.format(minor=minor) for name, text in versions.items()}}

    def url(self, artifact: str, version: str, architecture: str) -> str:
        """Where upstream publishes an artifact."""
        return self.artifacts[artifact].url.format(name=artifact, version=version, architecture=architecture)

    def sums_url(self, artifact: str, version: str, architecture: str) -> str:
        """Where upstream publishes the checksum of an artifact."""
        url = self.url(artifact, version, architecture)
        return self.artifacts[artifact].sums.format(url=url, name=artifact, version=version, architecture=architecture)

    def packages_of(self, os: str) -> list[str]:
        """The packages that the recipe installs on an operating system."""
        return [name for line in self.packages[self.operating_systems[os].family] for name in line]

    def _entry(self, kubernetes: str) -> Components | None:
        minor = minor_of(kubernetes)
        if minor in self.kubernetes:
            return self.kubernetes[minor]
        open_ended = [key for key in self.kubernetes if key.endswith("+") and numbers(key) <= numbers(minor)]
        return self.kubernetes[max(open_ended, key=numbers)] if open_ended else None


def minor_of(kubernetes: str) -> str:
    """`1.36.4` -> `1.36`."""
    return kubernetes.rpartition(".")[0]


def numbers(version: str) -> tuple[int, ...]:
    """`1.36.4` -> (1, 36, 4), to compare versions."""
    return tuple(int(part) for part in version.rstrip("+").split("."))


def load_catalog(file: Path = CATALOG_FILE) -> Catalog:
    """Read a catalogue; raises ProblemsError."""
    try:
        return Catalog.model_validate(yaml.safe_load(file.read_text()))
    except (OSError, UnicodeDecodeError) as error:
        remedy = "restore it: git checkout recipe"
        raise ProblemsError([Problem(str(file), "", "", f"cannot be read ({error})", remedy)]) from error
    except yaml.YAMLError as error:
        raise malformed(str(file), error) from error
    except ValidationError as error:
        raise ProblemsError(
            [
                Problem(
                    str(file),
                    ".".join(map(str, item["loc"])),
                    repr(item["input"]),
                    item["msg"],
                    "see the other entries of this file",
                )
                for item in error.errors()
            ]
        ) from error
