"""Runs the engine for ./pulumiw: with a screen of ours where a person watches, a log of each build, and last words.

    python -m cli.run STACK COMMAND ENGINE WORD...

The engine is a child that gets each signal once, and ends when this process ends.
"""

import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Thread
from typing import IO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from cli.builds import LOGS, BuildLogs
from cli.ending import Run, ending, summary_line
from cli.engine import ROOT
from cli.progress import Follower, Progress
from cli.screen import Size, draw
from cli.words import leave_pipe

FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
REFRESH_SECONDS = 0.25
LONGEST_SPEECH_SECONDS = 5
TITLES = {"preview": "Looks at what would change in", "up": "Updates"}
SHOWN = {
    "--yes",
    "-y",
    "--skip-preview",
    "-f",
    "--stack",
    "-s",
    "--cwd",
    "-C",
    "--continue-on-error",
    "--suppress-outputs",
}
"""The options that our screen can stand for; with any other the engine's own is shown."""
OF_UP = {"--yes", "-y", "--skip-preview", "-f", "--continue-on-error", "--continue-on-error=true"}
OWN_WORDS = "NODE_IMAGES_OWN_WORDS"
"""Tells the program (components/environment.py) to leave the line about images to us."""
NODE_IMAGES = ROOT / "node-images"
MAY_LEAVE_SERVERS = {"up", "destroy"}
SAYS_YES = ("PULUMI_SKIP_CONFIRMATIONS", "PULUMI_OPTION_YES")


@dataclass(frozen=True)
class Request:
    """What a person typed: `words` are the engine's arguments."""

    stack: str
    command: str
    engine: str
    words: Sequence[str]

    def has(self, *options: str) -> bool:
        return any(word in options for word in self.words)

    @property
    def options(self) -> list[str]:
        return [word.partition("=")[0] for word in self.words if word.startswith("-")]

    @property
    def says_yes(self) -> bool:
        return self.has("--yes", "-y") or any(os.environ.get(name) in ("1", "true") for name in SAYS_YES)


def main(arguments: Sequence[str]) -> int:
    """Run the engine; return its exit code."""
    stack, command, engine, *words = arguments
    request = Request(stack, {"pre": "preview", "update": "up"}.get(command, command), engine, words)
    if is_watched(request):
        return Watched(request).run()
    return run_once(request, show_engine=True)


def is_watched(request: Request) -> bool:
    """Whether our screen is shown: a person sees it, nothing is asked but a yes, and no option wants another picture."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM") in (None, "", "dumb"):
        return False
    knows_passphrase = any(name in os.environ for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE"))
    return request.command in TITLES and set(request.options) <= SHOWN and knows_passphrase


class Watched:
    """`preview` and `up` with our screen. An `up` is a preview, a question and an update, each a run of the engine."""

    def __init__(self, request: Request) -> None:
        self.request = request

    def run(self) -> int:
        if self.request.command == "preview":
            return run_once(self.request, show_engine=False)
        if not self.request.has("--skip-preview", "-f"):
            words = [
                "preview" if word in ("up", "update") else word for word in self.request.words if word not in OF_UP
            ]
            looked = replace(self.request, command="preview", words=words)
            code = run_once(looked, show_engine=False, last=False)
            if code or not (self.request.says_yes or self._agreed(looked)):
                return code
        words = [word for word in self.request.words if word not in ("--yes", "-y", "--skip-preview", "-f")]
        return run_once(replace(self.request, words=[*words, "--yes", "--skip-preview"]), show_engine=False)

    def _agreed(self, looked: Request) -> bool:
        while True:
            try:
                answer = input("Make these changes? [yes/no/details] ").strip().lower()
            except (EOFError, KeyboardInterrupt):
                answer = "no"
            if answer != "details":
                break
            subprocess.run([looked.engine, *looked.words, "--diff"], check=False)
        if answer not in ("yes", "y"):
            print("\nNothing was changed.")
        return answer in ("yes", "y")


def run_once(request: Request, *, show_engine: bool, last: bool = True) -> int:
    """One run of the engine, with its last words, which are a line alone where it is not the `last` run and did not fail."""
    logs = BuildLogs(LOGS / request.stack, request.command)
    progress, follower = Progress(), Follower(logs.events)
    with _started(request, logs, show_engine=show_engine) as child:
        if show_engine:
            child.wait()
        else:
            _watch(request, child, progress, follower, logs)
    if child.interrupted and request.command in MAY_LEAVE_SERVERS and sys.stderr.isatty():
        _tell_what_is_left(request.stack)
    code = child.code
    for event in follower.new():
        progress.take(event)
    build_logs = logs.write(progress, made=code == 0 and request.command == "up")
    run = Run(
        request.command,
        request.stack,
        code,
        logs.shown(logs.text),
        child.said,
        [logs.shown(path) for path in build_logs],
    )
    lines = [summary_line(run.stack, progress.document())] if not code and not last else ending(run, progress)
    _print([*progress.remarks, *lines] if not show_engine else ["", *lines])
    return code


def _tell_what_is_left(stack: str) -> None:
    """Whether a step ends at Ctrl-C is up to the plugin that runs it: after one that ends well nothing clears up."""
    sweep = ["./node-images", "sweep", "--all", "--stack", stack]
    print(f"\nInterrupted. What runs of stack {stack} left behind:", file=sys.stderr, flush=True)
    if subprocess.run([NODE_IMAGES, *sweep[1:]], stdout=sys.stderr, check=False).returncode:
        later = f"Later {' '.join(sweep)} shows it, and what it costs; with --yes it deletes it."
        print(f"That is not known now. {later}", file=sys.stderr, flush=True)


def _print(lines: Sequence[str]) -> None:
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    try:
        print("\n".join(wrapped(line, width) for text in lines for line in text.split("\n")), flush=True)
    except BrokenPipeError:
        leave_pipe()


def wrapped(line: str, width: int) -> str:
    """A line of words in as many lines as it takes on a terminal; what is indented, such as output, stays as it is."""
    if not width or len(line) <= width or line.startswith(" "):
        return line
    return textwrap.fill(line, width, subsequent_indent="    ", break_long_words=False, break_on_hyphens=False)


def _watch(request: Request, child: "Child", progress: Progress, follower: Follower, logs: BuildLogs) -> None:
    console = Console()
    title = f"{TITLES[request.command]} {request.stack}"
    with Live(console=console, transient=True, auto_refresh=False) as live:
        while child.works():
            for event in follower.new():
                progress.take(event)
            size = Size(console.width, console.height)
            live.update(Text("\n".join(draw(title, progress, time.time(), size, logs.times))), refresh=True)
            time.sleep(REFRESH_SECONDS)


class Child:
    """The engine at work. What it says goes to the log and, unless our screen is there, on."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, *, show: bool) -> None:
        self.process, self.said, self.code = process, "", 0
        self.interrupted = False
        self._log, self._show = log.open("ab"), show
        streams = ((process.stdout, sys.stdout, False), (process.stderr, sys.stderr, True))
        self._threads = [Thread(target=self._pass_on, args=item, daemon=True) for item in streams if item[0]]
        for thread in self._threads:
            thread.start()

    def works(self) -> bool:
        return self.process.poll() is None

    def take_signal(self, number: int, _frame: object) -> None:
        """Pass a signal on."""
        self.note_signal(number, _frame)
        self.process.send_signal(number)

    def note_signal(self, number: int, _frame: object) -> None:
        """Take note of one that the engine has got by itself."""
        self.interrupted = self.interrupted or number == signal.SIGINT

    def wait(self) -> None:
        self.process.wait()

    def end(self) -> None:
        """Take note of its end."""
        code = self.process.wait()
        for thread in self._threads:
            # Something that the engine started may outlive it, with its output.
            thread.join(LONGEST_SPEECH_SECONDS)
        self._log.close()
        self.code = 128 - code if code < 0 else code

    def _pass_on(self, source: IO[bytes], target: IO[str], is_error: bool) -> None:
        show = self._show
        for line in source:
            with suppress(ValueError):
                self._log.write(line)
                self._log.flush()
            self.said += line.decode(errors="replace") if is_error else ""
            if show:
                try:
                    target.buffer.write(line)  # type: ignore[attr-defined]
                    target.flush()
                except (BrokenPipeError, ValueError):
                    show = False


@contextmanager
def _started(request: Request, logs: BuildLogs, *, show_engine: bool) -> Iterator[Child]:
    """The engine, which gets each signal once: from us, or, where it shows itself on the terminal, a Ctrl-C from there."""
    owns_terminal = show_engine and sys.stdin.isatty() and sys.stdout.isatty()
    command = [*_until_we_end(), request.engine, *request.words, "--event-log", str(logs.events)]
    if not request.has("--suppress-outputs"):
        command.append("--suppress-outputs")
    process = subprocess.Popen(
        command,
        stdin=None if owns_terminal or not sys.stdin.isatty() else subprocess.DEVNULL,
        stdout=None if owns_terminal else subprocess.PIPE,
        stderr=None if owns_terminal else subprocess.PIPE,
        env=_environment(),
        process_group=None if owns_terminal else 0,
    )
    child = Child(process, logs.text, show=show_engine)
    before = {number: signal.signal(number, child.take_signal) for number in FORWARDED}
    if owns_terminal:
        signal.signal(signal.SIGINT, child.note_signal)
    try:
        yield child
    finally:
        child.end()
        for number, handler in before.items():
            signal.signal(number, handler)


def _until_we_end() -> list[str]:
    """What has the kernel end the engine with us, also after kill -9."""
    return ["setpriv", "--pdeathsig", "KILL"] if shutil.which("setpriv") else []


def _environment() -> dict[str, str]:
    """`--event-log` is an option for those who debug; the path is ours, not the program's."""
    path = os.environ.get("PYTHONPATH", "").removeprefix(str(ROOT)).lstrip(":")
    mine = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {**mine, **({"PYTHONPATH": path} if path else {}), "PULUMI_DEBUG_COMMANDS": "true", OWN_WORDS: "true"}


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
