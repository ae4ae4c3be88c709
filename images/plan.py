"""The plan: which images an environment consists of, and all that is known of them before anything runs."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

from images.labels import build_labels, snapshot_labels
from images.names import SHORT_DIGEST_LENGTH, Part, build_key, image_name, server_name, version_key
from images.stackfile import PROJECT, ImageSettings, StackFile, Timeouts
from recipe.bundle import PACKED, Bundle, bundle
from recipe.catalog import Architecture, Catalog, minor_of
from recipe.joining import JoinScripts
from recipe.lock import Lock, locked_versions
from recipe.problems import Problem, ProblemsError
from recipe.render import (
    Artifact,
    Node,
    PublishedFile,
    Recipe,
    Step,
    artifacts_of,
    library,
    published_files,
    render_with,
    step_sources,
    steps_digest,
)
from recipe.tarball import SUFFIX, archive_name, pack_script

DIGEST_LENGTH = 32
REGISTRY = "https://registry.k8s.io/v2"
"""Where kubeadm's images are."""


@dataclass(frozen=True)
class TarballPlan:
    """An archive for installimage beside a snapshot: its file, and the script that packs it on a server of that snapshot."""

    path: str
    script: str


@dataclass(frozen=True)
class Build:
    """One snapshot to make: an image for one architecture.

    `key` names its resources; `server_name` is a host name; `labels` are those of the snapshot until it is published.
    `components` and `inputs` are those of its image. `max_disk`: no build server has a larger one; 0 for any.
    `sources` are the URLs of files, package archives and registries that its build server needs.
    """

    key: str
    image: str
    digest: str
    components: Mapping[str, str]
    inputs: Mapping[str, str]
    architecture: Architecture
    hcloud_architecture: str
    base_image: str
    server_name: str
    server_types: tuple[str, ...]
    locations: tuple[str, ...]
    max_disk: int
    sources: tuple[str, ...]
    steps: tuple[Step, ...]
    acceptance: str
    restarted: str
    join: JoinScripts | None
    tests_digest: str
    inventory: str
    labels: Mapping[str, str]
    server_labels: Mapping[str, str]
    protect: bool
    tarball: TarballPlan | None

    @property
    def content(self) -> dict[str, str]:
        """The labels by which its snapshot is known, whoever made it and when."""
        return {**self.server_labels, "role": "snapshot", "architecture": self.architecture}

    @property
    def verifier_digest(self) -> str:
        """What a server that tests it is known by: of another content, and for other tests, it is another one."""
        return f"{self.digest}-{self.tests_digest}"

    @cached_property
    def bundle(self) -> Bundle:
        """What its servers run."""
        tests = {Part.TESTS: {"acceptance-tests": self.acceptance, f"inventory{PACKED}": self.inventory}}
        if self.restarted:
            tests[Part.TESTS_AFTER_RESTART] = {"tests-after-restart": self.restarted}
        if self.join:
            for name, script in asdict(self.join).items():
                tests[Part(f"/{name}")] = {name: script}
        return bundle(self.steps, {part.step: scripts for part, scripts in tests.items()})


@dataclass(frozen=True)
class ImagePlan:
    """One image: what CAPH knows by one name, for all its architectures. `inputs` is what its digest is made of, by name."""

    name: str
    os: str
    kubernetes: str
    digest: str
    components: Mapping[str, str]
    inputs: Mapping[str, str]
    builds: tuple[Build, ...]

    @property
    def key(self) -> str:
        """What cluster code looks the name up by, such as `debian-13/1.36.4`."""
        return version_key(self.os, self.kubernetes)


@dataclass(frozen=True)
class Tarballs:
    """Where the archives of a stack lie, and their names."""

    directory: str
    catalog: Catalog

    def serves(self, os: str) -> bool:
        """Whether images of an operating system, which the catalogue may have lost since they were made, have archives."""
        system = self.catalog.operating_systems.get(os)
        return bool(system and system.installimage)

    def path(self, os: str, architecture: str, image: str) -> str:
        """The file of an image, also of an earlier one."""
        return f"{self.directory}/{archive_name(self.catalog, os, architecture, image)}{SUFFIX}"


@dataclass(frozen=True)
class Plan:
    """All images of an environment, in the order of its stack file."""

    stack: str
    images: tuple[ImagePlan, ...]
    max_parallel: int
    test_servers: int
    keep_generations: int
    ssh_port: int
    keep_failed_builders: bool
    mirror: str
    sboms: str
    reverify: str
    ssh_from: tuple[str, ...]
    timeouts: Timeouts
    tarballs: Tarballs | None


PACKAGES = "node.extraPackages"
"""Of the inputs of a digest the one whose value is told in full: by name it says more than that it changed."""

Files = Mapping[tuple[str, str], tuple[Artifact, ...]]
"""The files of a node, by its version of Kubernetes and its architecture."""


@dataclass(frozen=True)
class _Environment:
    """What all images of a stack share."""

    stack: str
    settings: StackFile
    catalog: Catalog
    files: Files

    @property
    def tarballs(self) -> Tarballs | None:
        """Nothing where the stack file asks for none."""
        return Tarballs(f"{self.settings.tarballs}/{self.stack}", self.catalog) if self.settings.has_tarballs else None


def make_plan(stack: str, settings: StackFile, catalog: Catalog, lock: Lock, label: str) -> Plan:
    """Decide the images of a stack. Raises ProblemsError where the lock lacks a file that would be needed."""
    files = _files(settings, catalog, lock)
    _refuse_unlocked(settings, catalog, lock, files, label)
    environment = _Environment(stack, settings, catalog, files)
    return Plan(
        stack=stack,
        images=tuple(
            _image(environment, item, kubernetes) for item in settings.images for kubernetes in item.kubernetes
        ),
        max_parallel=settings.max_parallel,
        test_servers=settings.test_servers,
        keep_generations=settings.keep_generations,
        ssh_port=settings.ssh_port,
        keep_failed_builders=settings.on_failure == "keep",
        mirror=settings.mirror_for_servers,
        sboms=f"{settings.sboms}/{stack}",
        reverify=settings.reverify,
        ssh_from=tuple(settings.ssh_from),
        timeouts=settings.timeouts,
        tarballs=environment.tarballs,
    )


def needed_artifacts(settings: StackFile, catalog: Catalog, lock: Lock) -> tuple[Artifact, ...]:
    """Every file that building and testing the images of a stack file downloads, each once."""
    artifacts = {
        artifact.url: artifact
        for item in settings.images
        for kubernetes in item.kubernetes
        for architecture in item.architectures
        for artifact in artifacts_of(catalog, lock, kubernetes, architecture)
    }
    return tuple(artifacts.values())


def unlocked_files(settings: StackFile, catalog: Catalog, lock: Lock) -> list[PublishedFile]:
    """The files that the lock lacks and the stack file lets their publishers vouch for.

    Of all architectures, as an image's digest is over all of them: it stays the same when the sums come into the lock.
    """
    if settings.artifacts.unlocked == "refused":
        return []
    versions = dict.fromkeys(version for item in settings.images for version in item.kubernetes)
    return [file for file in published_files(catalog, lock, versions) if not file.artifact.sha256]


def image_digest(os: str, recipes: Mapping[str, Recipe]) -> str:
    """The identity of an image's content, over all architectures of the catalogue: adding one later keeps the name."""
    content = {architecture: steps_digest(recipe.steps) for architecture, recipe in recipes.items()}
    text = json.dumps({"os": os, "steps": content}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:DIGEST_LENGTH]


def digest_inputs(
    settings: StackFile, recipes: Mapping[str, Recipe], packages: Sequence[str], sources: Mapping[str, str]
) -> dict[str, str]:
    """What an image's digest is made of, so that a later one can tell what changed: `{name: value or short digest}`.

    The steps, as rendered, are all of it. The others say where a change of a step comes from, in the words of the files that
    people edit: settings of the stack file, versions' files, and the sources of the steps.
    """
    options = settings.node.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    parts = [
        (name, digest)
        for recipe in recipes.values()
        for name, digest in [
            *((f"file {item.name}", item.sha256) for item in recipe.artifacts if item.name != "goss"),
            *((f"step {step.name}", step.digest) for step in recipe.steps if step.shapes),
        ]
    ]
    return {
        "asOf": settings.as_of,
        "packages": short_digest(packages),
        **{f"node.{name}": short_digest(value) for name, value in options.items()},
        **({PACKAGES: " ".join(options["extraPackages"])} if "extraPackages" in options else {}),
        "lib.sh": short_digest(library()),
        **{f"source {name}": short_digest(text) for name, text in sources.items()},
        **{name: short_digest([digest for other, digest in parts if other == name]) for name, _ in parts},
    }


def lanes(keys: Sequence[str], max_parallel: int) -> dict[str, str]:
    """Which build waits for which, `{key: the key before it in its lane}`: at most `max_parallel` run at once."""
    return {key: keys[position - max_parallel] for position, key in enumerate(keys) if position >= max_parallel}


def _image(environment: _Environment, item: ImageSettings, kubernetes: str) -> ImagePlan:
    catalog, os = environment.catalog, item.os
    nodes = {name: _node(environment.settings, os, kubernetes, name) for name in catalog.architectures}
    recipes: dict[str, Recipe] = {
        name: render_with(catalog, node, environment.files[kubernetes, name]) for name, node in nodes.items()
    }
    digest = image_digest(os, recipes)
    sources = step_sources(catalog, next(iter(nodes.values())))
    inputs = digest_inputs(environment.settings, recipes, catalog.packages_of(os), sources)
    components = catalog.components(kubernetes)
    unbuilt = ImagePlan(image_name(os, kubernetes, digest), os, kubernetes, digest, components, inputs, ())
    builds = tuple(
        _build(environment, unbuilt, nodes[name], recipes[name], protect=item.protect) for name in item.architectures
    )
    return replace(unbuilt, builds=builds)


def short_digest(value: object) -> str:
    """What stands for a value among the inputs of a digest."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:SHORT_DIGEST_LENGTH]


def _node(settings: StackFile, os: str, kubernetes: str, architecture: Architecture) -> Node:
    return Node(os, kubernetes, architecture, settings.node, settings.as_of, settings.verification, settings.kubeadm)


def _build(environment: _Environment, image: ImagePlan, node: Node, recipe: Recipe, *, protect: bool) -> Build:
    stack, settings, catalog = environment.stack, environment.settings, environment.catalog
    system, architecture = catalog.operating_systems[image.os], node.architecture
    return Build(
        key=build_key(image.name, architecture),
        image=image.name,
        digest=image.digest,
        components=image.components,
        inputs=image.inputs,
        architecture=architecture,
        hcloud_architecture=catalog.architectures[architecture].hcloud,
        base_image=system.image,
        server_name=server_name(stack, image.digest, architecture),
        server_types=tuple(settings.server_types[architecture]),
        locations=tuple(settings.locations),
        max_disk=settings.max_disk or 0,
        sources=_sources(environment, node),
        steps=recipe.steps,
        acceptance=recipe.acceptance,
        restarted=recipe.restarted,
        join=recipe.join,
        tests_digest="-".join(filter(None, [recipe.tests_digest, settings.reverify])),
        inventory=recipe.inventory,
        labels=snapshot_labels(stack, image.digest, image.os, system, image.kubernetes, architecture),
        server_labels=build_labels(stack, image.digest),
        protect=protect,
        tarball=_tarball(environment, image, node, recipe),
    )


def _sources(environment: _Environment, node: Node) -> tuple[str, ...]:
    """Where its files are, from the mirror where there is one; archives of packages by date, which end with /; registries."""
    catalog, mirror = environment.catalog, environment.settings.mirror_for_servers
    files = [item.url for item in environment.files[node.kubernetes, node.architecture]]
    files = [f"{mirror}/{url.removeprefix('https://')}" if mirror else url for url in files]
    archive = catalog.archives.get(catalog.operating_systems[node.os].distribution) if node.as_of else None
    dated = [archive.main.format(time=node.as_of)] if archive else []
    registries = [REGISTRY] if node.options.preload_images else []
    return (*files, *dated, *registries)


def _tarball(environment: _Environment, image: ImagePlan, node: Node, recipe: Recipe) -> TarballPlan | None:
    tarballs = environment.tarballs
    if tarballs is None:
        return None
    path = tarballs.path(image.os, node.architecture, image.name)
    return TarballPlan(path, pack_script(environment.catalog, node, recipe))


def _files(settings: StackFile, catalog: Catalog, lock: Lock) -> Files:
    """Of all architectures of the catalogue, as an image's digest is over all of them."""
    versions = dict.fromkeys(version for item in settings.images for version in item.kubernetes)
    pairs = [(version, architecture) for version in versions for architecture in catalog.architectures]
    return {pair: artifacts_of(catalog, lock, *pair) for pair in pairs}


def _refuse_unlocked(settings: StackFile, catalog: Catalog, lock: Lock, files: Files, label: str) -> None:
    missing: dict[str, list[Artifact]] = {}
    for item in settings.images:
        for kubernetes in item.kubernetes:
            for architecture in item.architectures:
                lacking = [file for file in files[kubernetes, architecture] if not file.sha256]
                missing.setdefault(kubernetes, []).extend(lacking)
    problems = [
        Problem(label, f"{PROJECT}:images", version, *unlocked(version, lacking, catalog, lock))
        for version, lacking in missing.items()
        if lacking
    ]
    if problems:
        raise ProblemsError(problems)


def unlocked(version: str, files: Sequence[Artifact], catalog: Catalog, lock: Lock) -> tuple[str, str]:
    """Rule and remedy for a version some of whose files the lock lacks."""
    names = ", ".join(dict.fromkeys(f"{item.name} {item.version}" for item in files))
    there = [item for item in locked_versions(catalog, lock, minor_of(version)) if item != version]
    known = f"of {minor_of(version)} it has {', '.join(there)}" if there else f"it has none of {minor_of(version)}"
    of_kubernetes = any(item.version == version for item in files)
    beside = f" ({known})" if of_kubernetes else ""
    rule = f"recipe/lock.yaml has no sha256 of {names}{beside}, and nothing unverified goes onto a node"
    if not of_kubernetes:
        remedy = "name versions that the lock has in recipe/catalog.yaml"
    else:
        remedy = f"use {there[-1]}, which the lock has" if there else "use a version that the lock has"
    remedy += f", or add it: ./node-images lock {version} (for an up, artifacts.unlocked: published does without, and says so)"
    return rule, remedy
