"""Many servers of the kind `none` in one project: what a call costs beside one in a small project, and what the sandbox takes."""

import json
import re
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from benchmarks.measure import Measure
from sandbox.settings import TOKEN

SERVERS, FEW, CLIENTS, PER_PAGE = 10_000, 50, 50, 50
CALLS = 200
MATCHED = "place=a"
HEADERS = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}

Run = Callable[..., object]
Json = Any


class Client:
    """One connection, which stays as long as calls follow each other."""

    def __init__(self, port: int) -> None:
        self.connection = HTTPConnection("127.0.0.1", port, timeout=60)

    def call(self, method: str, path: str, content: object = None) -> Json:
        """The answer; an error where it is none of success."""
        self.connection.request(method, path, json.dumps(content) if content else None, HEADERS)
        answer = self.connection.getresponse()
        text = answer.read()
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {text.decode()}")
        return json.loads(text or b"{}")


def load(port: int, home: Path, start: Run, stop: Run) -> Iterator[Measure]:
    """`start` starts a sandbox of the kind `none` at `port` with its state in `home`, `stop` ends it."""
    start()
    numbers = count()
    fill(port, numbers, FEW)
    few_create, few_list, empty = created(Client(port), numbers), listed(Client(port)), memory(Client(port))
    began = time.monotonic()
    fill(port, numbers, SERVERS - 2 * CALLS - FEW)
    rate = (SERVERS - 2 * CALLS - FEW) / (time.monotonic() - began)
    many_create, many_list = created(Client(port), numbers), listed(Client(port))
    yield Measure(f"servers created in a second by {CLIENTS} clients at once, none failed", rate, "servers")
    yield from compared("server created", many_create, few_create)
    yield from compared(f"page of {PER_PAGE} servers by label", many_list, few_list)
    yield Measure("request after 25,000 others", asked(Client(port)), "ms")
    yield Measure(f"memory of the sandbox with {SERVERS} servers", memory(Client(port)), "MB", "with few", empty)
    yield Measure("state on disk", sum(file.stat().st_size for file in home.glob("state.db*")) / 1e6, "MB")
    yield Measure(f"stopped and started again with {SERVERS} servers", seconds_of(stop, start), "s")


def fill(port: int, numbers: Iterator[int], wanted: int) -> None:
    """Create servers by many clients at once; an error if one call fails."""
    names = [next(numbers) for _ in range(wanted)]

    def work(share: list[int]) -> None:
        client = Client(port)
        for number in share:
            client.call("POST", "/v1/servers", server(number))

    with ThreadPoolExecutor(CLIENTS) as pool:
        for done in [pool.submit(work, names[first::CLIENTS]) for first in range(CLIENTS)]:
            done.result()


def server(number: int) -> dict[str, object]:
    """Every second one matches the selector."""
    labels = {"place": "ab"[number % 2], "number": str(number)}
    return {"name": f"s{number}", "server_type": "cx23", "image": "debian-13", "labels": labels}


def created(client: Client, numbers: Iterator[int]) -> list[float]:
    """Milliseconds of each of some."""
    return [timed(lambda: client.call("POST", "/v1/servers", server(next(numbers)))) for _ in range(CALLS)]


def listed(client: Client) -> list[float]:
    """Milliseconds of each page of a list by label; from the first again until there are enough."""
    path = f"/v1/servers?label_selector={MATCHED}&per_page={PER_PAGE}&page="
    last = client.call("GET", f"{path}1")["meta"]["pagination"]["last_page"]
    return [timed(lambda page=page: client.call("GET", f"{path}{1 + page % last}")) for page in range(CALLS)]  # type: ignore[misc]


def asked(client: Client) -> float:
    """Milliseconds of a small call when the list of requests is as long as it gets."""
    for _ in range(25_000 - SERVERS):
        client.call("GET", "/v1/locations/1")
    return median(timed(lambda: client.call("GET", "/v1/locations/1")) for _ in range(CALLS))


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def compared(what: str, many: list[float], few: list[float]) -> Iterator[Measure]:
    """Median and the slowest hundredth."""
    yield Measure(f"{what}, {SERVERS} in the project", median(many), "ms", f"{FEW} in the project", median(few))
    yield Measure(
        f"{what}, slowest of a hundred", quantiles(many, n=100)[-1], "ms", "with few", quantiles(few, n=100)[-1]
    )


def memory(client: Client) -> float:
    """MB that the sandbox takes."""
    pid = client.call("GET", "/_sandbox/health")["pid"]
    found = re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1000 if found else 0.0


def seconds_of(*work: Run) -> float:
    """Of all of it."""
    began = time.monotonic()
    for step in work:
        step()
    return time.monotonic() - began
