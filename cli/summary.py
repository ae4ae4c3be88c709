"""The summary that people look at after an `up`: names, figures and what to paste."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from images.labels import CAPH_IMAGE_NAME

Record = Mapping[str, Any]
"""One entry of the stack output `images`."""


def show(console: Console, records: Sequence[Record], seconds: Mapping[str, float]) -> None:
    """Print the summary of all images; `seconds` by phase is shown where there is any."""
    if not records:
        console.print("The stack has no images yet: run `up` first.")
        return
    console.print()
    console.print(_images(records))
    if seconds:
        console.print(_times(seconds))
    console.print("Paste into an HCloudMachineTemplate:\n")
    console.print(template_lines(records[0]), highlight=False, markup=False)
    console.print(f"CAPH finds the snapshot by its label [bold]{CAPH_IMAGE_NAME}[/bold].")


def template_lines(record: Record) -> str:
    """The fields of an HCloudMachineTemplate that name the image."""
    return f"    spec:\n      template:\n        spec:\n          imageName: {record['name']}\n"


def _images(records: Sequence[Record]) -> Table:
    table = Table(title="Node images", title_justify="left")
    for heading in ("Image", "Snapshot", "Size", "Kubernetes", "containerd", "Tests"):
        table.add_column(heading, overflow="fold")
    for record in records:
        for architecture, snapshot in record["snapshots"].items():
            table.add_row(
                record["name"],
                f"{snapshot} ({architecture})",
                f"{record['sizes'][architecture]:.2f} GB",
                record["kubernetes"],
                record["components"]["containerd"],
                _tests(record["tests"][architecture]),
            )
    return table


def _tests(report: Mapping[str, int]) -> str:
    return f"{report['passed']} of {report['total']} passed" if report else "-"


def _times(seconds: Mapping[str, float]) -> Table:
    table = Table(title="Time", title_justify="left")
    table.add_column("Phase")
    table.add_column("Seconds", justify="right")
    for phase, value in seconds.items():
        table.add_row(phase, f"{value:.0f}")
    table.add_section()
    table.add_row("All", f"{sum(value for phase, value in seconds.items() if not phase.startswith('  ')):.0f}")
    return table
