"""A review as a Markdown comment on a pull request: read in ten seconds, with the details folded away."""

from collections.abc import Iterator, Sequence
from decimal import Decimal
from itertools import groupby

from cli.reasons import lines
from cli.tables import cell, folded, package_rows, package_title, version_rows
from images.changes import Change
from images.costs import Costs
from images.review import Review, Slots, first

LONGEST = 60_000
"""GitHub takes 65,536 characters."""


def marker(stack: str) -> str:
    """What no reader sees, and by which the comment of an earlier push is found and replaced."""
    return f"<!-- node-images report: {stack} -->"


def markdown(review: Review) -> str:
    """The comment. Where nothing changes it is one line."""
    title = f"**Node images of `{cell(review.stack)}`**: {headline(review)}"
    if review.is_empty:
        return f"{marker(review.stack)} {' '.join([title, *map(cell, one_line(review))])}\n"
    parts = [marker(review.stack), title, *_errors(review.errors), *_warnings(review.warnings)]
    parts += [*_table(review.changes), *_figures(review)]
    return _fitted(parts, [*_versions(review.changes), *_packages(review)])


def headline(review: Review) -> str:
    """Such as `1 rebuilt, 1 deleted, 2 unchanged`."""
    if review.errors:
        return "the preview failed, so nothing can be said of this change."
    counts = [f"{len(list(group))} {kind}" for kind, group in groupby(review.changes, lambda change: change.kind)]
    if not counts:
        return f"no image changes ({len(review.unchanged)} in all{_monthly(review.costs)})."
    same = [f"{len(review.unchanged)} unchanged"] if review.unchanged else []
    return ", ".join([*counts, *same]) + "."


def one_line(review: Review) -> list[str]:
    """The warnings of a review without changes, which has a line for all of it."""
    return [f"Warning: {'; '.join(review.warnings)}."] if review.warnings else []


def cost_lines(costs: Costs) -> list[str]:
    """What it costs a month, and what building costs once."""
    about = "about " if costs.estimated else ""
    sign = "+" if costs.delta >= 0 else "−"
    monthly = f"{about}{sign}{money(abs(costs.delta), costs.currency)} a month, {money(costs.monthly_after)} in all"
    build = [f"{money(costs.build, costs.currency)} once for building"] if costs.build else []
    unknown = [f"{costs.unknown} of unknown size or price not counted"] if costs.unknown else []
    return [monthly, *build, *unknown]


def slot_lines(slots: Slots) -> list[str]:
    """Snapshots and servers of the project: now, while it builds, after."""
    building = f", {slots.snapshots_while_building} while it builds" if _builds(slots) else ""
    snapshots = f"{slots.snapshots} of {slots.snapshot_limit} snapshots now{building}, {slots.snapshots_after} after"
    limit = f" of {slots.server_limit}" if slots.server_limit is not None else ""
    noun = "server" if slots.servers == 1 and not limit else "servers"
    servers = f"{slots.servers}{limit} {noun} now, {slots.servers_while_building} while it builds"
    return [snapshots, *([servers] if slots.servers_while_building > slots.servers else [])]


def money(amount: Decimal, currency: str = "") -> str:
    """To the cent; what is less than ten of them, to a tenth of one."""
    text = f"{amount:.3f}" if 0 < amount < Decimal("0.1") else f"{amount:.2f}"
    return f"{text} {currency}".strip()


def _monthly(costs: Costs | None) -> str:
    return f", {money(costs.monthly_after, costs.currency)} a month" if costs else ""


def _builds(slots: Slots) -> bool:
    return slots.snapshots_while_building > max(slots.snapshots, slots.snapshots_after)


def _errors(errors: Sequence[str]) -> Iterator[str]:
    if errors:
        text = "\n".join(errors).replace("```", "'''")
        yield f"```text\n{text}\n```"


def _table(changes: Sequence[Change]) -> Iterator[str]:
    """Images to which the same happens for the same reason share a row."""
    if not changes:
        return
    rows = ["| | Image | Why |", "|---|---|---|"]
    for (kind, why), group in _by_reason(changes).items():
        images = "<br>".join(f"`{cell(change.name)}` {', '.join(change.architectures)}" for change in group)
        rows.append(f"| **{kind}** | {images} | {'<br>'.join(map(cell, why))} |")
    yield "\n".join(rows)


def _by_reason(changes: Sequence[Change]) -> dict[tuple[str, tuple[str, ...]], list[Change]]:
    groups: dict[tuple[str, tuple[str, ...]], list[Change]] = {}
    for change in changes:
        groups.setdefault((change.kind, lines(change)), []).append(change)
    return groups


def figures(review: Review) -> list[tuple[str, str]]:
    """Title and text of what changes cost and take."""
    found = [("Costs", "; ".join(cost_lines(review.costs)))] if review.costs else []
    found += [("Places", "; ".join(slot_lines(review.slots)))] if review.slots else []
    found += [("Disks", "; ".join(review.disks))] if review.disks else []
    compared = {item.name for item in review.packages}
    built = [change for change in review.changes if change.before and change.kind != "restored"]
    unknown = [change.key for change in built if change.name not in compared]
    found += [("Packages", f"of {first(unknown)} are known once it is built")] if unknown else []
    return found if review.changes else []


def _figures(review: Review) -> Iterator[str]:
    if lines := [f"**{title}** {text}." for title, text in figures(review)]:
        yield "<br>\n".join(lines)


def _warnings(warnings: Sequence[str]) -> Iterator[str]:
    if warnings:
        yield "\n".join(["> [!WARNING]", *(f"> - {cell(text)}" for text in warnings)])


def _versions(changes: Sequence[Change]) -> Iterator[str]:
    for change in changes:
        if change.components:
            rows = version_rows(change.before, change.name, change.components)
            yield folded(f"Versions of {change.key}", rows)


def _packages(review: Review) -> Iterator[str]:
    for item in review.packages:
        yield folded(package_title(item), package_rows(item))


def _fitted(parts: Sequence[str], details: Sequence[str]) -> str:
    """As many of the details as a comment holds."""
    text = "\n\n".join(parts)
    for number, detail in enumerate(details):
        if len(text) + len(detail) > LONGEST:
            left_out = f"{len(details) - number} more tables do not fit; ./node-images report shows all of it."
            return f"{text}\n\n{left_out}\n"
        text = f"{text}\n\n{detail}"
    return f"{text[:LONGEST]}\n"
