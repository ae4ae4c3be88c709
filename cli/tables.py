"""What differs between two images, as tables of Markdown and of the terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from images.bills import PackageChanges
from images.contents import Difference

MOST_PACKAGES = 100
"""In a comment; a terminal scrolls."""


def version_rows(before: str, after: str, differences: Sequence[Difference]) -> list[str]:
    """A Markdown table of values side by side; what differs stands out."""
    return [f"| | `{before}` | `{after}` |", "|---|---|---|", *map(_version_row, differences)]


def _version_row(item: Difference) -> str:
    if item.old == item.new:
        return f"| {cell(item.name)} | {cell(item.old)} | {cell(item.new)} |"
    return f"| **{cell(item.name)}** | {cell(item.old) or '-'} | **{cell(item.new) or '-'}** |"


def package_title(item: PackageChanges) -> str:
    """What stands above the packages of one architecture."""
    return f"Packages of {item.key} ({item.architecture}): {item.summary}"


def package_rows(item: PackageChanges) -> list[str]:
    """A Markdown table of the packages that differ."""
    found = [*item.changed, *item.added, *item.removed]
    rows = [f"| {cell(one.name)} | {cell(one.old) or '-'} | {cell(one.new) or '-'} |" for one in found]
    rest = [f"| and {len(rows) - MOST_PACKAGES} more | | |"] if len(rows) > MOST_PACKAGES else []
    return ["| Package | Before | After |", "|---|---|---|", *rows[:MOST_PACKAGES], *rest]


def package_table(item: PackageChanges) -> Table:
    """The packages that differ."""
    return difference_table("Package", (*item.changed, *item.added, *item.removed))


def difference_table(title: str, found: Sequence[Difference]) -> Table:
    """Values before and after on the terminal."""
    table = Table(title, "Before", "After")
    for one in found:
        table.add_row(escape(one.name), escape(one.old or "-"), escape(one.new or "-"))
    return table


def folded(title: str, lines: Sequence[str]) -> str:
    """Markdown that a reader opens."""
    return "\n".join([f"<details><summary>{cell(title)}</summary>", "", *lines, "", "</details>"])


def cell(text: str) -> str:
    """Text that stays text, and in its cell."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace("|", "\\|")
    return " ".join(escaped.split())
