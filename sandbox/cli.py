"""The commands of ``python -m sandbox``."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from sandbox import daemon
from sandbox.errors import SandboxError
from sandbox.machines.base_images import BASE_IMAGES
from sandbox.resources.conditions import Conditions
from sandbox.resources.labels import parse_selector
from sandbox.settings import (
    BOOTED,
    DEFAULT_PORT,
    DEFAULT_SSH_PORT,
    TOKEN,
    Architecture,
    Home,
    MachineKind,
    Settings,
    Speed,
    cache_root,
    default_home,
)

app = typer.Typer(
    help="Hetzner Cloud on one machine: its API, with real machines behind it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)

tokens = typer.Typer(help="Tokens, each for a project of its own or one that several share.", no_args_is_help=True)
app.add_typer(tokens, name="token")

PROGRESS_STEP = 10  # percent
MACHINES_VARIABLE, FROM_SNAPSHOT_VARIABLE, VM_FOR_VARIABLE, EMULATE_VARIABLE = CHOSEN = (
    "SANDBOX_MACHINES",
    "SANDBOX_FROM_SNAPSHOT",
    "SANDBOX_VM_FOR",
    "SANDBOX_EMULATE",
)

Port = Annotated[int, typer.Option(help="Port of the API, on 127.0.0.1.")]
SshPort = Annotated[int, typer.Option(help="Port of the machines' sshd, each on an address of its own.")]
Machines = Annotated[
    MachineKind,
    typer.Option(
        envvar=MACHINES_VARIABLE,
        help="vm: machines with a kernel of their own. real: booted containers. light: sshd only. All three need root. "
        "instant: SSH answers from a script. none.",
    ),
]
FromSnapshot = Annotated[
    MachineKind | None,
    typer.Option(
        envvar=FROM_SNAPSHOT_VARIABLE,
        help="vm: servers made from snapshots get a kernel of their own, whatever --machines says.",
    ),
]
VmFor = Annotated[
    str, typer.Option(envvar=VM_FOR_VARIABLE, help="Label selector: servers that it matches are of the kind vm.")
]
Emulate = Annotated[
    Architecture | None,
    typer.Option(
        envvar=EMULATE_VARIABLE,
        help="Servers of this architecture are emulated, though the host's is another. Not seen to boot yet.",
    ),
]
SpeedOption = Annotated[Speed, typer.Option(help="instant, or realistic: actions take as long as at Hetzner.")]
ConditionsOption = Annotated[
    str | None,
    typer.Option(help="""Quotas, capacity, rate limit, prices as JSON, for example {"quotas": {"servers": 5}}."""),
]


KnownTokens = Annotated[
    bool, typer.Option("--known-tokens", help="Only tokens made by `token create`, and that of `env`; others get 401.")
]


@contextmanager
def friendly() -> Iterator[None]:
    """A problem that the user can mend is told in words, with exit status 1."""
    try:
        yield
    except SandboxError as error:
        typer.secho(f"error: {error}", err=True, fg="red")
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


@app.callback()
def common(
    context: typer.Context,
    home: Annotated[
        Path | None, typer.Option(help="State directory [default: $SANDBOX_HOME or .sandbox in the checkout]")
    ] = None,
) -> None:
    """Take the options that stand before the command."""
    context.obj = Home(home or default_home())


@app.command()
def start(  # noqa: PLR0913 - one per option
    context: typer.Context,
    port: Port = DEFAULT_PORT,
    ssh_port: SshPort = DEFAULT_SSH_PORT,
    machines: Machines = MachineKind.real,
    from_snapshot: FromSnapshot = None,
    vm_for: VmFor = "",
    emulate: Emulate = None,
    speed: SpeedOption = Speed.instant,
    conditions: ConditionsOption = None,
    known_tokens: KnownTokens = False,
    prepare: Annotated[
        list[str] | None, typer.Option(help="Have this base image made now, for example debian-13.")
    ] = None,
) -> None:
    """Start it in the background; nothing happens when it runs already."""
    home: Home = context.obj
    with friendly():
        given = parse_conditions(conditions)
        settings = checked(
            Settings(
                port=port,
                ssh_port=ssh_port,
                machines=machines,
                from_snapshot=from_snapshot,
                vm_for=vm_for,
                emulate=emulate,
                speed=speed,
                conditions=given,
                known_tokens=known_tokens,
            )
        )
        check_names(prepare or [])
        if machines.hosted:
            become_root()
        started = daemon.start(home, settings, typer.echo)
        typer.echo(f"sandbox: {started.settings.api_url} (machines: {started.settings.machines}, state: {home.path})")
        for name in prepare or []:
            prepare_image(started.settings, name)


def parse_conditions(text: str | None) -> Conditions | None:
    """The value of --conditions."""
    try:
        return Conditions.model_validate_json(text) if text else None
    except ValueError as error:
        raise SandboxError(f"--conditions: {error}", "see sandbox/README.md for what it may contain") from error


def checked(settings: Settings) -> Settings:
    """Kinds that can stand beside each other, what they can emulate, and a label selector that can be read."""
    if settings.from_snapshot not in (None, MachineKind.vm, settings.machines):
        message = f"--from-snapshot {settings.from_snapshot}: beside other machines there is only vm"
        raise SandboxError(message, "leave it out, or write vm")
    if settings.kinds != {settings.machines} and not settings.machines.hosted:
        raise SandboxError(
            f"vm beside --machines {settings.machines}: they have no disks to boot from", "use light or real"
        )
    if settings.emulate and settings.machines not in BOOTED:
        raise SandboxError(
            f"--emulate {settings.emulate}: {settings.machines} machines run no programs of it", "use real or vm"
        )
    try:
        parse_selector(settings.vm_for)
    except ValueError as error:
        raise SandboxError(f"--vm-for: {error}", "write it like role=verifier") from error
    return settings


def check_names(names: list[str]) -> None:
    """Before anything is started."""
    for name in names:
        if name not in BASE_IMAGES:
            raise SandboxError(f"--prepare {name}: no such base image", f"one of: {', '.join(BASE_IMAGES)}")


def prepare_image(settings: Settings, name: str) -> None:
    """Wait for a base image, showing progress."""
    number = daemon.ask(settings, "POST", f"/base_images/{name}")["action"]
    shown = -PROGRESS_STEP
    while (state := daemon.ask(settings, "GET", f"/preparations/{number}"))["status"] == "running":
        if state["progress"] >= shown + PROGRESS_STEP:
            shown = state["progress"]
            typer.echo(f"{name}: {shown} %")
        time.sleep(0.2)
    if state["status"] == "error":
        raise SandboxError(state["error"])
    typer.echo(f"{name}: ready")


@app.command()
def serve(  # noqa: PLR0913 - one per option
    context: typer.Context,
    port: Port = DEFAULT_PORT,
    ssh_port: SshPort = DEFAULT_SSH_PORT,
    machines: Machines = MachineKind.real,
    from_snapshot: FromSnapshot = None,
    vm_for: VmFor = "",
    emulate: Emulate = None,
    speed: SpeedOption = Speed.instant,
    conditions: ConditionsOption = None,
    known_tokens: KnownTokens = False,
) -> None:
    """Run in the foreground, until Ctrl-C (what `start` runs in the background)."""
    from sandbox.serve import serve as run  # noqa: PLC0415 - slow to load, and only this command needs it

    with friendly():
        given = parse_conditions(conditions)
        settings = Settings(
            port=port,
            ssh_port=ssh_port,
            machines=machines,
            from_snapshot=from_snapshot,
            vm_for=vm_for,
            emulate=emulate,
            speed=speed,
            conditions=given,
            known_tokens=known_tokens,
        )
        run(context.obj, checked(settings))


@app.command()
def stop(context: typer.Context) -> None:
    """Shut the machines down and end the sandbox; those that ran boot again at the next start."""
    with friendly():
        become_owner(context.obj)
        typer.echo("stopped" if daemon.stop(context.obj, typer.echo) else "not running")


@app.command()
def reset(context: typer.Context) -> None:
    """End it at once and delete all machines, snapshots and keys. Base images stay cached."""
    with friendly():
        become_owner(context.obj)
        daemon.reset(context.obj, typer.echo)
        typer.echo("reset: it is stopped, and nothing is left but the cached base images")


@app.command()
def env(context: typer.Context) -> None:
    """Print the lines that point hcloud clients at the sandbox: eval "$(python -m sandbox env)"."""
    known = daemon.recorded(context.obj)
    settings = known.settings if known else Settings()
    typer.echo(f"export HCLOUD_ENDPOINT={settings.api_url}\nexport HCLOUD_TOKEN={TOKEN}")


@tokens.command("create")
def create_token(
    context: typer.Context,
    project: Annotated[str, typer.Option(help="Lower-case letters, digits, dashes; made when it is not there.")],
    read_only: Annotated[bool, typer.Option("--read-only", help="It may list and get; all else is 403.")] = False,
) -> None:
    """Print a new token, for HCLOUD_TOKEN. It is told only now."""
    with friendly():
        answer = daemon.ask(here(context.obj), "POST", "/tokens", project=project, read_only=read_only)
        typer.echo(answer["token"])


@tokens.command("list")
def list_tokens(context: typer.Context) -> None:
    """Show ids, projects and what tokens may do; not the tokens themselves."""
    with friendly():
        for token in daemon.ask(here(context.obj), "GET", "/tokens")["tokens"]:
            may = "reads" if token["read_only"] else "reads and writes"
            typer.echo(f"token {token['id']}: {may}, project {token['project']}, made {token['created'][:10]}")


@tokens.command("delete")
def delete_token(
    context: typer.Context, number: Annotated[int, typer.Argument(help="As `token list` shows it.")]
) -> None:
    """Withdraw a token: from now on it gets 401. Its project stays."""
    with friendly():
        daemon.ask(here(context.obj), "DELETE", f"/tokens/{number}")
        typer.echo(f"token {number}: deleted")


def here(home: Home) -> Settings:
    """Of the sandbox that runs."""
    running = daemon.running(home)
    if running is None:
        raise SandboxError(f"no sandbox runs here (state: {home.path})", "start it first")
    return running.settings


@app.command()
def status(context: typer.Context) -> None:
    """Show servers, images, addresses, processes and disk use. Exit status 3 when it does not run."""
    home: Home = context.obj
    with friendly():
        running = daemon.running(home)
        if running is None:
            typer.echo(f"not running (state: {home.path})")
            raise typer.Exit(3)
        settings = running.settings
        typer.echo(
            f"sandbox: {settings.api_url} (pid {running.process.pid}, machines: {settings.machines}, state: {home.path})"
        )
        show(daemon.ask(settings, "GET", "/facts"))
        typer.echo(
            f"disk use: {disk_use(home.path)} here, {disk_use(cache_root() / 'base-images')} of cached base images"
        )


def show(facts: dict[str, Any]) -> None:
    """Facts of the control plane, a line each."""
    for server in facts["servers"]:
        pid = f"pid {server['pid']}" if server["pid"] else "no process"
        pid += f" ({server['accelerator']})" if server["accelerator"] else ""
        typer.echo(
            f"server {server['id']} {server['name']}: {server['status']}, {server['address']}, {server['image']}, {pid}"
            + (f", project {server['project']}" if server["project"] else "")
        )
    for image in facts["snapshots"]:
        size = f"{image['size']} GB" if image["size"] else "no size yet"
        typer.echo(f"snapshot {image['id']} {image['description']}: {image['status']}, {size}")
    for base in facts["base_images"]:
        typer.echo(f"base image {base['name']}: {base['state']}")
    for action in facts["actions"]:
        typer.echo(f"action {action['id']} {action['command']}: {action['progress']} %")


def disk_use(path: Path) -> str:
    """Like ``700M``; ``?`` for what is not there or not ours to see."""
    found = subprocess.run(["du", "-sh", str(path)], capture_output=True, text=True, check=False)
    return found.stdout.split()[0] if found.returncode == 0 else "?"


def become_root() -> None:
    """Go on as root by sudo, where that works without asking, or where there is someone to ask."""
    if os.geteuid() == 0 or not shutil.which("sudo"):
        return
    quiet = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False).returncode == 0
    if quiet or sys.stdin.isatty():
        package_parent = str(Path(__file__).resolve().parent.parent)
        kept = [f"NODE_IMAGES_CACHE={cache_root()}", f"SANDBOX_HOME={default_home()}", f"PYTHONPATH={package_parent}"]
        kept += [f"{name}={os.environ[name]}" for name in CHOSEN if name in os.environ]
        command = ["sudo", "env", *kept, sys.executable, "-m", "sandbox", *sys.argv[1:]]
        os.execvp("sudo", command)  # noqa: S606 - no shell is wanted


def become_owner(home: Home) -> None:
    """A sandbox that was started as root is stopped as root."""
    if home.path.exists() and home.path.stat().st_uid != os.geteuid():
        become_root()
        if os.geteuid() != 0:
            raise SandboxError(f"{home.path} belongs to another user", "run this as root")


def main() -> None:
    """Entry point."""
    app()
