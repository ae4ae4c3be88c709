"""Before a preview or an `up`: the files that the stack's images are made of, where this machine builds them itself.

Only for stacks with `localBuilds: true`: there the names of images depend on files that must be built first.
"""

import sys
from pathlib import Path

from images.plan import needed_artifacts
from images.stackfile import load_stack_file
from recipe import load_catalog, load_lock
from recipe.problems import ProblemsError
from tools.mirror import MirrorError, ensure
from tools.mirror.progress import for_terminal

ROOT = Path(__file__).parents[1]


def prepare(stack: str) -> None:
    """Make the stack's files present, built where upstream is out of reach. Raises MirrorError.

    What is wrong with the stack file, the catalogue or the lock is not said here: the program that comes next says it.
    """
    try:
        catalog, lock = load_catalog(), load_lock()
        settings = load_stack_file(ROOT / "stacks" / f"Pulumi.{stack}.yaml", catalog)
    except ProblemsError:
        return
    if settings.local_builds:
        artifacts = needed_artifacts(settings, catalog, lock)
        ensure([artifact.url for artifact in artifacts if artifact.sha256], progress=for_terminal())


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
