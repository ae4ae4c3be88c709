"""Before a preview or an `up`: the files that the stack's images are made of, where this machine builds them itself.

Only for stacks with `localBuilds: true`: there the names of images depend on files that must be built first.
"""

import sys
from datetime import date
from pathlib import Path

from adapters.bash import syntax_error
from images.accepted import refused_values
from images.plan import make_plan, needed_artifacts
from images.stackfile import StackFile, load_stack_file
from mirror import MirrorError, ensure
from mirror.progress import for_terminal
from recipe import Catalog, Lock, load_catalog, load_lock
from recipe.problems import ProblemsError

ROOT = Path(__file__).parents[1]


def prepare(stack: str) -> None:
    """Make the stack's files present, built where upstream is out of reach. Raises MirrorError.

    What is wrong with the stack file, the catalogue or the lock is not said here: the program that comes next says it.
    """
    try:
        catalog, lock = load_catalog(), load_lock()
        file = ROOT / "stacks" / f"Pulumi.{stack}.yaml"
        settings = load_stack_file(file, catalog, today=date.today(), syntax=syntax_error)
    except ProblemsError:
        return
    if settings.local_builds and not is_refused(stack, settings, catalog, lock):
        artifacts = needed_artifacts(settings, catalog, lock)
        ensure([artifact.url for artifact in artifacts if artifact.sha256], progress=for_terminal())


def is_refused(stack: str, settings: StackFile, catalog: Catalog, lock: Lock) -> bool:
    """Whether the program will refuse the stack file, so that nothing needs to be built for it."""
    if settings.artifacts.unlocked != "refused":
        return False
    try:
        return bool(refused_values(make_plan(stack, settings, catalog, lock, ""), ""))
    except ProblemsError:
        return True


def main() -> int:
    """Prepare the stack that the command line names; return the exit code."""
    try:
        prepare(sys.argv[1])
    except MirrorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is done stays done", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
