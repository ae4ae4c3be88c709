"""`./node-images report`: a preview, put into words for whoever reviews it, as a comment or on the terminal."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from hcloud import Client
from hcloud.images import BoundImage
from hcloud.servers import BoundServer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from adapters.hetzner.client import Api
from adapters.hetzner.errors import CloudError
from adapters.hetzner.snapshots import read_snapshot
from cli import engine
from cli.bills import read_bills
from cli.comment import figures, headline
from cli.reasons import lines
from cli.settings import load_settings
from cli.tables import package_table, package_title
from cli.words import one_line
from images.changes import Change
from images.costs import PricesError, read_prices
from images.labels import is_of_stack
from images.preview import Preview, read_preview
from images.review import Circumstances, Project, Review, failed, review
from images.snapshot import Snapshot
from recipe import load_catalog
from recipe.problems import Problem, ProblemsError

DEFAULT_STACK = "sandbox"
COLOURS = {"added": "green", "deleted": "red", "kept": "dim"}


@dataclass(frozen=True)
class Limits:
    """What the project may have; the API does not tell."""

    snapshots: int
    servers: int | None


def make_review(
    stack: str | None, source: Path | None, connect: Callable[[str], Api], limits: Limits, today: date
) -> Review:
    """The review of a preview that lies in `source`, or is made now. Raises ProblemsError and EngineError."""
    document = read_json(source) if source else engine.preview(stack or DEFAULT_STACK)
    preview = read_preview(document, str(source or "./pulumiw preview --json"))
    name = stack or preview.stack or DEFAULT_STACK
    if preview.stack not in ("", name):
        rule = f"it is a preview of stack {preview.stack}"
        raise ProblemsError([Problem(str(source), "--stack", name, rule, "name that stack, or another preview")])
    preview = replace(preview, stack=name)
    if preview.errors:
        return failed(preview)
    catalog = load_catalog()
    settings = load_settings(name, catalog)
    project = _project(connect, name)
    bills = read_bills(Path(settings.sboms))
    return review(preview, Circumstances(settings, catalog, project, bills, today, limits.snapshots, limits.servers))


def failure(stack: str | None, error: Exception) -> Review:
    """For a comment: a report that could not be made must replace the one of an earlier push, too."""
    return failed(Preview(stack or DEFAULT_STACK, (), {}, frozenset(), frozenset(), {}, {}, (str(error),)))


def _project(connect: Callable[[str], Api], stack: str) -> Project | str:
    """What the API tells, or why it cannot: a report goes without where it must."""
    try:
        api = connect(stack)
        with api.in_words(of_lists=True):
            return look_at_project(api.client, stack)
    except (CloudError, PricesError) as error:
        return one_line(error)


def read_json(source: Path) -> Any:  # noqa: ANN401 - whatever it holds
    """A document from a file, or from standard input for `-`. Raises ProblemsError."""
    name, text = "standard input" if str(source) == "-" else str(source), ""
    try:
        text = sys.stdin.read() if str(source) == "-" else source.read_text()
        return json.loads(text)
    except OSError as error:
        raise ProblemsError(
            [Problem(name, "", "", f"cannot be read ({error.strerror})", "name another file")]
        ) from error
    except ValueError as error:
        rule = f"not JSON ({error})"
        remedy = "write it with: ./pulumiw preview --json --stack STACK > preview.json"
        if text.startswith('{"sequence"'):
            rule = "a stream of the engine's events, not one document"
            remedy = f"unset PULUMI_ENABLE_STREAMING_JSON_PREVIEW, and {remedy}"
        raise ProblemsError([Problem(name, "", "", rule, remedy)]) from error


def look_at_project(client: Client, stack: str) -> Project:
    """The stack's snapshots, the project's numbers, and the prices of today. It only reads."""
    snapshots = client.images.get_all(type=["snapshot"])
    servers = client.servers.get_all()
    # A verifier is created from the snapshot that it tests, and is gone soon.
    lasting = [server for server in servers if not is_of_stack(server.labels or {}, stack)]
    stored = [_stored(image, lasting) for image in snapshots if is_of_stack(image.labels or {}, stack)]
    return Project(tuple(stored), len(snapshots), len(servers), read_prices(client.request("GET", "/pricing")))


def _stored(image: BoundImage, servers: Sequence[BoundServer]) -> Snapshot:
    created = [str(server.name) for server in servers if server.image and server.image.id == image.id]
    return read_snapshot(image, created)


def show_report(console: Console, review: Review) -> None:
    """Print a review on the terminal."""
    console.print(f"[bold]{escape(review.stack)}[/]: {headline(review)}", highlight=False)
    for error in review.errors:
        console.print(f"[red]{escape(error)}[/]", highlight=False)
    for text in review.warnings:
        console.print(f"[yellow]warning:[/] {escape(text)}", highlight=False)
    if review.changes:
        console.print(_changes(review.changes))
        for title, text in figures(review):
            console.print(f"{title:<8} {text}", highlight=False)
    for item in review.packages:
        console.print(package_title(item), highlight=False)
        console.print(package_table(item))


def _changes(changes: tuple[Change, ...]) -> Table:
    table = Table.grid(padding=(0, 2))
    for change in changes:
        colour = COLOURS.get(change.kind, "yellow")
        image = f"{change.name}\n[dim]{', '.join(change.architectures)}[/]"
        table.add_row(f"[{colour}]{change.kind}[/]", image, escape("\n".join(lines(change))))
    return table
