"""The Python environment of the checkout, from requirements.lock: each package with its version and sha256."""

import platform
import sys
from pathlib import Path

from toolchain import commands, parts
from toolchain.layout import Layout
from toolchain.progress import Progress

NAME = "Python environment"
LOCK = "requirements.lock"
QUIET_INTERRUPT = (
    "import sys; sys.excepthook = (lambda shown: lambda kind, *rest: "
    "None if kind is KeyboardInterrupt else shown(kind, *rest))(sys.excepthook)\n"
)
"""Run by Python before all else, also of the engine's own programs: a Ctrl-C while one still imports shows no traceback."""


def ensure_virtualenv(layout: Layout, progress: Progress) -> Path:
    """Return the folder of a complete environment for the requirements as they are now."""
    shaped_by = {
        "requirements": (layout.checkout / LOCK).read_text(),
        "quiet_interrupt": QUIET_INTERRUPT,
        "python": [platform.python_version(), str(Path(sys.executable).resolve())],
    }
    folder = parts.part_folder(layout.parts, "python", shaped_by)
    if parts.is_complete(folder):
        return folder
    with progress.part(NAME):
        return parts.ensure(folder, lambda empty: _build(empty, layout.checkout, progress))


def _build(folder: Path, checkout: Path, progress: Progress) -> None:
    commands.run(
        [sys.executable, "-m", "venv", folder],
        remedy="Install the module venv: apt-get install python3-venv",
    )
    python = folder / "bin" / "python"
    commands.run(
        [python, "-m", "pip", "install", "--disable-pip-version-check", "--require-hashes", "-r", checkout / LOCK],
        is_progress=lambda line: _is_progress(line, progress),
        remedy="Check that the Python package index can be reached, then run `make setup` again.",
    )
    for packages in folder.glob("lib/python*/site-packages"):
        (packages / "quiet_interrupt.pth").write_text(QUIET_INTERRUPT)


def _is_progress(line: str, progress: Progress) -> bool:
    words = line.split()
    if words[:1] not in (["Collecting"], ["Downloading"], ["Installing"]):
        return False
    progress.detail(NAME, " ".join(words[:2]))
    return True
