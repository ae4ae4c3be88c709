"""The commands of ./node-images."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from typer.completion import completion_init, get_completion_script  # type: ignore[attr-defined]

from adapters.bash import syntax_error
from adapters.hetzner.client import Api
from adapters.hetzner.errors import CloudError
from cli.builds import LOGS, builds_of, find_log
from cli.catalogue import DEFAULT_OUTPUT, STALE_DAYS, Live, Page, cards, copy_sboms, render_page
from cli.comment import markdown
from cli.diff import Form as DiffForm
from cli.diff import as_json, as_markdown, make_comparison, show_comparison
from cli.engine import ROOT, EngineError, read_state
from cli.exports import load_exports, load_images
from cli.help import arrange, stack_names, system_names
from cli.live import ask
from cli.lock import add_to_lock
from cli.manifests import Form as ManifestForm
from cli.manifests import parse_pools, render_manifests, render_names
from cli.new import Wanted as NewStack
from cli.new import complete, next_steps, write_stack_file
from cli.places import as_typed
from cli.refresh import refresh_stack_file
from cli.render import Wanted, doubt, refuse_unserved, render_form
from cli.report import Limits, failure, make_review, show_report
from cli.scan import Scanner, bills_of, find_scanner, forget_gone, scan_bills
from cli.settings import bills_folder, load_settings, stack_file
from cli.summary import show
from cli.sweep import sweep as sweep_stack
from cli.timing import phase_seconds
from cli.version import version_text
from cli.words import leave_pipe, one_line, with_remedy
from clusters.capi import ApiVersion, Cluster, ClusterError
from images.costs import PricesError
from images.findings import counted
from images.names import BILL_SUFFIX
from images.plan import needed_artifacts
from images.review import DEFAULT_SNAPSHOT_LIMIT
from images.stackfile import environments_of, read_config
from recipe import load_catalog, load_lock
from recipe.catalog import Architecture
from recipe.forms import Form
from recipe.lock import LOCAL_LOCK_FILE, LOCK_FILE
from recipe.problems import ProblemsError
from recipe.render import published_files

NOT_BUILT_YET = (
    "warning: the stack file says localBuilds, but this machine has built nothing yet, so the sums are upstream's: "
    "run ./pulumiw preview first"
)

IMAGE_HELP = (
    "An image's name, its last eight digits, the id of its snapshot, or its version: "
    "debian-13/1.36.4 for the declared one, debian-13/1.36.4~1 for one generation before."
)

# click suggests commands by itself.
app = typer.Typer(
    no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, suggest_commands=False, help=__doc__
)
COMPLETE_VARIABLE = "_NODE_IMAGES_COMPLETE"
Shell = Literal["bash", "zsh", "fish"]
Stack = Annotated[
    str,
    typer.Option("--stack", "-s", envvar="PULUMI_STACK", help="The environment.", autocompletion=stack_names),
]
ExportsFile = Annotated[
    Path | None,
    typer.Option(
        "--exports",
        parser=as_typed,
        metavar="FILE",
        help="What `stack output --json` wrote, or - for standard input, instead of asking the engine.",
    ),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(version_text())
        raise typer.Exit


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show which version this is.")
    ] = False,
) -> None:
    """Run a command; the option has done its work by then."""


@app.command()
def summary(
    stack: Stack = "sandbox",
    event_log: Annotated[
        Path | None, typer.Option(parser=as_typed, metavar="FILE", help="The engine's event log of the last up.")
    ] = None,
    phase: Annotated[list[str] | None, typer.Option(help="NAME=SECONDS of a phase before it.")] = None,
) -> None:
    """Show the images of a stack: names, sizes, versions, tests, and the lines for an HCloudMachineTemplate."""
    seconds = {name: float(value) for name, _, value in (item.partition("=") for item in phase or [])}
    if event_log and event_log.exists():
        seconds |= {f"  {name}": value for name, value in phase_seconds(event_log.read_text().splitlines()).items()}
    with _errors():
        show(Console(), load_images(stack), seconds)


@app.command()
def logs(
    image: Annotated[
        str, typer.Argument(help="A name, debian-13/1.36.4, or a version; without one all are listed.")
    ] = "",
    step: Annotated[str, typer.Argument(help="A step that failed, or one before it on the same server.")] = "",
    stack: Stack = "sandbox",
) -> None:
    """Show the log of an image's last build, or all that a step of it said, which is kept where a build failed."""
    with _errors():
        folder = LOGS / stack
        if image:
            typer.echo(find_log(folder, image, step).read_text(), nl=False)
        else:
            typer.echo("\n".join(builds_of(folder)) or "No build has a log yet.")


@app.command()
def artifacts(stack: Stack = "sandbox") -> None:
    """List the files that building a stack's images downloads: upstream's URLs, one a line."""
    with _errors():
        catalog = load_catalog()
        settings = load_settings(stack, catalog)
        for artifact in needed_artifacts(settings, catalog, load_lock()):
            typer.echo(artifact.url)


@app.command()
def render(  # noqa: PLR0913 - one per option
    form: Annotated[Form, typer.Argument(help="What to write.")],
    os: Annotated[str, typer.Option(help="An operating system of recipe/catalog.yaml.", autocompletion=system_names)],
    kubernetes: Annotated[str, typer.Option(help="A full Kubernetes version, such as 1.36.4.")],
    architecture: Annotated[Architecture, typer.Option(help="amd64 or arm64.")] = "amd64",
    stack: Annotated[
        str | None,
        typer.Option("--stack", "-s", help="Take the node's options from this stack file.", autocompletion=stack_names),
    ] = None,
    url: Annotated[str, typer.Option(help="For install-image: the directory that serves the tarball.")] = "",
    output: Annotated[
        Path | None, typer.Option("--output", "-o", parser=as_typed, metavar="FILE", help="Write to this file.")
    ] = None,
) -> None:
    """Write the recipe in another form, or what installs its tarball; docs/forms.md says what each is for."""
    with _errors():
        catalog = load_catalog()
        settings = load_settings(stack, catalog, syntax_error) if stack else None
        local_builds = bool(settings and settings.local_builds)
        if local_builds and not LOCAL_LOCK_FILE.exists():
            typer.secho(NOT_BUILT_YET, err=True, fg="yellow")
        lock = load_lock(local_builds=local_builds)
        text = render_form(Wanted(form, os, kubernetes, architecture, settings, url), catalog, lock)
        if warning := doubt(form, text):
            typer.secho(warning, err=True, fg="yellow")
        if output:
            output.write_text(text)
        else:
            typer.echo(text, nl=False)


@app.command()
def lock(
    versions: Annotated[list[str], typer.Argument(help="Full Kubernetes versions, such as 1.36.5.")],
    mirror: Annotated[str, typer.Option(help="Ask <mirror>/<host>/<path> instead of upstream.")] = "",
) -> None:
    """Add the sha256 of every file of a Kubernetes version to recipe/lock.yaml, as its publishers give it."""
    with _errors():
        catalog = load_catalog()
        known = load_lock()
        refuse_unserved(catalog, known, versions)
        add_to_lock(LOCK_FILE, known, published_files(catalog, known, versions), mirror.rstrip("/"), typer.echo)


@app.command()
def manifests(  # noqa: PLR0913 - one per option
    stack: Stack = "sandbox",
    exports: ExportsFile = None,
    form: Annotated[ManifestForm, typer.Option("--format", help="Manifests, or the names alone.")] = "yaml",
    os: Annotated[str, typer.Option(help="An operating system that the stack keeps images of.")] = "",
    kubernetes: Annotated[str, typer.Option(help="A full version, or a minor for its newest patch release.")] = "",
    cluster: Annotated[str, typer.Option(help="The cluster's name.")] = "example",
    namespace: Annotated[str, typer.Option(help="Where the cluster's objects are.")] = "default",
    control_plane: Annotated[
        str, typer.Option(help="TYPE or TYPE:REPLICAS: a server type, or bare-metal for dedicated servers.")
    ] = "",
    workers: Annotated[
        list[str] | None, typer.Option(help="NAME=TYPE or NAME=TYPE:REPLICAS, for each pool; TYPE as above.")
    ] = None,
    machine: Annotated[
        list[str] | None, typer.Option(help="POOL=FILE: more fields of a pool's machines, as YAML.")
    ] = None,
    url: Annotated[str, typer.Option(help="For bare-metal: the directory that serves the tarballs.")] = "",
    architecture: Annotated[Architecture, typer.Option(help="For bare-metal: amd64 or arm64.")] = "amd64",
    api: Annotated[ApiVersion, typer.Option(help="The version of Cluster API's own objects.")] = "v1beta2",
    new_cluster: Annotated[
        str, typer.Option(metavar="REGION", help="Also all else that a cluster needs that does not exist yet.")
    ] = "",
) -> None:
    """Write Cluster API manifests that boot machines from a stack's images, or the images' names for other tools."""
    with _errors():
        found = load_exports(stack, exports)
        match form:
            case "env" | "tfvars":
                text = render_names(found, form)
            case "yaml" | "json":
                first, others = parse_pools(control_plane, workers or [], machine or [], architecture)
                wanted = Cluster(cluster, others, first, namespace, api, url, new_cluster)
                text = render_manifests(found, wanted, os, kubernetes, form)
        typer.echo(text, nl=False)


@app.command()
def catalogue(
    stack: Stack = "sandbox",
    exports: ExportsFile = None,
    output: Annotated[
        Path, typer.Option("--output", "-o", parser=as_typed, metavar="DIRECTORY", help="The directory to write it to.")
    ] = DEFAULT_OUTPUT,
    stale: Annotated[
        int, typer.Option("--stale-days", help="Mark declared images whose packages are older than that.")
    ] = STALE_DAYS,
) -> None:
    """Write one static page of all images of a stack, with their bills of materials beside it."""
    with _errors():
        found = load_exports(stack, exports)
        live = None if exports else _live(stack)
        sboms = copy_sboms(found, ROOT, output)
        page = Page(stack, datetime.now(UTC), load_catalog(), live, sboms, stale)
        file = output / "index.html"
        file.write_text(render_page(cards(found, live, bills_folder(stack), output), page))
        typer.echo(file)


def _live(stack: str) -> Live | None:
    try:
        api = _api(stack)
        with api.in_words(of_lists=True):
            return ask(api.client)
    except (EngineError, ProblemsError, PricesError, CloudError) as error:
        typer.secho(f"without prices, and with servers as of the last up: {one_line(error)}", err=True, fg="yellow")
        return None


@app.command()
def new(
    name: Annotated[str, typer.Argument(help="What the stack is called, such as dev.")] = "",
    os: Annotated[
        list[str] | None,
        typer.Option(help="An operating system; several times for several.", autocompletion=system_names),
    ] = None,
    kubernetes: Annotated[list[str] | None, typer.Option(help="A full version; several times for several.")] = None,
    architecture: Annotated[list[str] | None, typer.Option(help="amd64 or arm64; twice for both.")] = None,
    location: Annotated[list[str] | None, typer.Option(help="Where to build, in order of preference.")] = None,
) -> None:
    """Write a stack file, from options or from answers: on a terminal, what no option says is asked."""
    with _errors():
        catalog, known = load_catalog(), load_lock()
        wanted = complete(
            NewStack(name, os or (), kubernetes or (), architecture or (), location or ()), catalog, known
        )
        file = stack_file(wanted.name)
        for warning in write_stack_file(file, wanted, catalog, known):
            typer.secho(f"warning: {warning}", err=True, fg="yellow")
        typer.echo(f"{file}\n{next_steps(wanted.name)}")


@app.command()
def sweep(
    stack: Stack = "sandbox",
    everything: Annotated[
        bool, typer.Option("--all", help="Also servers that the state knows of: those of an unfinished build.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Delete it.")] = False,
) -> None:
    """List what runs of this stack left behind and no state knows of, with its cost; delete it with --yes.

    Servers, their keys and firewalls, and unpublished snapshots. Published ones are never touched. Not while an `up` runs.
    """
    with _errors():
        api = _api(stack)
        known = None if everything else read_state(stack)
        with api.in_words():
            sweep_stack(api.client, stack, known, delete=yes, say=typer.echo)


@app.command()
def diff(
    before: Annotated[str, typer.Argument(metavar="A", help=IMAGE_HELP)],
    after: Annotated[str, typer.Argument(metavar="B", help="The image to hold against it, named in the same way.")],
    stack: Stack = "sandbox",
    exports: ExportsFile = None,
    form: Annotated[DiffForm, typer.Option("--format", help="For people, for a comment, or for programs.")] = "text",
) -> None:
    """Compare two images of a stack: components, recipe, packages, sizes and disks, and vulnerabilities where scanned."""
    with _errors():
        found = make_comparison(
            load_exports(stack, exports), before, after, f"stack {stack}", bills_folder(stack), DEFAULT_OUTPUT
        )
        match form:
            case "text":
                show_comparison(Console(), found)
            case "markdown":
                typer.echo(as_markdown(found), nl=False)
            case "json":
                typer.echo(as_json(found), nl=False)


@app.command()
def report(
    stack: Annotated[
        str | None,
        typer.Option("--stack", "-s", envvar="PULUMI_STACK", help="The environment.", autocompletion=stack_names),
    ] = None,
    preview: Annotated[
        Path | None,
        typer.Option(
            parser=as_typed,
            metavar="FILE",
            help="What `pulumi preview --json` wrote, - for standard input; by default one is made.",
        ),
    ] = None,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="Write a comment for a pull request.")] = False,
    snapshot_limit: Annotated[
        int, typer.Option(envvar="NODE_IMAGES_SNAPSHOT_LIMIT", help="Snapshots that the project may have.")
    ] = DEFAULT_SNAPSHOT_LIMIT,
    server_limit: Annotated[
        int | None, typer.Option(envvar="NODE_IMAGES_SERVER_LIMIT", help="Servers that the project may have.")
    ] = None,
) -> None:
    """Tell what an up would do to a stack's images, why, and what it costs. Fails where the preview finds errors."""
    with _errors():
        limits = Limits(snapshot_limit, server_limit)
        try:
            found = make_review(stack, preview, _api, limits, datetime.now(UTC).date())
        except (EngineError, ProblemsError) as error:
            if not as_markdown:
                raise
            found = failure(stack, error)
        if as_markdown:
            typer.echo(markdown(found), nl=False)
        else:
            show_report(Console(), found)
        if found.errors:
            raise typer.Exit(1)


@app.command()
def refresh(
    stack: Stack = "sandbox",
    as_of: Annotated[
        datetime | None, typer.Option(formats=["%Y-%m-%d"], help="The date to move asOf to; today by default.")
    ] = None,
) -> None:
    """Move a stack file's asOf to a date, and its Kubernetes versions to the newest patch releases of recipe/lock.yaml."""
    with _errors():
        refresh_stack_file(stack_file(stack), (as_of or datetime.now(UTC)).date(), typer.echo)


@app.command()
def scan(
    stack: Stack = "sandbox",
    scanner: Annotated[
        Scanner | None, typer.Option(help="Which one to ask; by default the first that is on PATH.")
    ] = None,
) -> None:
    """Have trivy or grype look for vulnerabilities in all images of a stack; diff and catalogue show what it found."""
    with _errors():
        folder = bills_folder(stack) / stack
        bills, found = bills_of(folder), find_scanner(scanner)
        forget_gone(folder)
        for bill, result in scan_bills(found, bills):
            typer.echo(f"{bill.name.removesuffix(BILL_SUFFIX)}: {counted(result.counts)} ({found})")


@app.command()
def completion(shell: Annotated[Shell, typer.Argument(help="The shell that completes.")]) -> None:
    """Print what has a shell complete commands, options, stacks and operating systems."""
    typer.echo(get_completion_script(prog_name="node-images", complete_var=COMPLETE_VARIABLE, shell=shell))


def _api(stack: str) -> Api:
    file = stack_file(stack)
    return Api.from_stack_file(read_config(file), environments_of(file))


@contextmanager
def _errors() -> Iterator[None]:
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError as error:
        leave_pipe()
        raise typer.Exit(1) from error
    except (
        ClusterError,
        ProblemsError,
        PricesError,
        EngineError,
        CloudError,
        OSError,
        json.JSONDecodeError,
    ) as error:
        typer.secho(f"node-images: {with_remedy(error)}", err=True, fg="red")
        raise typer.Exit(1) from error


arrange(app.registered_commands)
completion_init()

if __name__ == "__main__":
    app(prog_name="./node-images", complete_var=COMPLETE_VARIABLE)
