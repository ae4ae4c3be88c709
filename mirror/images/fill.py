"""Make images present: from upstream's registry, or made here where it does not answer."""

import json
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

from mirror.children import Children
from mirror.errors import MirrorError, UnavailableError, join
from mirror.fill import each, ensure, explain_os_error, megabytes
from mirror.gobuild import FLAGS, Compiled, Go, own_architecture
from mirror.images.crane import Crane
from mirror.images.own_programs import CRANE, are_there, ensure_own
from mirror.images.parts import Maker
from mirror.images.recipes import RECIPES, TEST_POD, UPSTREAM, Recipe, Wanted, wanted_image
from mirror.images.registry import collect_garbage, writable
from mirror.images.store import WORK_REPOSITORY, ImageStore, KeptImage
from mirror.programs import Build
from mirror.progress import Progress, Silent, took
from mirror.store import Origin
from mirror.sums import LOCAL_LOCK, LOCK
from toolchain.layout import cache_root

KUBEADM = "https://dl.k8s.io/release/v{version}/bin/linux/{arch}/kubeadm"
ASK_SECONDS = 10.0
# Builds of one program follow each other: at once they would compile the same packages twice.
PROGRAMS_AT_ONCE = 2


def ensure_images(  # noqa: PLR0913 (each has a default, and tests replace them one by one)
    names: Iterable[str],
    *,
    arches: Iterable[str] = ("amd64",),
    cache: Path | None = None,
    lock: Path = LOCK,
    local_lock: Path = LOCAL_LOCK,
    upstream: str = UPSTREAM,
    recipes: Mapping[str, Recipe] = RECIPES,
    progress: Progress | None = None,
) -> list[KeptImage]:
    """Make images present in the registry of the cache.

    Kept copies are used as they are. What could be had stays kept when something else fails, so that the next call goes
    on from there. Safe for two processes at once: the second waits, then finds what the first made.

    names: of images, or versions of Kubernetes, which mean all images that kubeadm lists and the one for pods of tests.
    upstream: another registry to ask instead.
    Raises MirrorError, telling of every image that could not be had.
    """
    store, progress = ImageStore(cache or cache_root()), progress or Silent()
    images = _image_names(names, cache=cache, lock=lock, local_lock=local_lock, progress=progress)
    wanted = [wanted_image(image, arch, recipes) for image in images for arch in dict.fromkeys(arches)]
    try:
        if not (are_there(store) and all(store.find(one) for one in wanted)):
            with store.filling(lambda: progress.say(f"waiting for another run that fills {store.root}")):
                _Filling(store, upstream, progress).fill([one for one in wanted if not store.find(one)])
    except OSError as error:
        raise explain_os_error(error, store) from None
    return [kept for one in wanted if (kept := store.find(one))]


def _image_names(
    names: Iterable[str], *, cache: Path | None, lock: Path, local_lock: Path, progress: Progress
) -> list[str]:
    """Replace each version by what its own kubeadm lists."""
    given = list(dict.fromkeys(names))
    versions = [name.removeprefix("v") for name in given if ":" not in name]
    urls = [KUBEADM.format(version=version, arch=own_architecture()) for version in versions]
    kubeadms = ensure(urls, cache=cache, lock=lock, local_lock=local_lock, progress=progress)
    listed = [
        name for version, kept in zip(versions, kubeadms, strict=True) for name in kubeadm_images(kept.path, version)
    ]
    return list(dict.fromkeys([*listed, *([TEST_POD] if versions else []), *(name for name in given if ":" in name)]))


def kubeadm_images(kubeadm: Path, version: str) -> list[str]:
    """Ask kubeadm which images a control plane of this version consists of."""
    with TemporaryDirectory() as folder:
        # A kept file is not executable.
        program = Path(folder) / "kubeadm"
        shutil.copyfile(kubeadm, program)
        program.chmod(0o700)
        command = [str(program), "config", "images", "list", "--kubernetes-version", f"v{version}"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False)
    if answer.returncode:
        raise MirrorError(f"kubeadm {version} does not list its images\n{answer.stderr.strip()[-500:]}")
    return answer.stdout.split()


class _Filling:
    """One run that adds images. The right to fill the store is held."""

    def __init__(self, store: ImageStore, upstream: str, progress: Progress) -> None:
        self._store = store
        self._upstream = upstream
        self._progress = progress
        self._children = Children()
        self._go = Go(self._children)
        self._crane = Crane(CRANE.path(store), store.root, self._children)
        self._publishing = threading.Lock()
        self._registry = ""

    def fill(self, missing: list[Wanted]) -> None:
        """Add what is missing; raises one error for all that could not be had."""
        try:
            ensure_own(self._store, self._go, self._progress)
            problems = self._with_registry(missing)
        except BaseException:  # Ctrl-C above all
            self._children.stop()
            raise
        if problems:
            raise join(problems)

    def _with_registry(self, missing: list[Wanted]) -> list[MirrorError]:
        with self._store.workdir() as work:
            # What a killed run left; the registry then finds by itself what belongs to no image.
            self._store.delete_leftovers()
            with writable(self._store, work) as self._registry:
                try:
                    problems = self._fill(missing)
                finally:
                    self._store.delete_leftovers()
            collect_garbage(self._store, work, self._children)
        return problems

    def _fill(self, missing: list[Wanted]) -> list[MirrorError]:
        asked = self._from_upstream(missing)
        refused = {one: problem for one in asked if (problem := unmakeable(one, asked[one].message))}
        makeable = [one for one in asked if one not in refused]
        for reason, ones in groupby(makeable, key=lambda one: asked[one].message):
            self._progress.say(f"{', '.join(map(str, ones))}: not from upstream, {reason}")
        made = each(self._make_all, plan_jobs(makeable), PROGRAMS_AT_ONCE, self._children.stop)
        return [*refused.values(), *made.values()]

    def _from_upstream(self, missing: list[Wanted]) -> dict[Wanted, MirrorError]:
        """Copy what upstream has; return the reasons for the rest. A registry that does not answer is asked once."""
        problems: dict[Wanted, MirrorError] = {}
        silent: MirrorError | None = None
        for one in missing:
            try:
                if silent:
                    raise silent
                self._copy(one)
            except UnavailableError as error:
                problems[one] = error
                if not _is_absent(error):
                    silent = error
        return problems

    def _copy(self, one: Wanted) -> None:
        start, name = time.monotonic(), f"{self._upstream}/{one.repository}:{one.tag}"
        digest = self._crane.digest(name, one.arch, ASK_SECONDS)
        try:
            with self._progress.task(f"copying {one}"):
                self._publish(one, f"{self._upstream}/{one.repository}@{digest}", digest, "upstream")
        except MirrorError as error:
            raise UnavailableError(f"the copy broke off: {error.message}") from None
        self._progress.say(f"{one}: from upstream, {took(start)}")

    def _make_all(self, builds: tuple[tuple[Build | None, tuple[Wanted, ...]], ...]) -> None:
        problems = []
        for build, images in builds:
            try:
                self._make(build, images)
            except MirrorError as error:
                problems.append(error)
        if problems:
            raise join(problems)

    def _make(self, build: Build | None, images: tuple[Wanted, ...]) -> None:
        start = time.monotonic()
        names = ", ".join(one.repository for one in images)
        title = f"building {build} ({names})" if build else f"making {images[0]}"
        with self._progress.task(title) as update, self._store.workdir() as work:
            compiled = self._compile(build, images, work, update) if build else Compiled({}, work, {})
            compiling = took(start)
            for one in images:
                update(f"assembling {one}")
                kept = self._assemble(one, compiled, work, update)
                self._progress.say(f"{one}: made here, {megabytes(kept.size)}")
        if build:
            self._progress.say(f"{build} ({names}): compiled in {compiling}, done in {took(start)}")

    def _compile(self, build: Build, images: tuple[Wanted, ...], work: Path, update: Callable[[str], None]) -> Compiled:
        packages = {one.repository: (one.recipe.go.package,) for one in images if one.recipe and one.recipe.go}
        return self._go.compile(build, packages, work, update)

    def _assemble(self, one: Wanted, compiled: Compiled, work: Path, update: Callable[[str], None]) -> KeptImage:
        recipe = one.recipe
        assert recipe  # noqa: S101 (others are not planned)
        binary = next(iter(compiled.binaries.get(one.repository, [])), None)
        layer, facts = Maker(one.arch, work, self._children).layer(recipe, binary, update)
        facts |= {name: value for name, value in compiled.facts.items() if name != FLAGS}
        target = f"{self._registry}/{WORK_REPOSITORY}:{one.repository.replace('/', '-')}-{one.tag}-{one.arch}"
        digest = self._crane.assemble(layer, recipe, one.arch, labels(one, facts), target)
        return self._publish(one, target, digest, "built", facts)

    def _publish(
        self, one: Wanted, source: str, digest: str, origin: Origin, facts: dict[str, str] | None = None
    ) -> KeptImage:
        """Give the tag to the image, beside those of other architectures, and record it."""
        repository = f"{self._registry}/{one.repository}"
        # Two architectures of one tag: the second would otherwise take the first one's place.
        with self._publishing:
            others = [kept for arch, kept in self._store.of_tag(one.repository, one.tag).items() if arch != one.arch]
            sources = [source, *(f"{repository}@{kept.digest}" for kept in others)]
            self._crane.publish(sources, f"{repository}:{one.tag}")
            manifest = json.loads(self._crane.manifest(f"{repository}@{digest}"))
            size = sum(layer["size"] for layer in manifest["layers"])
            recipe = one.recipe.digest if one.recipe and origin == "built" else ""
            kept = KeptImage(
                one.name, one.repository, one.tag, one.arch, digest, size, origin, recipe, facts=facts or {}
            )
            return self._store.keep(kept)


def unmakeable(one: Wanted, asked: str) -> MirrorError | None:
    """Tell why an image cannot be made here; `asked` is what upstream said."""
    if one.recipe is None:
        return MirrorError(f"{one}: cannot be made here, and {asked}")
    try:
        _ = one.build
    except MirrorError as error:
        return error
    return None


def plan_jobs(images: list[Wanted]) -> list[tuple[tuple[Build | None, tuple[Wanted, ...]], ...]]:
    """Group images: those of one run of the compiler belong together, and runs of one program follow each other.

    The longest, Kubernetes, begins.
    """
    programs: dict[str, dict[Build | None, list[Wanted]]] = {}
    for one in images:
        build = one.build
        name = build.program.name if build else str(one)
        programs.setdefault(name, {}).setdefault(build, []).append(one)
    return [
        tuple((build, tuple(members)) for build, members in builds.items())
        for _, builds in sorted(programs.items(), key=lambda item: item[0] != "Kubernetes")
    ]


def labels(one: Wanted, facts: Mapping[str, str]) -> dict[str, str]:
    """Return the labels of an image that is made here: they say that it is not upstream's."""
    standard = {
        "title": one.repository.rpartition("/")[2],
        "version": one.tag,
        "vendor": "node-images",
        "description": f"made by the node-images artifact mirror; not the image that {UPSTREAM} publishes",
    }
    return {
        **{f"org.opencontainers.image.{name}": value for name, value in standard.items()},
        "node-images.origin": "built",
        **{f"node-images.{name}": value for name, value in facts.items()},
    }


def _is_absent(error: MirrorError) -> bool:
    """Whether a registry answered that it does not have the image, so that it may be asked for others."""
    return any(word in error.message for word in ("MANIFEST_UNKNOWN", "NAME_UNKNOWN", "404 Not Found"))
