"""The last lines of a run: what failed, why, what became of it, what to type next; or what was done."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from cli.outlook import outlook
from cli.progress import Progress, failed_step_of
from cli.screen import clock
from recipe.problems import ProblemsError

LONGEST_TAIL = 12


@dataclass(frozen=True)
class Run:
    """A run of the engine. `command` is its first word; `said` is the engine's standard error, for what is in no event."""

    command: str
    stack: str
    code: int
    log: str
    said: str = ""
    build_logs: Sequence[str] = ()


def ending(run: Run, progress: Progress) -> list[str]:
    """What stands last on the screen."""
    return list(_failed(run, progress) if run.code else _done(run, progress))


def summary_line(stack: str, document: Mapping[str, object]) -> str:
    """Such as `sandbox: 1 image added (debian-13/1.36.3 is new), 1 kept, nothing deleted`."""
    try:
        return f"{stack}: {outlook(document)}"
    except ProblemsError:
        return f"{stack}: done"


def _done(run: Run, progress: Progress) -> Iterator[str]:
    took = clock(progress.now - progress.began)
    match run.command:
        case "preview":
            yield summary_line(run.stack, progress.document())
            yield f"Next:  ./pulumiw up --stack {run.stack}    (./node-images report says more)"
        case "up":
            yield f"{summary_line(run.stack, progress.document())}  ({took})"
            yield from _logs(run)
            yield f"Next:  ./node-images summary --stack {run.stack}"
        case _:
            yield f"{run.stack}: {run.command} is done  ({took})"


def _failed(run: Run, progress: Progress) -> Iterator[str]:
    yield f"{run.stack}: {run.command} failed"
    texts = progress.errors or [_tail(run.said)]
    for text in texts:
        yield ""
        yield text
    yield ""
    yield from _logs(run)
    step = failed_step_of(progress)
    if step:
        yield f"Next:  ./node-images logs {step[0]} {step[1]} --stack {run.stack}"
        yield f"       ./pulumiw up --stack {run.stack}"
    else:
        stopped = any("was interrupted" in text for text in texts)
        yield f"Next:  ./pulumiw {run.command} --stack {run.stack}{'' if stopped else '    (once it is mended)'}"


def _logs(run: Run) -> Iterator[str]:
    if len(run.build_logs) == 1:
        yield f"Log:   {run.build_logs[0]}"
    elif run.build_logs:
        yield f"Logs:  ./node-images logs --stack {run.stack} lists those of {len(run.build_logs)} builds"
    else:
        yield f"Log:   {run.log}"


def _tail(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip()]
    return "\n".join(lines[-LONGEST_TAIL:]).removeprefix("error: ") or "the engine said nothing"
