"""Command line of the artifact mirror: `python -m tools.mirror start|stop|status|ensure|serve`."""

import argparse
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from tools.mirror.daemon import HOME, Home
from tools.mirror.errors import MirrorError
from tools.mirror.fill import ensure, explain_os_error, megabytes
from tools.mirror.gobuild import FLAGS
from tools.mirror.progress import for_terminal, took
from tools.mirror.store import Store
from tools.mirror.sums import LOCAL_LOCK, LOCK
from tools.setup.layout import cache_root

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
        prog="python -m tools.mirror", description="Keep and serve the files that node images are made of."
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
    source = argparse.ArgumentParser(add_help=False)
    source.add_argument(
        "--lock", type=Path, default=LOCK, metavar="FILE", help="published sums (default: recipe/lock.yaml)"
    )
    source.add_argument("--upstream", metavar="URL", help="another mirror to ask instead of the publishing hosts")
    port = argparse.ArgumentParser(add_help=False)
    port.add_argument("--port", type=int, default=DEFAULT_PORT, help=f"port on 127.0.0.1 (default: {DEFAULT_PORT})")

    start = commands.add_parser("start", parents=[common, home, source, port], help="serve in the background")
    start.set_defaults(run=_start)
    stop = commands.add_parser("stop", parents=[common, home], help="stop the server")
    stop.set_defaults(run=_stop)
    status = commands.add_parser("status", parents=[common, home], help="tell whether it runs and what is kept")
    status.set_defaults(run=_status)
    serve = commands.add_parser("serve", parents=[common, home, source, port], help="serve in the foreground")
    serve.set_defaults(run=_serve)
    fill = commands.add_parser("ensure", parents=[common, source], help="make files present, building them if need be")
    fill.add_argument("urls", nargs="*", metavar="URL", help="upstream URL; '-' reads them from standard input")
    fill.add_argument(
        "--from", dest="lists", type=Path, action="append", default=[], metavar="FILE", help="file with one URL a line"
    )
    fill.add_argument(
        "--local-lock", type=Path, default=LOCAL_LOCK, metavar="FILE", help="where sums of built files go"
    )
    fill.set_defaults(run=_ensure)
    return parser


def _start(options: argparse.Namespace) -> None:
    home, url = Home(options.home), f"http://127.0.0.1:{options.port}"
    with home.starting():
        if not (running := home.running()):
            running = home.start(_serve_arguments(options))
        if options.port and running.url != url:
            raise MirrorError(f"the mirror of {home.path} already runs at {running.url}", "python -m tools.mirror stop")
    print(f"mirror runs at {running.url} (process {running.pid}, log {home.log})")


def _serve_arguments(options: argparse.Namespace) -> list[str]:
    paths = {name: getattr(options, name).absolute() for name in ("home", "cache", "lock")}
    upstream = [f"--upstream={options.upstream}"] if options.upstream else []
    return [f"--port={options.port}", *(f"--{name}={path}" for name, path in paths.items()), *upstream]


def _stop(options: argparse.Namespace) -> None:
    stopped = Home(options.home).stop()
    print(f"mirror stopped (process {stopped.pid})" if stopped else "mirror does not run")


def _status(options: argparse.Namespace) -> None:
    running, kept = Home(options.home).running(), Store(options.cache).all()
    print(f"mirror runs at {running.url} (process {running.pid})" if running else "mirror does not run")
    for artifact in kept:
        facts = ", ".join(f"{name} {value}" for name, value in artifact.facts.items() if name != FLAGS)
        print(f"{artifact.origin:8} {megabytes(artifact.size):>9}  {artifact.url}{f'  ({facts})' if facts else ''}")
    print(f"{len(kept)} files, {megabytes(sum(artifact.size for artifact in kept))} in {Store(options.cache).root}")


def _serve(options: argparse.Namespace) -> None:
    from tools.mirror.server import listen, serve  # noqa: PLC0415 (the web server is slow to import)

    with listen(options.port) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        with Home(options.home).claimed(url):
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


def _urls(options: argparse.Namespace) -> list[str]:
    texts = [path.read_text() for path in options.lists]
    texts += [sys.stdin.read() if url == "-" else url for url in options.urls]
    urls = [line.strip() for text in texts for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not urls:
        raise MirrorError("no URL given", "python -m tools.mirror ensure URL... | --from FILE | -")
    return urls


if __name__ == "__main__":
    sys.exit(main())
