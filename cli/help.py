"""What `./node-images --help` shows beside each command: the task that it belongs to, and examples."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from typer.models import CommandInfo

from recipe import load_catalog
from recipe.problems import ProblemsError

BEGIN, LOOK, USE, KEEP, OTHERS = (
    "Begin",
    "Look at images",
    "Use images",
    "Keep them up to date",
    "Other ways to build",
)
TASKS: Mapping[str, Sequence[str]] = {
    BEGIN: ("new",),
    LOOK: ("summary", "report", "logs", "diff", "scan", "catalogue"),
    USE: ("manifests",),
    KEEP: ("refresh", "lock", "sweep"),
    OTHERS: ("render", "artifacts"),
    "This command": ("completion",),
}
"""In the order in which people need them."""

EXAMPLES: Mapping[str, Sequence[str]] = {
    "new": ("new", "new prod --os debian-13 --kubernetes 1.36.4 --kubernetes 1.35.8 --location fsn1"),
    "summary": ("summary", "summary --stack prod"),
    "report": ("report --stack prod", "report --preview preview.json --markdown"),
    "logs": ("logs --stack prod", "logs debian-13/1.36.4 --stack prod", "logs debian-13/1.36.4 kubeadm --stack prod"),
    "diff": (
        "diff debian-13/1.35.8 debian-13/1.36.4 --stack prod",
        "diff debian-13/1.36.4~1 debian-13/1.36.4 --stack prod --format markdown",
    ),
    "scan": ("scan --stack prod", "scan --stack prod --scanner grype"),
    "catalogue": ("catalogue --stack prod --output catalogue",),
    "manifests": (
        "manifests --stack prod --kubernetes 1.36 --os debian-13 --cluster prod --control-plane cpx32 --workers w=cx33:3",
        "manifests --stack prod --format env",
    ),
    "refresh": ("refresh --stack prod", "refresh --stack prod --as-of 2026-11-15"),
    "lock": ("lock 1.36.5", "lock 1.36.5 1.35.9"),
    "sweep": ("sweep --stack prod", "sweep --stack prod --yes"),
    "render": (
        "render cloud-init --os debian-13 --kubernetes 1.36.4",
        "render packer --os debian-13 --kubernetes 1.36.4 --output node.pkr.hcl",
    ),
    "artifacts": ("artifacts --stack prod",),
    "completion": ('eval "$(./node-images completion bash)"',),
}


def task_of(command: str) -> str | None:
    """The heading that a command stands under."""
    return next((task for task, commands in TASKS.items() if command in commands), None)


def place_of(command: str) -> int:
    """Where it stands in the list: last, if nobody said."""
    names = [name for commands in TASKS.values() for name in commands]
    return names.index(command) if command in names else len(names)


def examples(command: str) -> str:
    """What stands below the help of a command. Typer joins lines, but no paragraphs."""
    lines = [line if "./node-images" in line else f"./node-images {line}" for line in EXAMPLES.get(command, ())]
    return "\n\n".join([f"{'Example' if len(lines) == 1 else 'Examples'}:", *lines]) if lines else ""


def arrange(commands: list[CommandInfo]) -> None:
    """Put commands in order, below the heading of their task, and examples below their help."""
    for info in commands:
        name = info.callback.__name__ if info.callback else ""
        info.rich_help_panel, info.epilog = task_of(name), examples(name)
    commands.sort(key=lambda info: place_of(info.callback.__name__ if info.callback else ""))


def stack_names(incomplete: str) -> list[str]:
    """The stacks that have a stack file, for a shell that completes."""
    names = (file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in Path("stacks").glob("Pulumi.*.yaml"))
    return sorted(name for name in names if name.startswith(incomplete))


def system_names(incomplete: str) -> list[str]:
    """The operating systems of the catalogue, for a shell that completes."""
    try:
        return [name for name in load_catalog().operating_systems if name.startswith(incomplete)]
    except ProblemsError:
        return []
