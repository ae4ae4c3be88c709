"""Put the parts of a toolchain together under its key, and link the checkout to it."""

import os
import shlex
import shutil
import tempfile
from pathlib import Path

from toolchain.errors import SetupError
from toolchain.layout import Layout
from toolchain.ways import Toolchain


def assemble(layout: Layout, toolchain: Toolchain, virtualenv: Path) -> None:
    """Make the key's folder in one step: whoever sees it sees all of it."""
    layout.toolchain.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=".assembling-", dir=layout.toolchain))
    try:
        staging.chmod(0o755)
        _link_files(toolchain.files, staging / "bin")
        for name, folder in toolchain.plugins.items():
            _link_files({path.name: path for path in folder.iterdir() if path.is_file()}, staging / "plugins" / name)
        (staging / "settings.sh").write_text(settings_text(layout, toolchain, virtualenv))
        shutil.rmtree(layout.ready, ignore_errors=True)
        staging.rename(layout.ready)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _link_files(files: dict[str, Path], folder: Path) -> None:
    """Link files hard: the engine looks for what belongs to it beside the file that it really is."""
    folder.mkdir(parents=True)
    for name, file in files.items():
        if file.is_file() and not name.startswith("."):
            os.link(file, folder / name)


def settings_text(layout: Layout, toolchain: Toolchain, virtualenv: Path) -> str:
    """Return the shell assignments that ./pulumiw reads."""
    own = bool(toolchain.files)
    values = {
        "way": str(toolchain.way),
        "description": toolchain.description,
        "engine": str(layout.ready / "bin" / toolchain.engine) if own else toolchain.engine,
        "binaries": str(layout.ready / "bin") if own else "",
        "plugins": str(layout.ready / "plugins") if own else "",
        "virtualenv": str(virtualenv),
    }
    return "".join(f"{name}={shlex.quote(value)}\n" for name, value in values.items())


def read_settings(file: Path) -> dict[str, str]:
    """Read what `settings_text` wrote."""
    words = shlex.split(file.read_text())
    return dict(word.split("=", 1) for word in words)


def link_virtualenv(layout: Layout, virtualenv: Path) -> None:
    """Point the checkout's .venv to the environment, in one step."""
    link = layout.virtualenv_link
    if link.is_symlink() and link.readlink() == virtualenv:
        return
    if link.is_dir() and not link.is_symlink():
        raise SetupError(f"{link} is a folder, not the link that set-up makes", f"Move it away: mv {link} {link}.old")
    temporary = link.with_name(f".venv.{os.getpid()}")
    temporary.symlink_to(virtualenv)
    temporary.replace(link)
