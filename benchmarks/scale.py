"""Many images of the real recipe: what the state has of each, and what a preview of them costs."""

import json
import resource
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.measure import Measure, seconds
from recipe import load_catalog, load_lock
from recipe.lock import locked_versions
from tests.e2e.workspace import Workspace

IMAGES = 24
MINORS = ("1.36", "1.35", "1.34")
RUNNER = Path(__file__).with_name("runner.sh")

Run = Callable[..., None]


def scaled(
    workspace: Workspace, run: Run, preview: tuple[str, ...], up: tuple[str, ...], empty: list[str]
) -> Iterator[Measure]:
    """Measure one image, then all of them; `run` ends with an error where a command fails, `empty` goes to an empty program."""
    shutil.copyfile(RUNNER, workspace.root / "recipe" / "runner.sh")
    versions = _versions()
    # Nothing is downloaded, so there is no mirror to keep files in.
    workspace.configure(verification="cluster", maxParallel=4, artifacts={})
    workspace.declare(versions[0])
    run(workspace, *up)
    resources, size = _state(workspace)
    yield Measure("resources per image, real recipe", resources, "resources")
    yield Measure("state per image, real recipe", size / 1000, "kB")
    workspace.declare(*versions)
    run(workspace, *up)
    name = f"idle preview, {IMAGES} images of the real recipe"
    idle, idle_cpu = _costs(lambda: run(workspace, *empty, *preview))
    wall, cpu = _costs(lambda: run(workspace, *preview, "--expect-no-changes"))
    yield Measure(name, wall, "s", "empty program", idle)
    yield Measure(f"{name}, processor", cpu, "s", "empty program", idle_cpu)


def _costs(work: Callable[[], object], times: int = 3) -> tuple[float, float]:
    """Median seconds, and mean seconds of the processors."""
    before = _processor()
    wall = seconds(work, times)
    return wall, (_processor() - before) / times


def _versions() -> list[str]:
    catalog, lock = load_catalog(), load_lock()
    return [version for minor in MINORS for version in locked_versions(catalog, lock, minor)][:IMAGES]


def _state(workspace: Workspace) -> tuple[int, int]:
    """How many resources the one image of the stack has, and their bytes as the engine stores them."""
    exported = json.loads(workspace.pulumi("stack", "export").stdout)["deployment"]["resources"]
    own = [item for item in exported if not item["type"].startswith("pulumi:")]
    return len(own), len(json.dumps(own, separators=(",", ":")))


def _processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
