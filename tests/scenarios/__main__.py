"""`make soak`: run all scenarios, with a line for each; goes on where it stopped. Then write docs/soak.md anew."""

import argparse
import json
import re
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.scenarios.acts import act
from tests.scenarios.catalogue import Recording, all_scenarios, recording
from tests.scenarios.report import DOCUMENT, document, totals
from tests.scenarios.run import Outcome, run
from tests.scenarios.scenario import Scenario
from tests.scenarios.world import World, a_world

RESULTS = Path(".soak/results.jsonl")
REPORT = Path(".soak/report.json")


def record(world: World) -> Recording:
    """From one clean run."""
    world.reset()
    clean = world.up()
    assert clean.code == 0, clean.text
    return recording(world.requests(), clean.boundaries, world.control("GET", "/faults/kinds")["kinds"])


def outcomes(file: Path = RESULTS) -> dict[str, Outcome]:
    """What is known so far, the last one of each name."""
    lines = file.read_text().splitlines() if file.exists() else []
    found = [Outcome(**json.loads(line)) for line in lines]
    return {item.name: item for item in found}


def run_all(
    worlds: Sequence[World], scenarios: Sequence[Scenario], tell: Callable[[Outcome], None], until: float
) -> None:
    """A thread for each world; all take from one queue, until it is empty or the time is over."""
    queue: SimpleQueue[Scenario] = SimpleQueue()
    for scenario in scenarios:
        queue.put(scenario)
    lock, over = threading.Lock(), threading.Event()

    def work(world: World) -> None:
        while time.monotonic() < until and not over.is_set():
            try:
                scenario = queue.get_nowait()
            except Empty:
                return
            outcome = run(world, scenario)
            with lock:
                tell(outcome)

    with ThreadPoolExecutor(len(worlds)) as pool:
        try:
            for done in [pool.submit(work, world) for world in worlds]:
                done.result()
        finally:
            over.set()


def tell(outcome: Outcome) -> None:
    """A line to read, and one to keep."""
    print(f"{'BROKE' if outcome.problems else 'ok   '} {outcome.seconds:5.1f} s  {outcome.name}", flush=True)
    for problem in outcome.problems:
        print("      " + problem.replace("\n", "\n      "), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    with RESULTS.open("a") as file:
        file.write(json.dumps(asdict(outcome)) + "\n")


def write_report(scenarios: Sequence[Scenario], seed: int) -> None:
    """As JSON and as the page of the docs."""
    planned = {scenario.name for scenario in scenarios}
    known = [item for name, item in outcomes().items() if name in planned]
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text(
        json.dumps({"seed": seed, "groups": totals(known), "broken": [asdict(i) for i in known if i.problems]})
    )
    DOCUMENT.write_text(document(known, Counter(item.group for item in scenarios), seed))


def main() -> int:
    """The command; exit status 1 when something is not survived."""
    parser = argparse.ArgumentParser(prog="python -m tests.scenarios", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="draws the order, the mixes and the times of kills (1)")
    parser.add_argument("--only", default="", help="only scenarios whose names this regular expression finds")
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin none after that time")
    parser.add_argument("--workers", type=int, default=2, help="sandboxes at a time (2)")
    parser.add_argument("--again", action="store_true", help="also those that were survived before")
    parser.add_argument("--list", action="store_true", help="name them and run none")
    options = parser.parse_args()
    for ending in (
        signal.SIGINT,
        signal.SIGTERM,
    ):  # also in the background, where Ctrl-C is ignored: sandboxes must end with us
        signal.signal(ending, signal.default_int_handler)
    until = time.monotonic() + options.minutes * 60
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="soak-")))
        worlds = [stack.enter_context(a_world(folder / f"world-{number}", act)) for number in range(options.workers)]
        seen = record(worlds[0])
        for world in worlds:
            world.builder = seen.builder
        known = {} if options.again else outcomes()
        scenarios = all_scenarios(seen, options.seed)
        wanted = [item for item in scenarios if re.search(options.only, item.name)]
        left = [item for item in wanted if item.name not in known or known[item.name].problems]
        print(f"{len(wanted)} scenarios, {len(wanted) - len(left)} of them survived before", flush=True)
        if options.list:
            print("\n".join(item.name for item in wanted))
            return 0
        run_all(worlds, left, tell, until)
    write_report(scenarios, options.seed)
    return 1 if any(item.problems for item in outcomes().values()) else 0


if __name__ == "__main__":
    sys.exit(main())
