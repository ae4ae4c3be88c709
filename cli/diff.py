"""`./node-images diff`: two images side by side, on the terminal, as Markdown, or as JSON for programs."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

from rich.console import Console
from rich.markup import escape

from cli.bills import known_of
from cli.reasons import text
from cli.tables import cell, difference_table, folded, package_rows, package_table, package_title, version_rows
from images.comparison import Comparison, VulnerabilityChanges, compare_images, pick
from images.contents import Difference
from images.exports import Exports
from images.findings import Finding

Form = Literal["text", "markdown", "json"]


def make_comparison(exports: Exports, first: str, second: str, label: str, *bills: Path) -> Comparison:
    """Compare two images by what people call them. Raises ProblemsError."""
    before, after = (pick(exports, wanted, label) for wanted in (first, second))
    return compare_images((before, known_of(before.name, *bills)), (after, known_of(after.name, *bills)))


def as_json(found: Comparison) -> str:
    """All of it; the recipe and each list in words and values."""
    document: dict[str, Any] = {**asdict(found), "recipe": [text(reason) for reason in found.recipe]}
    for item in document["vulnerabilities"]:
        item["before"], item["after"] = item["before"]["findings"], item["after"]["findings"]
    return json.dumps(document, indent=2) + "\n"


def as_markdown(found: Comparison) -> str:
    """For a comment, or an advisory."""
    title = f"**`{cell(found.before)}` → `{cell(found.after)}`**: {cell(headline(found))}"
    parts = [title, "\n".join(version_rows(found.before, found.after, [*found.components, *found.figures]))]
    if found.recipe:
        parts.append("\n".join(["**Recipe**", "", *(f"- {cell(text(reason))}" for reason in found.recipe)]))
    parts += [folded(package_title(item), package_rows(item)) for item in found.packages]
    parts += [folded(_vulnerability_title(item), _vulnerability_rows(item)) for item in found.vulnerabilities]
    if found.unknown:
        parts.append("\n".join(f"> {cell(said)}" for said in found.unknown))
    return "\n\n".join(parts) + "\n"


def show_comparison(console: Console, found: Comparison) -> None:
    """On the terminal."""
    console.print(f"[bold]{escape(found.before)}[/] → [bold]{escape(found.after)}[/]", highlight=False, soft_wrap=True)
    console.print(escape(headline(found)), highlight=False)
    console.print(difference_table("", [*found.changed, *_moved(found.figures)]))
    for reason in found.recipe:
        console.print(f"Recipe  {escape(text(reason))}", highlight=False)
    for item in found.packages:
        console.print(package_title(item), highlight=False)
        if item.is_something:
            console.print(package_table(item))
    for changes in found.vulnerabilities:
        console.print(_vulnerability_title(changes), highlight=False)
        console.print(difference_table("Vulnerability", list(_both(changes))))
    for said in found.unknown:
        console.print(f"[dim]Not known: {escape(said)}[/]", highlight=False, soft_wrap=True)


def headline(found: Comparison) -> str:
    """Such as `2 components, 3 parts of the recipe, 14 packages differ`."""
    parts = [
        _count(len(found.changed), "component"),
        _count(len(found.recipe), "part of the recipe", "parts of the recipe"),
        _count(found.new_packages, "package"),
    ]
    differing = [part for part in parts if part]
    if not differing:
        return "nothing that is known differs" if found.unknown else "the content is the same"
    single = len(differing) == 1 and differing[0].startswith("1 ")
    return f"{', '.join(differing)} {'differs' if single else 'differ'}"


def _count(number: int, one: str, many: str = "") -> str:
    return "" if not number else f"1 {one}" if number == 1 else f"{number} {many or one + 's'}"


def _moved(figures: Sequence[Difference]) -> list[Difference]:
    return [item for item in figures if item.old != item.new]


def _vulnerability_title(item: VulnerabilityChanges) -> str:
    return f"Vulnerabilities ({item.architecture}, {item.scanner}): {item.summary}"


def _vulnerability_rows(item: VulnerabilityChanges) -> list[str]:
    rows = [f"| {cell(one.name)} | {cell(one.old) or '-'} | {cell(one.new) or '-'} |" for one in _both(item)]
    return ["| Vulnerability | Before | After |", "|---|---|---|", *rows]


def _both(item: VulnerabilityChanges) -> Iterator[Difference]:
    yield from (Difference(_called(one), "", f"{one.package} {one.version}") for one in item.added)
    yield from (Difference(_called(one), f"{one.package} {one.version}", "") for one in item.gone)


def _called(item: Finding) -> str:
    return f"{item.id} ({item.severity})"
