"""Command line of the artifact mirror: `python -m mirror start|stop|status|ensure|images|serve`."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from mirror.daemon import HOME, Home
from mirror.errors import MirrorError
from mirror.fill import ensure, explain_os_error, megabytes
from mirror.gobuild import FLAGS
from mirror.images import KeptImage, ensure_images
from mirror.images.own_programs import REGISTRY
from mirror.images.parts import DEBIAN
from mirror.images.recipes import UPSTREAM
from mirror.images.registry import ADDRESS, RegistryKeeper, free_port
from mirror.images.store import ImageStore
from mirror.progress import for_terminal, took
from mirror.store import Store
from mirror.sums import LOCAL_LOCK, LOCK
from toolchain.layout import cache_root

DEFAULT_PORT = 8788


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit code."""
    options = _parser().parse_args(arguments)
    options.cache = options.cache or cache_root()
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        options.run(options)
    except MirrorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {explain_os_error(error, Store(options.cache))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; what is done stays done", file=sys.stderr)
        return 130
    return 0


def _interrupt(_number: int, _frame: object) -> NoReturn:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m mirror", description="Keep and serve the files that node images are made of."
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--cache", type=Path, metavar="DIR", help=f"cache shared by all clones (default: {cache_root()})"
    )
    home = argparse.ArgumentParser(add_help=False)
    home.add_argument(
        "--home",
        type=Path,
        default=HOME,
        metavar="DIR",
        help="folder of the pid file and log (default: .sandbox/mirror)",
    )
    lock = argparse.ArgumentParser(add_help=False)
    lock.add_argument(
        "--lock", type=Path, default=LOCK, metavar="FILE", help="published sums (default: recipe/lock.yaml)"
    )
    local = argparse.ArgumentParser(add_help=False)
    local.add_argument(
        "--local-lock", type=Path, default=LOCAL_LOCK, metavar="FILE", help="where sums of built files go"
    )
    source = argparse.ArgumentParser(add_help=False, parents=[lock])
    source.add_argument("--upstream", metavar="URL", help="another mirror to ask instead of the publishing hosts")
    port = argparse.ArgumentParser(add_help=False)
    port.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port on 127.0.0.1 (default: {DEFAULT_PORT})")
    port.add_argument(
        "--registry-port", type=int, help=f"port of the registry of images (default: the next, {DEFAULT_PORT + 1})"
    )

    start = commands.add_parser("start", parents=[common, home, source, port], help="serve in the background")
    start.set_defaults(run=_start)
    stop = commands.add_parser("stop", parents=[common, home], help="stop the server")
    stop.set_defaults(run=_stop)
    status = commands.add_parser("status", parents=[common, home], help="tell whether it runs and what is kept")
    status.set_defaults(run=_status)
    serve = commands.add_parser("serve", parents=[common, home, source, port], help="serve in the foreground")
    serve.set_defaults(run=_serve)
    fill = commands.add_parser(
        "ensure", parents=[common, source, local], help="make files present, building them if need be"
    )
    fill.add_argument("urls", nargs="*", metavar="URL", help="upstream URL; '-' reads them from standard input")
    fill.add_argument(
        "--from", dest="lists", type=Path, action="append", default=[], metavar="FILE", help="file with one URL a line"
    )
    fill.set_defaults(run=_ensure)
    images = commands.add_parser(
        "images", parents=[common, lock, local], help="make images of containers present, building them if need be"
    )
    images.add_argument(
        "names",
        nargs="+",
        metavar="VERSION|IMAGE",
        help="all images of a Kubernetes version, or one, such as pause:3.10.2",
    )
    images.add_argument(
        "--arch", dest="arches", action="append", choices=["amd64", "arm64"], help="architecture (default: amd64)"
    )
    images.add_argument(
        "--upstream", default=UPSTREAM, metavar="REGISTRY", help=f"registry to ask (default: {UPSTREAM})"
    )
    images.set_defaults(run=_images)
    return parser


def _start(options: argparse.Namespace) -> None:
    home, url = Home(options.home), f"http://{ADDRESS}:{options.port}"
    with home.starting():
        if not (running := home.running()):
            running = home.start(_serve_arguments(options))
        registry = f"http://{ADDRESS}:{_registry_port(options)}" if options.port else ""
        if (options.port and running.url != url) or (registry and running.registry != registry):
            runs = f"{running.url}, its registry at {running.registry}"
            raise MirrorError(f"the mirror of {home.path} already runs at {runs}", "python -m mirror stop")
    print(f"mirror runs at {running.url}, registry at {running.registry} (process {running.pid}, log {home.log})")
    if not REGISTRY.path(ImageStore(options.cache)).exists():
        print("  The registry starts when it has images: python -m mirror images VERSION makes them.")


def _serve_arguments(options: argparse.Namespace) -> list[str]:
    paths = {name: getattr(options, name).absolute() for name in ("home", "cache", "lock")}
    upstream = [f"--upstream={options.upstream}"] if options.upstream else []
    ports = [f"--port={options.port}", f"--registry-port={_registry_port(options)}"]
    return [*ports, *(f"--{name}={path}" for name, path in paths.items()), *upstream]


def _stop(options: argparse.Namespace) -> None:
    stopped = Home(options.home).stop()
    print(f"mirror stopped (process {stopped.pid})" if stopped else "mirror does not run")


def _registry_port(options: argparse.Namespace) -> int:
    """Return the registry's port: the one after the mirror's, unless it is said."""
    if options.registry_port is not None:
        return int(options.registry_port)
    return options.port + 1 if options.port else 0


def _status(options: argparse.Namespace) -> None:
    running, kept, images = Home(options.home).running(), Store(options.cache).all(), ImageStore(options.cache).all()
    print(f"mirror runs at {running.url} (process {running.pid})" if running else "mirror does not run")
    for artifact in kept:
        facts = ", ".join(f"{name} {value}" for name, value in artifact.facts.items() if name != FLAGS)
        print(f"{artifact.origin:8} {megabytes(artifact.size):>9}  {artifact.url}{f'  ({facts})' if facts else ''}")
    print(f"{len(kept)} files, {megabytes(sum(artifact.size for artifact in kept))} in {Store(options.cache).root}")
    if images:
        _status_of_images(images, ImageStore(options.cache).root, running.registry if running else "")


def _status_of_images(images: list[KeptImage], root: Path, url: str) -> None:
    print(f"registry runs at {url}" if url else "registry does not run")
    for kept in images:
        facts = ", ".join(f"{name} {value}" for name, value in kept.facts.items() if name != DEBIAN)
        print(f"{kept.origin:8} {megabytes(kept.size):>9}  {kept.name} {kept.arch}{f'  ({facts})' if facts else ''}")
    print(f"{len(images)} images, {megabytes(sum(kept.size for kept in images))} in {root}")


def _serve(options: argparse.Namespace) -> None:
    from mirror.server import listen, serve  # noqa: PLC0415 (the web server is slow to import)

    home = Home(options.home)
    with listen(options.port) as listener:
        url = f"http://{ADDRESS}:{listener.getsockname()[1]}"
        port = _registry_port(options) or free_port()
        with (
            home.claimed(url, f"http://{ADDRESS}:{port}"),
            RegistryKeeper(ImageStore(options.cache), port, home.path).running(),
        ):
            serve(listener, options.cache, options.lock, options.upstream)


def _ensure(options: argparse.Namespace) -> None:
    start = time.monotonic()
    urls = _urls(options)
    progress = for_terminal()
    present = ensure(
        urls,
        cache=options.cache,
        lock=options.lock,
        local_lock=options.local_lock,
        upstream=options.upstream,
        progress=progress,
    )
    built = sum(artifact.origin == "built" for artifact in present)
    size = megabytes(sum(artifact.size for artifact in present))
    print(f"{len(present)} files present ({built} built here), {size}, {took(start)}")


def _images(options: argparse.Namespace) -> None:
    start = time.monotonic()
    present = ensure_images(
        options.names,
        arches=options.arches or ["amd64"],
        cache=options.cache,
        lock=options.lock,
        local_lock=options.local_lock,
        upstream=options.upstream,
        progress=for_terminal(),
    )
    built = sum(kept.origin == "built" for kept in present)
    print(
        f"{len(present)} images present ({built} made here), {megabytes(sum(one.size for one in present))}, {took(start)}"
    )


def _urls(options: argparse.Namespace) -> list[str]:
    texts = [path.read_text() for path in options.lists]
    texts += [sys.stdin.read() if url == "-" else url for url in options.urls]
    urls = [line.strip() for text in texts for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not urls:
        raise MirrorError("no URL given", "python -m mirror ensure URL... | --from FILE | -")
    return urls


if __name__ == "__main__":
    sys.exit(main())
