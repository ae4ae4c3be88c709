"""From versions to shell: the steps that turn a system image into a node, and the tests that a node must pass."""

import hashlib
import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from recipe.catalog import Catalog
from recipe.lock import Lock

HERE = Path(__file__).parent
PAUSE_IMAGE = "registry.k8s.io/pause"

KUBERNETES_PROGRAMS = ("kubeadm", "kubelet", "kubectl")
COMPONENTS_WITH_FILE = ("containerd", "runc", "crictl", "cni-plugins")


@dataclass(frozen=True)
class Step:
    """One provisioning step: `script` is complete bash text, and `digest` its sha256."""

    name: str
    script: str

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.script.encode()).hexdigest()


@dataclass(frozen=True)
class Artifact:
    """A file that a step downloads: `upstream` is its key in the lock, `url` where it comes from."""

    name: str
    version: str
    upstream: str
    url: str
    sha256: str


@dataclass(frozen=True)
class Recipe:
    """One operating system, Kubernetes version and architecture, rendered."""

    components: Mapping[str, str]
    artifacts: tuple[Artifact, ...]
    steps: tuple[Step, ...]
    acceptance: str


def artifacts_of(
    catalog: Catalog, lock: Lock, kubernetes: str, architecture: str, mirror: str | None = None
) -> tuple[Artifact, ...]:
    """The files of a node. A file that the lock does not have gets an empty sha256, which no download can satisfy."""
    components = catalog.components(kubernetes)
    versions = dict.fromkeys(KUBERNETES_PROGRAMS, kubernetes)
    versions |= {name: components[name] for name in COMPONENTS_WITH_FILE}
    versions["goss"] = catalog.goss
    return tuple(_artifact(catalog, lock, name, version, architecture, mirror) for name, version in versions.items())


def render(  # noqa: PLR0913 - what a node is made of
    catalog: Catalog, lock: Lock, os: str, kubernetes: str, architecture: str, mirror: str | None = None
) -> Recipe:
    """Render the recipe. `mirror` is the base URL of an artifact mirror; without it steps download from upstream.

    The mirror is no part of the node: two renderings that differ in it alone give the same node.
    """
    components = catalog.components(kubernetes)
    artifacts = artifacts_of(catalog, lock, kubernetes, architecture, mirror)
    packages = catalog.packages[catalog.operating_systems[os].family]
    settings = {
        "ARCHITECTURE": architecture,
        "KUBERNETES_VERSION": kubernetes,
        "CNI_PLUGINS_VERSION": components["cni-plugins"],
        "PAUSE_IMAGE": pause_image(components),
        "PACKAGES": " ".join(packages),
        "MANIFEST": json.dumps(_manifest(os, architecture, components, artifacts), indent=2),
    }
    for artifact in artifacts:
        variable = artifact.name.upper().replace("-", "_")
        settings |= {f"{variable}_URL": artifact.url, f"{variable}_SHA256": artifact.sha256}
    return Recipe(
        components=components,
        artifacts=artifacts,
        steps=tuple(_step(file, settings) for file in step_files()),
        acceptance=_acceptance(settings, components),
    )


def step_files() -> list[Path]:
    """The steps' files, in the order in which they run."""
    return sorted((HERE / "steps").glob("[0-9][0-9]-*.sh"))


def pause_image(components: Mapping[str, str]) -> str:
    """The sandbox image that kubeadm names and containerd must keep."""
    return f"{PAUSE_IMAGE}:{components['pause']}"


def steps_digest(recipe: Recipe) -> str:
    """sha256 over all steps: without a mirror, over all that shapes the node and nothing else."""
    return hashlib.sha256("".join(step.digest for step in recipe.steps).encode()).hexdigest()


def assignments(settings: Mapping[str, str]) -> str:
    """Shell text that sets the variables, quoted."""
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())


def exported(settings: Mapping[str, str]) -> str:
    """Shell text that sets the variables for programs that the script starts, too."""
    return "\n".join(f"export {line}" for line in assignments(settings).splitlines())


def _artifact(catalog: Catalog, lock: Lock, name: str, version: str, architecture: str, mirror: str | None) -> Artifact:  # noqa: PLR0913
    upstream = catalog.url(name, version, architecture)
    url = f"{mirror.rstrip('/')}/{upstream.removeprefix('https://')}" if mirror else upstream
    return Artifact(name, version, upstream, url, lock.get(upstream, ""))


def _manifest(
    os: str, architecture: str, components: Mapping[str, str], artifacts: tuple[Artifact, ...]
) -> dict[str, object]:
    files = {item.upstream: item.sha256 for item in artifacts if item.name != "goss"}
    return {"os": os, "architecture": architecture, "components": dict(components), "sha256": files}


def _step(file: Path, settings: Mapping[str, str]) -> Step:
    body = file.read_text()
    used = {name: value for name, value in settings.items() if f"${name}" in body}
    return Step(name=file.stem.partition("-")[2], script=f"{_library()}\n{assignments(used)}\n{body}")


def _acceptance(settings: Mapping[str, str], components: Mapping[str, str]) -> str:
    tests = merged_tests()
    runner = (HERE / "acceptance" / "run.sh").read_text()
    variables = json.dumps(
        {"kubernetes": components["kubernetes"], "pause_image": settings["PAUSE_IMAGE"], **components}
    )
    values = {
        "GOSS_URL": settings["GOSS_URL"],
        "GOSS_SHA256": settings["GOSS_SHA256"],
        "KUBERNETES_VERSION": settings["KUBERNETES_VERSION"],
        "TESTS": yaml.safe_dump(tests, sort_keys=False, width=1000),
        "VARIABLES": variables.replace("cni-plugins", "cni_plugins"),
    }
    return f"{_library()}\n{assignments(values)}\n{runner}"


def merged_tests() -> dict[str, dict[str, object]]:
    """The acceptance tests of all files, as one goss document."""
    merged: dict[str, dict[str, object]] = {}
    for file in sorted((HERE / "acceptance").glob("*.yaml")):
        for kind, tests in yaml.safe_load(file.read_text()).items():
            merged.setdefault(kind, {}).update(tests)
    return merged


def _library() -> str:
    return (HERE / "steps" / "lib.sh").read_text()
