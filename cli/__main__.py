"""The commands of ./node-images."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import yaml
from hcloud import APIException, Client
from requests import RequestException
from rich.console import Console

from cli.engine import EngineError, stack_output
from cli.summary import show
from cli.sweep import sweep as sweep_stack
from cli.timing import phase_seconds
from images.plan import needed_artifacts
from images.stackfile import load_stack_file
from recipe import load_catalog, load_lock
from recipe.problems import ProblemsError

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
Stack = Annotated[str, typer.Option("--stack", "-s", envvar="PULUMI_STACK", help="The environment.")]


@app.command()
def summary(
    stack: Stack = "sandbox",
    event_log: Annotated[Path | None, typer.Option(help="The engine's event log of the last up.")] = None,
    phase: Annotated[list[str] | None, typer.Option(help="NAME=SECONDS of a phase before it.")] = None,
) -> None:
    """Show the images of a stack: names, sizes, versions, tests, and the lines for an HCloudMachineTemplate."""
    seconds = {name: float(value) for name, _, value in (item.partition("=") for item in phase or [])}
    if event_log and event_log.exists():
        seconds |= {f"  {name}": value for name, value in phase_seconds(event_log.read_text().splitlines()).items()}
    with _errors():
        show(Console(), stack_output(stack, "images") or [], seconds)


@app.command()
def artifacts(stack: Stack = "sandbox") -> None:
    """List the files that building a stack's images downloads: upstream's URLs, one a line."""
    with _errors():
        catalog = load_catalog()
        settings = load_stack_file(_stack_file(stack), catalog)
        for artifact in needed_artifacts(settings, catalog, load_lock()):
            typer.echo(artifact.upstream)


@app.command()
def sweep(
    stack: Stack = "sandbox", yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False
) -> None:
    """Delete what interrupted runs of this stack left behind: servers, keys, unpublished snapshots. Not while an up runs."""
    with _errors():
        sweep_stack(_client(stack), stack, confirm=lambda text: yes or typer.confirm(text), say=typer.echo)


def _client(stack: str) -> Client:
    config = yaml.safe_load(_stack_file(stack).read_text()).get("config", {})
    token = config.get("hcloud:token")
    if not isinstance(token, str):
        token = os.environ.get("HCLOUD_TOKEN")
    if not token:
        raise EngineError("no API token: the stack's token is encrypted, so give it in HCLOUD_TOKEN")
    endpoint = config.get("hcloud:endpoint") or os.environ.get("HCLOUD_ENDPOINT") or "https://api.hetzner.cloud/v1"
    return Client(token=token, api_endpoint=endpoint, poll_interval=0.5)


def _stack_file(stack: str) -> Path:
    return Path("stacks") / f"Pulumi.{stack}.yaml"


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
    except (ProblemsError, EngineError, APIException, RequestException, json.JSONDecodeError) as error:
        typer.secho(f"node-images: {error}", err=True, fg="red")
        raise typer.Exit(1) from error


if __name__ == "__main__":
    app(prog_name="./node-images")
