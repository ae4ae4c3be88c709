"""`./node-images refresh`: the newest package date and patch releases, written into a stack file."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

from images.refresh import refresh
from images.stackfile import load_stack_file, parse_stack_file
from recipe import load_catalog, load_lock


def refresh_stack_file(file: Path, as_of: date, say: Callable[[str], None]) -> None:
    """Move what can be moved, and say what it was. Raises ProblemsError for a file that is not valid, or would not be."""
    catalog = load_catalog()
    load_stack_file(file, catalog)
    refreshed = refresh(file.read_text(), as_of, catalog, load_lock())
    today = datetime.now(UTC).date()
    parse_stack_file(refreshed.text, catalog, str(file), file.absolute().parents[1], today)
    for move in refreshed.moves:
        say(f"{file}: {move}")
    if not refreshed.has_date:
        say(f"{file}: asOf is not set, so packages are those of the day of a build")
    if not refreshed.moves:
        say(f"{file}: nothing to move")
        return
    file.write_text(refreshed.text)
