"""From versions to shell: the steps that turn a system image into a node, and the tests that a node must pass."""

import hashlib
import json
import re
import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from recipe import gossfile, hygiene, joining
from recipe.catalog import COMPONENTS_WITH_FILE, KUBERNETES_PROGRAMS, Architecture, Catalog
from recipe.defaults import load_defaults
from recipe.expected import expected
from recipe.hardening import load_hardening
from recipe.kubeadm import KubeadmSettings
from recipe.lock import Lock
from recipe.options import NodeOptions, SourceFile
from recipe.phases import Phase, phase_of
from recipe.problems import Problem, ProblemsError
from recipe.texts import text_of

HERE = Path(__file__).parent
PAUSE_IMAGE = "registry.k8s.io/pause"

SINGLE_FILES = (*KUBERNETES_PROGRAMS, "runc")
"""Artifacts that are the very file on the node; the others are archives."""
ONLY_WHERE_SET = re.compile(r"^# Only where ([A-Z_]+) is set\.$", re.MULTILINE)
VARIABLE = re.compile(r"\$\{?(\w+)")
ONLY_FOR_IMAGES = re.compile(r"^# Only for images\.$", re.MULTILINE)
LIBRARY = "lib.sh"
STEP_FILE = re.compile(r"\d\d-[A-Za-z0-9-]+(\.debian|\.redhat)?\.sh", re.ASCII)
CLEAN_UP = "90-clean.sh"
OWN_BEFORE, OWN_AFTER = "05", "75"
CHECK = "85-check.sh"
"""The acceptance tests on the build server, before its snapshot."""


@dataclass(frozen=True)
class Node:
    """What a node is to be. `as_of` is the time of its package archive, such as `20261101T000000Z`, or empty for now."""

    os: str
    kubernetes: str
    architecture: Architecture
    options: NodeOptions = field(default_factory=NodeOptions)
    as_of: str = ""
    verification: gossfile.Level = "auto"
    kubeadm: KubeadmSettings = field(default_factory=KubeadmSettings)


@dataclass(frozen=True)
class Step:
    """One provisioning step: `text` needs the functions of lib.sh before it, `script` is complete, `digest` its sha256.

    Steps `for_images` prepare a disk for a snapshot; a machine that is itself the node leaves them out. A step that does not
    `shape` the node has no part in its digest.
    """

    name: str
    text: str
    for_images: bool = False
    shapes: bool = True
    phase: Phase = Phase.PREPARE

    @property
    def script(self) -> str:
        return f"{library()}\n{self.text}"

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.script.encode()).hexdigest()


@dataclass(frozen=True)
class Artifact:
    """A file that a step downloads: `url` is upstream's, and its key in the lock."""

    name: str
    version: str
    url: str
    sha256: str


Artifacts = tuple[Artifact, ...]


@dataclass(frozen=True)
class PublishedFile:
    """An artifact, and the URL of the checksum file that its publisher gives with it."""

    artifact: Artifact
    sums_url: str


@dataclass(frozen=True)
class Recipe:
    """A node, rendered. `acceptance` is the script of its tests, `restarted` of those after the server was started anew.

    `join` are those of a second server of the snapshot, at that level alone. `inventory` is a script that prints what is on the
    node, for recipe.sbom. `tests_digest` is the sha256 of all of them.
    """

    components: Mapping[str, str]
    artifacts: tuple[Artifact, ...]
    steps: tuple[Step, ...]
    acceptance: str
    restarted: str
    join: joining.JoinScripts | None
    inventory: str

    @property
    def tests_digest(self) -> str:
        scripts = [self.acceptance, self.restarted, *(self.join or ()), self.inventory]
        return hashlib.sha256("".join(scripts).encode()).hexdigest()


def artifacts_of(catalog: Catalog, lock: Lock, kubernetes: str, architecture: str) -> tuple[Artifact, ...]:
    """The files of a node. A file that the lock does not have gets an empty sha256, which no download can satisfy."""
    components = catalog.components(kubernetes)
    versions = dict.fromkeys(KUBERNETES_PROGRAMS, kubernetes)
    versions |= {name: components[name] for name in COMPONENTS_WITH_FILE}
    versions["goss"] = catalog.goss
    return tuple(_artifact(catalog, lock, name, version, architecture) for name, version in versions.items())


def published_files(catalog: Catalog, lock: Lock, versions: Iterable[str]) -> list[PublishedFile]:
    """Every file of Kubernetes versions, for all architectures, each once."""
    files = {
        artifact.url: PublishedFile(artifact, catalog.sums_url(artifact.name, artifact.version, architecture))
        for version in versions
        for architecture in catalog.architectures
        for artifact in artifacts_of(catalog, lock, version, architecture)
    }
    return list(files.values())


def render(catalog: Catalog, lock: Lock, node: Node) -> Recipe:
    """Render the recipe. Steps download from upstream, or from the mirror that `MIRROR` names when they run (see `fetch`)."""
    return render_with(catalog, node, artifacts_of(catalog, lock, node.kubernetes, node.architecture))


def render_with(catalog: Catalog, node: Node, artifacts: Artifacts) -> Recipe:
    """Render the recipe with the files of a node that were looked up before."""
    components = catalog.components(node.kubernetes)
    settings = {
        **_archive(catalog, node),
        **_options(catalog, node),
        **load_defaults().settings(catalog.operating_systems[node.os].family),
        **hygiene.settings(hygiene.load_hygiene()),
        "ARCHITECTURE": node.architecture,
        "KUBERNETES_VERSION": node.kubernetes,
        "CNI_PLUGINS_VERSION": components["cni-plugins"],
        "PAUSE_IMAGE": pause_image(components),
    }
    for artifact in artifacts:
        settings |= {f"{_variable(artifact)}_URL": artifact.url, f"{_variable(artifact)}_SHA256": artifact.sha256}
    settings |= _tests(catalog, node, artifacts, "builder")
    settings["MANIFEST"] = json.dumps(_manifest(catalog, node, artifacts, settings), indent=2)
    return Recipe(
        components=components,
        artifacts=artifacts,
        steps=tuple(_steps(catalog, node, settings)),
        acceptance=_test_script(catalog, node, artifacts, "booted", settings),
        restarted="" if node.verification == "boot" else _test_script(catalog, node, artifacts, "restarted", settings),
        join=_join_scripts(node, settings) if node.verification == "join" else None,
        inventory=_script(text_of(gossfile.INVENTORY), settings),
    )


def step_files(family: str, folder: Path = HERE / "steps") -> list[Path]:
    """The steps' files of a family of operating systems, in the order in which they run.

    Raises ProblemsError for a file that would never run, and for one that would run after the clean-up.
    """
    other = {"debian", "redhat"} - {family}
    files = [file for file in sorted(folder.glob("[!.]*")) if file.name != LIBRARY]
    problems = [problem for file in files if (problem := _misplaced(file.name))]
    if problems:
        raise ProblemsError(problems)
    return [file for file in files if file.stem.partition(".")[2] not in other]


def _misplaced(name: str) -> Problem | None:
    if not STEP_FILE.fullmatch(name):
        remedy = "name it like 35-my-settings.sh, or 35-my-settings.debian.sh for one family, or keep it elsewhere"
        return Problem("recipe/steps", name, "", "not the name of a step, so it would never run", remedy)
    if name > CLEAN_UP:
        remedy = f"give it a number below {CHECK[:2]}, so that the tests on the build server see what it does"
        return Problem(
            "recipe/steps", name, "", f"runs after {CLEAN_UP}, so what it leaves would stay in the image", remedy
        )
    return None


def step_sources(catalog: Catalog, node: Node) -> dict[str, str]:
    """The text of each step's file, by the step's name: before any setting, and also where the settings leave the step out."""
    return {_step_name(name): text for name, text in _sources(catalog, node)}


def pause_image(components: Mapping[str, str]) -> str:
    """The pause image that kubeadm names and containerd must keep."""
    return f"{PAUSE_IMAGE}:{components['pause']}"


def steps_digest(steps: Iterable[Step]) -> str:
    """sha256 over all steps that shape the node."""
    return hashlib.sha256("".join(step.digest for step in steps if step.shapes).encode()).hexdigest()


def assignments(settings: Mapping[str, str]) -> str:
    """Shell text that sets the variables, quoted."""
    return "\n".join(f"{name}={shlex.quote(value)}" for name, value in settings.items())


def exported(settings: Mapping[str, str]) -> str:
    """Shell text that sets the variables for programs that the script starts, too."""
    return "\n".join(f"export {line}" for line in assignments(settings).splitlines())


def _artifact(catalog: Catalog, lock: Lock, name: str, version: str, architecture: str) -> Artifact:
    url = catalog.url(name, version, architecture)
    return Artifact(name, version, url, lock.get(url, ""))


def _archive(catalog: Catalog, node: Node) -> dict[str, str]:
    distribution = catalog.operating_systems[node.os].distribution
    archive = catalog.archives.get(distribution)
    if not node.as_of or archive is None:
        return {"AS_OF": "", "DISTRIBUTION": distribution, "ARCHIVE_MAIN": "", "ARCHIVE_SECURITY": ""}
    return {
        "AS_OF": node.as_of,
        "DISTRIBUTION": distribution,
        "ARCHIVE_MAIN": archive.main.format(time=node.as_of),
        "ARCHIVE_SECURITY": archive.security.format(time=node.as_of),
    }


def _options(catalog: Catalog, node: Node) -> dict[str, str]:
    options = node.options
    authorities = {f"node-image-{Path(file.name).stem}.crt": file.text for file in options.ca_certificates}
    return {
        "PACKAGES": " ".join([*catalog.packages_of(node.os), *options.extra_packages]),
        "MODULES": " ".join(dict.fromkeys([*options.modules, *load_defaults().modules_for(options.sysctls)])),
        "SYSCTLS": "\n".join(f"{name} = {value}" for name, value in options.sysctls.items()),
        "CA_CERTIFICATES": _json_or_nothing(authorities),
        "CONTAINERD_FILES": _json_or_nothing(options.containerd_files()),
        "KUBELET_FLAGS": options.kubelet_flags(),
        "IMAGES": " ".join([*(["control-plane"] if options.preload_images else []), *options.extra_images]),
        "HARDENING_UNITS": " ".join(item.name for item in load_hardening().units),
        "HARDENING_FILES": json.dumps(load_hardening().files()) if options.hardening == "cis" else "",
    }


def _json_or_nothing(files: Mapping[str, str]) -> str:
    return json.dumps(files) if files else ""


def acceptance_tests(catalog: Catalog, lock: Lock, node: Node, where: gossfile.Place) -> gossfile.Document:
    """The acceptance tests of a node, as a goss document."""
    return _acceptance_tests(catalog, node, artifacts_of(catalog, lock, node.kubernetes, node.architecture), where)


def _acceptance_tests(catalog: Catalog, node: Node, artifacts: Artifacts, where: gossfile.Place) -> gossfile.Document:
    family = catalog.operating_systems[node.os].family
    programs = {item.name: item.sha256 for item in artifacts if item.name in SINGLE_FILES}
    facts = _facts(catalog, node, artifacts)
    return gossfile.document(
        where, family, expected(family, node.options, catalog.packages_of(node.os), facts, programs)
    )


def _tests(catalog: Catalog, node: Node, artifacts: Artifacts, where: gossfile.Place) -> dict[str, str]:
    tests = _acceptance_tests(catalog, node, artifacts, where)
    level = "boot" if where == "builder" else node.verification
    documents = node.kubeadm.documents(node.kubernetes)
    return gossfile.settings(tests, where, level, catalog.components(node.kubernetes), documents)


def _test_script(
    catalog: Catalog, node: Node, artifacts: Artifacts, where: gossfile.Place, settings: Mapping[str, str]
) -> str:
    return _script(gossfile.runner(node.verification), {**settings, **_tests(catalog, node, artifacts, where)})


def _join_scripts(node: Node, settings: Mapping[str, str]) -> joining.JoinScripts:
    def script(part: str) -> str:
        return _script(joining.body(), {**settings, **joining.settings(part, node.kubeadm)})

    return joining.JoinScripts(*map(script, ("invite", "introduce", "join_cluster", "meet")))


def _facts(catalog: Catalog, node: Node, artifacts: Artifacts) -> dict[str, str]:
    """What the manifest on a node must say: jq path -> value."""
    components = _components(catalog, node, artifacts)
    versions = {f'.components["{name}"].version': item["version"] for name, item in components.items()}
    return {".os": node.os, ".architecture": node.architecture, ".kubernetes": node.kubernetes, **versions}


def _manifest(catalog: Catalog, node: Node, artifacts: Artifacts, settings: Mapping[str, str]) -> dict[str, object]:
    """What is known before the build. `recipe` is over all steps but for the manifest's own, whose text it is in."""
    steps = _steps(catalog, node, {**settings, "MANIFEST": ""})
    return {
        "os": node.os,
        "architecture": node.architecture,
        "kubernetes": node.kubernetes,
        "recipe": steps_digest(steps),
        "asOf": node.as_of or None,
        "components": _components(catalog, node, artifacts),
    }


def _components(catalog: Catalog, node: Node, artifacts: Artifacts) -> dict[str, dict[str, str]]:
    parts = {item.name: {"version": item.version, "sha256": item.sha256, "url": item.url} for item in artifacts}
    del parts["goss"]
    return {**parts, "pause": {"version": catalog.components(node.kubernetes)["pause"]}}


def _variable(artifact: Artifact) -> str:
    return artifact.name.upper().replace("-", "_")


def _steps(catalog: Catalog, node: Node, settings: Mapping[str, str]) -> list[Step]:
    return [
        Step(
            _step_name(name),
            _with_settings(text, settings),
            name == CHECK or bool(ONLY_FOR_IMAGES.search(text)),
            name != CHECK,
            phase_of(name),
        )
        for name, text in sorted([*_sources(catalog, node), (CHECK, gossfile.runner("boot"))])
        if _is_wanted(text, settings)
    ]


def _sources(catalog: Catalog, node: Node) -> list[tuple[str, str]]:
    own = [*_own(OWN_BEFORE, node.options.steps.before), *_own(OWN_AFTER, node.options.steps.after)]
    files = [(file.name, text_of(file)) for file in step_files(catalog.operating_systems[node.os].family)]
    return [*files, *own]


def _own(number: str, files: Iterable[SourceFile]) -> list[tuple[str, str]]:
    return [(f"{number}-own-{file.name}", file.text) for file in files]


def _step_name(file_name: str) -> str:
    return file_name.partition("-")[2].removesuffix(".sh").removesuffix(".debian").removesuffix(".redhat")


def _is_wanted(text: str, settings: Mapping[str, str]) -> bool:
    needed = ONLY_WHERE_SET.search(text)
    return needed is None or bool(settings[needed[1]])


def _script(body: str, settings: Mapping[str, str]) -> str:
    return f"{library()}\n{_with_settings(body, settings)}"


def _with_settings(body: str, settings: Mapping[str, str]) -> str:
    named = set(VARIABLE.findall(body))
    used = {name: value for name, value in settings.items() if name in named}
    return f"{assignments(used)}\n{body}"


def library() -> str:
    """The functions that every step may use, as shell text."""
    return text_of(HERE / "steps" / LIBRARY)
