"""`make setup`: get everything ready that the project needs on this machine. Warm, it takes a fraction of a second."""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from toolchain import assemble, parts, pins, progress, scanners, system_packages, virtualenv, ways
from toolchain.errors import SetupError
from toolchain.layout import Layout


def main(arguments: Sequence[str] | None = None) -> int:
    """Run set-up; return the exit code."""
    parser = argparse.ArgumentParser(prog="make setup", description=__doc__)
    parser.add_argument("--engine-only", action="store_true", help="leave the system packages as they are")
    parser.add_argument("--for-tests", action="store_true", help="bring also what only the tests need")
    options = parser.parse_args(arguments)
    reporter = progress.Progress()
    try:
        setup(reporter, with_packages=not options.engine_only)
        if options.for_tests:
            system_packages.ensure_test_packages(reporter)
            scanners.ensure(Layout.of(), reporter)
    except SetupError as error:
        print(f"\nerror: {error.problem}\n  {error.remedy}", file=sys.stderr)
        return 1
    except OSError as error:
        remedy = "Make room or choose another place: NODE_IMAGES_CACHE names the cache, by default below HOME."
        print(f"\nerror: {error.filename}: {error.strerror}\n  {remedy}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted. Run `make setup` again: it goes on where it stopped.", file=sys.stderr)
        return 130
    finally:
        reporter.close()
    return 0


def setup(reporter: progress.Progress, *, with_packages: bool) -> None:
    """Bring what is missing. Raises SetupError."""
    start = time.monotonic()
    if with_packages:
        system_packages.ensure_packages(reporter)
    layout = Layout.of()
    if not is_ready(layout):
        bring(layout, reporter)
    settings = assemble.read_settings(layout.settings)
    assemble.link_virtualenv(layout, Path(settings["virtualenv"]))
    reporter.say(
        f"Ready after {progress.clock(time.monotonic() - start)}: {settings['description']}; toolchain {layout.key}"
    )


def is_ready(layout: Layout) -> bool:
    """Tell whether everything that the checkout's key names is there."""
    forced = ways.forced_way()
    if not layout.settings.exists():
        return False
    settings = assemble.read_settings(layout.settings)
    if forced not in (None, int(settings["way"])):
        return False
    return Path(settings["engine"]).exists() and (Path(settings["virtualenv"]) / "bin" / "python").exists()


def bring(layout: Layout, reporter: progress.Progress) -> None:
    """Make the toolchain of the key: the Python environment beside the engine, as one waits for the network mostly."""
    reporter.say(f"Bringing the Python environment and the Pulumi engine to {layout.toolchain}")
    with parts.locked(layout.toolchain / "lock", reporter), ThreadPoolExecutor(1) as pool:
        environment = pool.submit(virtualenv.ensure_virtualenv, layout, reporter)
        toolchain = ways.Ways(layout, pins.Pins.load(), reporter).take(ways.forced_way())
        assemble.assemble(layout, toolchain, environment.result())


if __name__ == "__main__":
    sys.exit(main())
