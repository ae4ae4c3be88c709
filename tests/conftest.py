"""What holds for all tests."""

import signal

import pytest

# A shell that starts a command in the background has it ignore Ctrl-C, and whatever that command starts as well:
# programs under test must get the default that a terminal gives them.
signal.signal(signal.SIGINT, signal.default_int_handler)
# The same of a closed terminal, which nohup takes away.
signal.signal(signal.SIGHUP, signal.SIG_DFL)

pytest_plugins = ["tests.proofs"]

# What takes minutes comes first, so that no worker is left alone with it at the end.
LONG = (
    "tests/e2e/test_kernel.py",
    "tests/sandbox/vm/",
    "tests/e2e/test_changes.py",
    "tests/e2e/test_options.py",
    "tests/e2e/test_main_job.py",
    "tests/e2e/test_tarball.py",
    "tests/e2e/test_image_life.py",
    "tests/sandbox/real/",
    "tests/forms/test_same_node.py",
    "tests/scenarios/",
    "tests/e2e/",
    "tests/plugins/",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order whole files; a test keeps its place within its file."""
    items.sort(key=lambda item: next((at for at, path in enumerate(LONG) if item.nodeid.startswith(path)), len(LONG)))
