"""The logs of a stack's builds: LOGS/STACK/BUILD/build.log and a file for each step whose output was kept."""

import json
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from cli.engine import ROOT
from cli.progress import Progress
from cli.screen import clock
from cli.timing import PHASES
from images.suggest import did_you_mean
from recipe.problems import Problem, ProblemsError

LOGS = ROOT / "logs"
BUILD_LOG = "build.log"
RUNS = "runs"
KEPT_RUNS = 20


class BuildLogs:
    """The files of one run of the engine; `text` is what it printed, `events` its event log."""

    def __init__(self, folder: Path, command: str) -> None:
        self.folder, runs = _writable(folder)
        for old in sorted(runs.iterdir())[: -2 * KEPT_RUNS]:
            old.unlink(missing_ok=True)
        name = f"{datetime.now(UTC).strftime('%Y%m%dT%H%M%S.%fZ')}-{command}"
        self.text, self.events = runs / f"{name}.log", runs / f"{name}.events.json"

    @property
    def times(self) -> dict[str, int]:
        """Seconds of each phase in the last run that made an image."""
        try:
            return {str(name): int(value) for name, value in json.loads(self._times.read_text()).items()}
        except (OSError, ValueError):
            return {}

    @property
    def _times(self) -> Path:
        return self.folder / "times.json"

    def write(self, progress: Progress, *, made: bool) -> list[Path]:
        """A log for each build of the run; `made`: all of it succeeded, so that its times are those to expect."""
        files = [self._write_build(build, progress) for build in progress.builds]
        if made and (times := longest(progress)):
            self._times.write_text(json.dumps(times))
        return files

    def _write_build(self, build: str, progress: Progress) -> Path:
        file = self.folder / build / BUILD_LOG
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("\n".join(log_of(build, progress)) + "\n")
        return file

    @staticmethod
    def shown(path: Path) -> str:
        return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _writable(folder: Path) -> tuple[Path, Path]:
    """The folder and that of its runs; a temporary one where the checkout takes no files."""
    try:
        (folder / RUNS).mkdir(parents=True, exist_ok=True)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="node-images-logs-"))
        (folder / RUNS).mkdir()
    return folder, folder / RUNS


def longest(progress: Progress) -> dict[str, int]:
    """The seconds of each phase, of the build that took longest with it."""
    found: dict[str, int] = {}
    for phases in progress.builds.values():
        for name, phase in phases.items():
            if phase.ended:
                found[name] = max(found.get(name, 0), phase.ended - phase.began)
    return {name: found[name] for name in PHASES if name in found}


def log_of(build: str, progress: Progress) -> list[str]:
    """What a build said, with the time since the run began, then how long each phase took, then errors."""
    began = datetime.fromtimestamp(progress.began, UTC).isoformat()
    said = [
        f"{clock(line.seconds - progress.began):>7}  {text}"
        for line in progress.lines
        if line.build == build
        for text in line.text.splitlines()
    ]
    phases = progress.builds[build]
    took = [
        f"{name:<24} {clock((phases[name].ended or progress.now) - phases[name].began):>6}"
        f"{'  failed' if phases[name].failed else '' if phases[name].ended else '  not finished'}"
        for name in PHASES
        if name in phases
    ]
    errors = [text for text in progress.errors if build in text]
    return [f"{build}, {began}", "", *said, "", *took, *(["", *errors] if errors else [])]


def builds_of(folder: Path) -> list[str]:
    """The builds that have logs, the newest last."""
    found = [path for path in folder.glob("*") if path.is_dir() and path.name != RUNS]
    return [path.name for path in sorted(found, key=lambda path: path.stat().st_mtime)]


def find_log(folder: Path, image: str, step: str) -> Path:
    """The log of an image's last build, or of a step of it. Raises ProblemsError."""
    known = builds_of(folder)
    matching = [name for name in known if _means(image, name)]
    if not matching:
        raise ProblemsError(
            [Problem("./node-images logs", "IMAGE", image, "no build of that name has a log", _remedy(image, known))]
        )
    build = folder / matching[-1]
    file = build / (f"{step}.log" if step else BUILD_LOG)
    if not file.exists():
        steps = sorted(path.stem for path in build.glob("*.log") if path.name != BUILD_LOG)
        remedy = (
            did_you_mean(step, steps)
            if steps
            else "without a STEP it shows the log of the build; output of steps is kept where one failed"
        )
        raise ProblemsError([Problem("./node-images logs", "STEP", step, f"{build.name} has no output of it", remedy)])
    return file


def _means(image: str, build: str) -> bool:
    """By the build's or the image's name, `debian-13/1.36.4`, or the version alone."""
    words = image.replace("/", "-kube-")
    return build == words or build.startswith(f"{words}-") or f"-kube-{words}-" in build


def _remedy(image: str, known: Sequence[str]) -> str:
    return did_you_mean(image, known) if known else "run ./pulumiw up first"
