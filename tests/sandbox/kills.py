"""`python -m tests.sandbox.kills`: kill -9 beside busy clients, at random moments, and look at what is there afterwards.

What was answered must be there: every accepted creation (or its action ended in an error), the last accepted change, nothing that
was deleted. Whatever image is listed must be whole: a server can be made from it.
"""

from __future__ import annotations

import argparse
import base64
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.sandbox.conftest import TOKEN, Sandbox, free_port, wait_for

KINDS = {"servers": "server", "ssh_keys": "ssh_key", "firewalls": "firewall", "images": "image"}
MOST = 6  # of each kind and client; then some go first
BUSY_SECONDS = 1.0
CLIENTS = 3
NO_ANSWER = 120

Body = dict[str, Any]


@dataclass
class Thing:
    """What a client was told of one resource; ``asked`` and ``asked_to_delete`` are calls that were not answered."""

    kind: str
    id: int
    labels: dict[str, str]
    action: int | None = None  # that makes it
    asked: dict[str, str] | None = None
    asked_to_delete: bool = False
    deleted: bool = False

    @property
    def path(self) -> str:
        return f"/{self.kind}/{self.id}"


@dataclass
class Client:
    """Acts at random until the sandbox is gone."""

    name: str
    http: httpx.Client
    random: random.Random
    things: list[Thing] = field(default_factory=list)
    gone: list[Thing] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    made: int = 0
    answered: int = 0

    def work(self) -> None:
        with suppress(httpx.TransportError):  # killed
            while True:
                self.act()

    def act(self) -> None:
        """One call, its effect noted before and after."""
        kind = self.random.choice(list(KINDS))
        mine = [thing for thing in self.things if thing.kind == kind]
        if not mine or (len(mine) < MOST and self.random.random() < 0.5):
            self.create(kind)
        elif self.random.random() < 0.5:
            self.change(self.random.choice(mine))
        else:
            self.delete(self.random.choice(mine))

    def call(self, method: str, path: str, body: Body | None = None) -> httpx.Response:
        answer = self.http.request(method, path, json=body)
        self.answered += 1
        if answer.status_code >= 500:
            self.trouble.append(f"{method} {path}: {answer.text}")
        return answer

    def create(self, kind: str) -> None:
        self.made += 1
        name = f"{self.name}-{self.made}"
        path, body = f"/{kind}", BODIES.get(kind, {}) | {"name": name, "labels": {"made": name}}
        if kind == "ssh_keys":
            body |= {"public_key": public_key(self.random)}
        if kind == "images":
            servers = [thing for thing in self.things if thing.kind == "servers"]
            if not servers:
                return
            path = f"{self.random.choice(servers).path}/actions/create_image"
        answer = self.call("POST", path, body)
        if answer.is_success:
            content = answer.json()
            action = content.get("action", {}).get("id")
            self.things.append(Thing(kind, content[KINDS[kind]]["id"], body["labels"], action))

    def change(self, thing: Thing) -> None:
        thing.asked = {"changed": str(self.random.randrange(10**9))}
        if self.call("PUT", thing.path, {"labels": thing.asked}).is_success:
            thing.labels = thing.asked
        thing.asked = None

    def delete(self, thing: Thing) -> None:
        thing.asked_to_delete = True
        thing.deleted = self.call("DELETE", thing.path).is_success
        thing.asked_to_delete = False
        if thing.deleted:
            self.things.remove(thing)
            self.gone.append(thing)


BODIES: dict[str, Body] = {"servers": {"server_type": "cx23", "image": "debian-13"}}


def public_key(source: random.Random) -> str:
    """One that nobody has the private half of."""
    kind = b"ssh-ed25519"
    blob = len(kind).to_bytes(4, "big") + kind + (32).to_bytes(4, "big") + source.randbytes(32)
    return f"{kind.decode()} {base64.b64encode(blob).decode()}"


def problems(client: Client) -> Iterator[str]:
    """What is not as its client was told, after the sandbox came up again. From then on the client knows what is."""
    yield from client.trouble
    client.trouble.clear()
    for thing in list(client.things):
        answer = client.http.get(thing.path)
        if answer.status_code == 404:
            client.things.remove(thing)
            if not (thing.asked_to_delete or failed(client, thing.action)):
                yield f"{thing.path} was accepted and is gone"
        elif (labels := answer.json()[KINDS[thing.kind]]["labels"]) not in (thing.labels, thing.asked):
            yield f"{thing.path} has the labels {labels} instead of {thing.labels}"
        else:
            thing.labels, thing.asked, thing.asked_to_delete = labels, None, False
    for thing in client.gone:
        if client.http.get(thing.path).status_code != 404:
            yield f"{thing.path} was deleted and is back"
    client.gone.clear()


def failed(client: Client, action: int | None) -> bool:
    """Whether an action told that its resource was not made."""
    return action is not None and failed_now(client.http, action)


def half_made(http: httpx.Client) -> Iterator[str]:
    """Images that are listed, and of which no server can be made."""
    for image in http.get("/images?type=snapshot&per_page=50").json()["images"]:
        if image["status"] != "available" or not image["image_size"]:
            yield f"/images/{image['id']} is listed half made: {image['status']}"
            continue
        made = http.post(
            "/servers", json=BODIES["servers"] | {"name": f"of-{image['id']}", "image": image["id"]}
        ).json()
        wait_for(partial(ended, http, made["action"]["id"]), NO_ANSWER)
        if failed_now(http, made["action"]["id"]):
            yield f"/images/{image['id']} is listed, and no server can be made of it"
        else:
            wait_for(partial(deleted, http, made["server"]["id"]), NO_ANSWER)


def failed_now(http: httpx.Client, action: int) -> bool:
    return bool(http.get(f"/actions/{action}").json()["action"]["status"] == "error")


def ended(http: httpx.Client, action: int) -> bool:
    return bool(http.get(f"/actions/{action}").json()["action"]["status"] != "running")


def deleted(http: httpx.Client, server: int) -> bool:
    return http.delete(f"/servers/{server}").status_code in (200, 404)


def busy(clients: Iterable[Client], kill: Callable[[], None], seconds: float) -> None:
    """Have all of them work, and kill after that time."""
    threads = [threading.Thread(target=client.work) for client in clients]
    for thread in threads:
        thread.start()
    time.sleep(seconds)
    kill()
    for thread in threads:
        thread.join()


def moments(sandbox: Sandbox, wanted: int, seed: int) -> Iterator[tuple[int, list[str]]]:
    """For each moment: how many calls were answered before the kill, and what was wrong afterwards."""
    source = random.Random(seed)
    with httpx.Client(
        base_url=sandbox.url,
        headers={"Authorization": f"Bearer {TOKEN}"},
        trust_env=False,
        verify=False,
        timeout=NO_ANSWER,
    ) as http:
        clients = [Client(f"c{number}", http, random.Random(f"{seed}/{number}")) for number in range(CLIENTS)]
        for _ in range(wanted):
            sandbox.started()
            found = [problem for client in clients for problem in problems(client)] + list(half_made(http))
            before = sum(client.answered for client in clients)
            pid = sandbox.pid()
            busy(clients, lambda pid=pid: os.kill(pid, signal.SIGKILL), source.uniform(0, BUSY_SECONDS))  # type: ignore[misc]
            yield sum(client.answered for client in clients) - before, found
        sandbox.started()
        yield 0, [problem for client in clients for problem in problems(client)] + list(half_made(http))


def main() -> int:
    """The command; exit status 1 when something is not as it was answered."""
    parser = argparse.ArgumentParser(prog="python -m tests.sandbox.kills", description=__doc__)
    parser.add_argument("--moments", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--machines", default="light", help="light: images are files (default); none: entries")
    options = parser.parse_args()
    answered, wrong = 0, 0
    with TemporaryDirectory(prefix="kills-") as folder:
        sandbox = Sandbox(Path(folder) / "home", ssh_port=free_port(), machines=options.machines)
        try:
            for number, (calls, found) in enumerate(moments(sandbox, options.moments, options.seed)):
                answered, wrong = answered + calls, wrong + len(found)
                print(f"{number}: {calls} calls answered, {len(found)} problems", *found, sep="\n  ", flush=True)
        finally:
            sandbox.remove()
    print(f"killed at {options.moments} moments; {answered} calls had been answered; {wrong} problems")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
