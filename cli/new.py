"""`./node-images new`: a stack file from a few answers, or from options alone."""

import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import typer

from images.schema import schema_line
from images.stackfile import LOCATIONS, PROJECT, parse_stack_file, read_config
from recipe.catalog import Catalog
from recipe.lock import Lock, locked_versions
from recipe.problems import Problem, ProblemsError
from recipe.render import published_files

NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}", re.ASCII)
DEFAULT_OS, DEFAULT_ARCHITECTURE = "debian-13", "amd64"
Ask = Callable[[str, str], str]
"""A question and its default -> the answer."""


@dataclass(frozen=True)
class Wanted:
    """What a new stack keeps; empty is not said."""

    name: str
    systems: Sequence[str] = ()
    kubernetes: Sequence[str] = ()
    architectures: Sequence[str] = ()
    locations: Sequence[str] = ()


def complete(wanted: Wanted, catalog: Catalog, lock: Lock) -> Wanted:
    """Ask for what was not said; where nobody sits at a terminal, take what is usual. Raises ProblemsError."""
    ask = prompt if is_asked() else _usual
    newest = newest_version(catalog, lock)
    return Wanted(
        wanted.name or ask("Name of the stack, such as dev or prod", ""),
        wanted.systems or words(ask(f"Operating systems ({', '.join(catalog.operating_systems)})", DEFAULT_OS)),
        wanted.kubernetes or words(ask("Kubernetes versions, in full", newest)),
        wanted.architectures or words(ask(f"Architectures ({', '.join(catalog.architectures)})", DEFAULT_ARCHITECTURE)),
        wanted.locations or words(ask("Locations to build in, in order of preference", " ".join(LOCATIONS))),
    )


def is_asked() -> bool:
    """Whether somebody sits at a terminal."""
    return sys.stdin.isatty()


def prompt(question: str, default: str) -> str:
    """Ask on the terminal."""
    return str(typer.prompt(question, default=default or None))


def _usual(_question: str, default: str) -> str:
    return default


def words(text: str) -> list[str]:
    """`a, b c` -> three words."""
    return [word for word in re.split(r"[,\s]+", text) if word]


def newest_version(catalog: Catalog, lock: Lock) -> str:
    """The newest Kubernetes version whose files the lock has."""
    minors = [minor for minor in catalog.kubernetes if not minor.endswith("+")]
    found = [version for minor in minors for version in locked_versions(catalog, lock, minor)]
    return max(found, key=lambda version: [int(part) for part in version.split(".")], default="")


def write_stack_file(file: Path, wanted: Wanted, catalog: Catalog, lock: Lock) -> list[str]:
    """Write it, or fill in one that Pulumi made; return what to mind. Raises ProblemsError, and then nothing is written."""
    if problems := _problems(file, wanted):
        raise ProblemsError(problems)
    text = stack_file_text(wanted, _without_images(file) if file.exists() else "")
    parse_stack_file(text, catalog, str(file), file.absolute().parents[1])
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    files = published_files(catalog, lock, wanted.kubernetes)
    unlocked = dict.fromkeys(item.artifact.version for item in files if not item.artifact.sha256)
    return [
        f"recipe/lock.yaml has no sums of Kubernetes {version} yet: ./node-images lock {version}"
        for version in unlocked
        if version in wanted.kubernetes
    ]


def _problems(file: Path, wanted: Wanted) -> list[Problem]:
    if NAME.fullmatch(wanted.name):
        return []
    rule = "not the name of a stack: letters, digits, dots, dashes and underscores, at most 100"
    return [Problem(str(file), "NAME", wanted.name, rule, "name it like dev, or prod-eu")]


def _without_images(file: Path) -> str:
    """The text of a file that Pulumi made as it made the stack. Raises ProblemsError where it says already what is kept."""
    text = file.read_text()
    config = read_config(file) if "config:" in text else {}
    if f"{PROJECT}:images" in config:
        rule = "the stack file is there, and says already which images it keeps"
        raise ProblemsError([Problem(str(file), f"{PROJECT}:images", "", rule, "edit it, or name another stack")])
    return text


def stack_file_text(wanted: Wanted, before: str = "") -> str:
    """The file, with the lines that were there `before`."""
    kept = before if before.startswith(schema_line()) else f"{schema_line()}\n{before}"
    settings = "\n".join(_settings(wanted)) + "\n"
    if re.search(r"^config:\s*$", kept, re.MULTILINE):
        return re.sub(r"^config:\s*\n", f"config:\n{settings}", kept, count=1, flags=re.MULTILINE)
    return f"{kept}config:\n{settings}"


def _settings(wanted: Wanted) -> list[str]:
    lines = [f"  {PROJECT}:images:"]
    for system in wanted.systems:
        lines += [
            f"    - os: {system}",
            "      kubernetes:",
            *(f"        - {_quoted(item)}" for item in wanted.kubernetes),
        ]
        if list(wanted.architectures) != [DEFAULT_ARCHITECTURE]:
            lines.append(f"      architectures: [{', '.join(wanted.architectures)}]")
    if list(wanted.locations) != list(LOCATIONS):
        lines.append(f"  {PROJECT}:locations: [{', '.join(wanted.locations)}]")
    return lines


def _quoted(version: str) -> str:
    """Text also where YAML would read a number."""
    return f'"{version}"' if re.fullmatch(r"[\d.]+", version) and version.count(".") < 2 else version


def next_steps(name: str) -> str:
    """What to type then."""
    return (
        f"Next:\n"
        f"    ./pulumiw stack init {name}    # where it is not there yet\n"
        f"    ./pulumiw config set --secret hcloud:token --stack {name}\n"
        f"    ./pulumiw preview --stack {name}\n"
        f"    ./pulumiw up --stack {name}"
    )
