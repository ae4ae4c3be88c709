"""`make setup` as people see it, where something is in its way."""

import os
import subprocess
import sys
from pathlib import Path

from toolchain.layout import CHECKOUT


def test_a_cache_that_cannot_be_made_is_told_with_its_variable(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    result = subprocess.run(
        [sys.executable, "-m", "toolchain", "--engine-only"],
        cwd=CHECKOUT,
        env={**os.environ, "NODE_IMAGES_CACHE": str(file / "cache")},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 1
    assert f"error: {file}/cache/toolchain: Not a directory" in result.stderr
    assert "NODE_IMAGES_CACHE" in result.stderr
    assert "Traceback" not in result.stderr


def test_ctrl_c_shows_no_traceback_and_every_other_exception_does() -> None:
    """In every Python of the environment, also before it has imported what would catch it."""
    interrupted, failed = (
        subprocess.run([sys.executable, "-c", f"raise {kind}"], capture_output=True, text=True)
        for kind in ("KeyboardInterrupt", "ValueError(1)")
    )
    assert (interrupted.returncode, interrupted.stderr) == (-2, "")
    assert "ValueError: 1" in failed.stderr
