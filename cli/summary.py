"""The summary that people look at after an `up`: names, figures and what to paste."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from images.disks import boots_on
from images.exports import AcceptanceReport, ImageRecord
from images.labels import CAPH_IMAGE_NAME


def show(console: Console, records: Sequence[ImageRecord], seconds: Mapping[str, float]) -> None:
    """Print the summary of all images; `seconds` by phase is shown where there is any."""
    if not records:
        console.print("The stack has no images yet: run `up` first.")
        return
    for record in records:
        console.print(f"\n[bold green]{record.name}[/]", highlight=False, soft_wrap=True)
        console.print(_image(record))
    if seconds:
        console.print()
        console.print(_times(seconds))
    console.print("\nPaste into an HCloudMachineTemplate:\n")
    for record in records:
        console.print(template_lines(record), highlight=False, markup=False, soft_wrap=True)
    console.print(f"CAPH finds the snapshot by its label {CAPH_IMAGE_NAME}.", highlight=False)


def template_lines(record: ImageRecord) -> str:
    """The fields of an HCloudMachineTemplate that name the image."""
    return f"    spec:\n      template:\n        spec:\n          imageName: {record.name}\n"


def _image(record: ImageRecord) -> Table:
    table = Table.grid(padding=(0, 2))
    for architecture, snapshot in record.snapshots.items():
        report = record.tests.get(architecture, AcceptanceReport())
        table.add_row("  Snapshot", f"{snapshot} ({architecture}), {record.sizes[architecture]:.2f} GB")
        if disk := record.disks.get(architecture):
            table.add_row("  Disk", boots_on(disk, architecture))
        table.add_row("  Tests", _tests(report))
        if seconds := report.seconds:
            table.add_row(
                "  Seconds", ", ".join(f"{told} {seconds[name]:g}" for name, told in SECONDS.items() if name in seconds)
            )
    for architecture, tarball in record.tarballs.items():
        table.add_row("  Tarball", f"{tarball.path} ({architecture}), {tarball.size / 1e9:.2f} GB")
    table.add_row("  Kubernetes", record.kubernetes)
    table.add_row("  containerd", record.components["containerd"])
    if record.generations:
        table.add_row("  Earlier", ", ".join(record.generations))
    return table


SECONDS = {
    "ssh": "boot to SSH",
    "kubelet": "kubelet healthy",
    "ready": "kubeadm init to Ready",
    "cluster": "to a Service that answers",
    "restart": "boot to that again",
}
"""The figures that docs/exports.md describes, in a few words."""


def _tests(report: AcceptanceReport) -> str:
    return f"{report.passed} of {report.total} passed" if report.total else "-"


def _times(seconds: Mapping[str, float]) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column()
    table.add_column(justify="right")
    for phase, value in seconds.items():
        table.add_row(phase, f"{value:.0f} s")
    table.add_row("All", f"{sum(value for phase, value in seconds.items() if not phase.startswith(' ')):.0f} s")
    return table
