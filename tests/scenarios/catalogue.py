"""All scenarios, made from one clean run and one seed. Names are unique, and the same for the same seed."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import Any

from tests.scenarios.acts import PLUGINS
from tests.scenarios.scenario import Act, Order, Scenario

MIXES = 100
RANDOM_KILLS = 60
VERSION = "1.36.4"


@dataclass(frozen=True)
class Recording:
    """What a clean run of one image did: calls of the API, actions, and how many boundaries between resources it has."""

    calls: Sequence[tuple[str, str, int]]
    """Method, route, and which one of that method and route it is. Of polls that follow each other, the first."""
    actions: Sequence[str]
    boundaries: int
    builder: str
    kinds: Sequence[Mapping[str, Any]]
    """Those of the sandbox's faults."""


ACTIONS = {"POST /servers": "create_server", "DELETE /servers/{id}": "delete_server"}
"""What calls start that do not name it in their path."""


def recording(requests: Sequence[Mapping[str, Any]], boundaries: int, kinds: Sequence[Mapping[str, Any]]) -> Recording:
    """From the sandbox's request log."""
    count: Counter[tuple[str, str]] = Counter()
    calls, last = [], ""
    for item in requests:
        count[item["method"], item["route"]] += 1
        what = f"{item['method']} {item['path']}"
        if what != last or item["query"]:
            calls.append((item["method"], item["route"], count[item["method"], item["route"]]))
        last = what
    started = [f"{item['method']} {item['route']}" for item in requests if "action" in item["made"]]
    actions = dict.fromkeys(action_of(call) for call in started)
    builder = next(item["body"]["name"] for item in requests if (item["method"], item["path"]) == ("POST", "/servers"))
    return Recording(calls, list(actions), boundaries, builder, kinds)


def action_of(call: str) -> str:
    """The command of the action that a call starts: `shutdown_server`."""
    word = call.rpartition("/")[2]
    return ACTIONS.get(call) or (word if word == "create_image" else f"{word}_server")


def all_scenarios(seen: Recording, seed: int) -> list[Scenario]:
    """In an order that the seed draws, so that any part of them is a sample of all."""
    found = [
        *single_faults(seen),
        *kills(seen, seed),
        *by_hand(seen),
        *mistakes(),
        *mixes(seen, seed),
        crowd(),
    ]
    assert len({item.name for item in found}) == len(found), "names are unique"
    Random(seed).shuffle(found)
    return found


# --- 1. every call and every moment x every fault that the sandbox knows for it ---


def single_faults(seen: Recording) -> Iterator[Scenario]:
    for fault in each_fault(seen):
        yield Scenario(f"fault: {described(fault)}", faults=(fault,))


def each_fault(seen: Recording) -> Iterator[Order]:
    for kind in seen.kinds:
        for variant in kind["variants"]:
            for target in targets(kind["hits"], variant, seen):
                yield {**variant, **target, **SHORT.get(kind["kind"], {})}


SHORT: Mapping[str, Order] = {
    "ssh_refused": {"seconds": 2},
    "slow": {"seconds": 1},
    "rate_limit": {"seconds": 1},
    "action_slow": {"seconds": 2},
    "snapshot_stuck": {"seconds": 2},
    "capacity": {"location": "nbg1"},
}


def targets(hits: str, variant: Order, seen: Recording) -> Iterator[Order]:
    """Everything in a build that a kind of fault can hit."""
    match hits:
        case "call":
            for method, route, nth in seen.calls:
                if method != "GET" or variant.get("when") != "after":  # a question has no effect to be before or after
                    yield {"method": method, "path": route, "nth": nth}
        case "action":
            for action in seen.actions:
                yield from ({"action": action, "nth": nth} for nth in (1, 2))
        case "boot" | "new_server" | "quota":
            yield from ({"nth": nth} for nth in (1, 2))
        case _:
            yield {}


def described(fault: Order) -> str:
    """In words: what and when it hits, then its kind and variant."""
    where = " ".join(str(fault[key]) for key in ("method", "path", "action") if key in fault)
    number = f" {fault['nth']}" if "nth" in fault else ""
    rest = [str(value) for key, value in fault.items() if key not in ("method", "path", "action", "nth", "seconds")]
    return f"{where}{number} × {' '.join(rest)}".strip()


# --- 2. random mixes ---


def mixes(seen: Recording, seed: int) -> Iterator[Scenario]:
    """Two to six faults at once, some of them as a share of all calls."""
    single = list(each_fault(seen))
    for number in range(seed, seed + MIXES):
        draw = Random(number)
        faults = [spread(item, number, draw) for item in draw.sample(single, draw.randint(2, 6))]
        yield Scenario(f"mix: seed {number}", faults=tuple(faults))


def spread(fault: Order, seed: int, draw: Random) -> Order:
    """The fault, or sometimes one like it that hits a tenth of all calls."""
    if fault["kind"] not in ("status", "reset", "error") or draw.random() < 0.7:
        return fault
    return {**fault, "method": "*", "path": "*", "nth": 1, "share": 0.1, "seed": seed, "times": 5}


# --- 3. kills ---


TARGETS = ["kill the engine", "kill the sandbox", "break SSH", *(f"kill the {name} plugin" for name in PLUGINS)]


def kills(seen: Recording, seed: int) -> Iterator[Scenario]:
    for target in TARGETS:
        for boundary in range(1, seen.boundaries + 1):
            yield Scenario(f"kill: {target} at boundary {boundary}", during=(Act(target, boundary=boundary),))
    draw = Random(seed)
    for moment in draw.sample(range(500, 7000), RANDOM_KILLS):
        target, seconds = draw.choice(TARGETS), moment / 1000
        yield Scenario(f"kill: {target} after {seconds} s", during=(Act(target, seconds=seconds),))


# --- 4. by hand ---


BETWEEN = [
    "delete the snapshot",
    "take the snapshot's name",
    "give the snapshot another name",
    "take the snapshot's labels",
    "describe the snapshot",
    "protect the snapshot",
    "lose the state",
]
DURING = [
    "delete the server",
    "power the server off",
    "reboot the server",
    "take the server's labels",
    "rename the server",
    "delete the key",
    "take the key's labels",
    "detach and delete the firewall",
    "delete the snapshot",
    "take the snapshot's name",
    "give the snapshot another name",
]


def by_hand(seen: Recording) -> Iterator[Scenario]:
    for name in BETWEEN:
        yield Scenario(f"by hand: {name} between runs", built=True, before=(name,))
    for name in DURING:
        for boundary in range(1, seen.boundaries + 1, 3):
            yield Scenario(
                f"by hand: {name} at boundary {boundary}",
                during=(Act(name, boundary=boundary),),
                remedy=("delete what has no labels",),
            )
    for hours in (-48, 48):
        yield Scenario(f"by hand: a clock is {hours} hours off", clock_hours=hours, ends="well")
    yield Scenario(
        "by hand: a rival has our name",
        built=True,
        before=("make a rival",),
        remedy=("delete the rival",),
        ends="badly",
        says="carries caph-image-name=",
    )
    yield Scenario(
        "by hand: change the snapshot's digest between runs",
        built=True,
        before=("change the snapshot's digest",),
        remedy=("take the snapshot's name",),
        ends="badly",
        says="carries caph-image-name=",
    )
    yield Scenario(
        "by hand: somebody's server has the builder's name",
        before=("take the server's name",),
        remedy=("delete what has no labels",),
        ends="badly",
        says="that this stack did not make",
    )
    yield Scenario(
        "by hand: somebody's key has the builder's name",
        before=("take the key's name",),
        remedy=("look for the key", "delete what has no labels"),
        ends="badly",
        says="that this stack did not make",
    )
    yield Scenario(
        "by hand: a node runs from what is no longer declared",
        built=True,
        before=("run a node from the snapshot",),
        stack={"images": [{"os": "debian-13", "kubernetes": ["1.36.3"]}], "keepGenerations": 0},
        ends="well",
        says="servers run from it (node)",
    )


# --- 5. a crowd under quotas ---


def crowd() -> Scenario:
    """24 images under a quota of five servers and thirty snapshots, with eight builds that would like to run at once."""
    versions = [VERSION, "1.36.3", "1.35.8", "1.34.11"]
    images = [
        {"os": os, "kubernetes": versions, "architectures": ["amd64", "arm64"]}
        for os in ("debian-13", "ubuntu-24.04", "rocky-10")
    ]
    return Scenario(
        "crowd: 24 images with quotas of 5 servers and 30 snapshots",
        stack={"images": images, "maxParallel": 8},
        conditions={"quotas": {"servers": 5, "snapshots": 30, "primary_ips": 5}},
        ends="well",
        seconds=1200,
    )


# --- 6. stack files that are wrong ---


def mistakes() -> Iterator[Scenario]:
    """By the real engine: a few of those that tests/images has in full."""
    image = {"os": "debian-13", "kubernetes": [VERSION]}
    wrong: list[tuple[str, dict[str, Any], str]] = [
        ("an unknown system", {"images": [{**image, "os": "debian-31"}]}, "did you mean debian-13?"),
        ("a minor for a version", {"images": [{**image, "kubernetes": ["1.36"]}]}, "MAJOR.MINOR.PATCH"),
        ("no images", {"images": []}, "it is empty"),
        ("text for images", {"images": "debian-13"}, "images"),
        ("nothing for images", {"images": None}, "images"),
        ("an image twice", {"images": [image, image]}, "declared 2 times"),
        ("a wrong number", {"maxParallel": 99}, "maxParallel"),
        ("a wrong choice", {"onFailure": "explode"}, "'release' or 'keep'"),
        ("an unknown key", {"maxParalel": 1}, "did you mean maxParallel?"),
        ("a wrong network", {"sshFrom": ["here"]}, "not a network"),
        ("a version without sums", {"images": [{**image, "kubernetes": ["1.36.99"]}]}, "no sha256"),
    ]
    for name, stack, says in wrong:
        yield Scenario(f"mistake: {name}", stack=stack, ends="badly", says=says, creates=False)


def sample(found: Sequence[Scenario], count: int) -> list[Scenario]:
    """Some of each group but the crowd, in the order in which they are."""
    groups = dict.fromkeys(item.group for item in found if item.group != "crowd")
    each = max(1, count // len(groups))
    return [item for group in groups for item in islice((one for one in found if one.group == group), each)]
