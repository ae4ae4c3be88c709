"""The catalogue: operating systems, architectures and, for each Kubernetes minor, the components that belong to it."""

from datetime import date
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recipe.problems import Problem, ProblemsError

CATALOG_FILE = Path(__file__).with_name("catalog.yaml")

Architecture = Literal["amd64", "arm64"]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class OperatingSystem(_Entry):
    """One operating system: `image` is the name of Hetzner Cloud's system image that a build starts from."""

    distribution: str
    version: str
    image: str
    family: str
    supported_until: date = Field(alias="supportedUntil")


class ArchitectureNames(_Entry):
    """What an architecture is called elsewhere: `hcloud` is `x86` or `arm`."""

    hcloud: str


class Catalog(_Entry):
    """All of recipe/catalog.yaml, typed."""

    operating_systems: dict[str, OperatingSystem] = Field(alias="operatingSystems")
    architectures: dict[Architecture, ArchitectureNames]
    kubernetes: dict[str, dict[str, str]]
    goss: str
    artifacts: dict[str, str]
    packages: dict[str, list[str]]

    def components(self, kubernetes: str) -> dict[str, str]:
        """Every component of a node with its version, for a full Kubernetes version such as `1.36.4`.

        Raises KeyError for a minor that the catalogue does not have.
        """
        return {"kubernetes": kubernetes, **self.kubernetes[minor_of(kubernetes)]}

    def url(self, artifact: str, version: str, architecture: str) -> str:
        """Where upstream publishes an artifact."""
        return self.artifacts[artifact].format(version=version, architecture=architecture)


def minor_of(kubernetes: str) -> str:
    """`1.36.4` -> `1.36`."""
    return kubernetes.rpartition(".")[0]


def load_catalog(file: Path = CATALOG_FILE) -> Catalog:
    """Read a catalogue; raises ProblemsError."""
    try:
        return Catalog.model_validate(yaml.safe_load(file.read_text()))
    except yaml.YAMLError as error:
        raise ProblemsError([Problem(str(file), "", "", f"not valid YAML ({error})", "mend the file")]) from error
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
