"""docs/soak.md: how many scenarios were run and survived, what broke, and what was found by them and mended."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.scenarios.run import Outcome

DOCUMENT = Path("docs/soak.md")
FOUND = Path(__file__).with_name("found.md")

GROUPS = {
    "fault": "every call of a build, its actions, boots and quotas x every fault that the sandbox knows for it, one at a time",
    "mix": "two to six faults at once, drawn from a seed",
    "kill": "`kill -9` of the engine, a plugin or the sandbox, or broken SSH: at every boundary between resources, and any time",
    "by hand": "snapshots, servers, keys, firewalls and labels changed or deleted by somebody, between and during runs",
    "crowd": "24 images (3 systems, 2 architectures, 4 versions) under quotas of 5 servers and 30 snapshots",
    "mistake": "stack files that are wrong: told in words, and nothing is changed",
}


def totals(outcomes: Sequence[Outcome]) -> dict[str, dict[str, float]]:
    """By group."""
    found: dict[str, dict[str, float]] = {}
    for item in outcomes:
        group = found.setdefault(item.name.partition(":")[0], {"run": 0, "survived": 0, "seconds": 0})
        group["run"] += 1
        group["survived"] += not item.problems
        group["seconds"] = round(group["seconds"] + item.seconds, 1)
    return found


def document(outcomes: Sequence[Outcome], planned: Mapping[str, int], seed: int) -> str:
    """The page. `planned`: how many scenarios each group has."""
    found = totals(outcomes)
    rows = "\n".join(
        f"| {name} | {what} | {planned[name]} | {found[name]['run']:.0f} | {found[name]['survived']:.0f} |"
        for name, what in GROUPS.items()
        if name in found
    )
    broken = [item for item in outcomes if item.problems]
    lines = "\n".join(f"- {item.name}: {item.problems[0].splitlines()[0]}" for item in broken) or "None."
    return PAGE.format(rows=rows, seed=seed, broken=lines, found=FOUND.read_text().strip())


PAGE = """# What images survive

Made by `make soak`; edit tests/scenarios instead. Each scenario disturbs a run of the real engine, with a small recipe, against
the sandbox with light machines, and then runs `up` once more in peace. Then this has to hold: exit status 0; all exports there;
each exported name on exactly one available snapshot per architecture, which a server was booted from before it got the name; no
server, key, firewall or snapshot without a name left over; an empty preview; and, by the log of requests, no snapshot deleted
that was declared or in use.

| Group | What is tried | All | Run so far | Survived |
|---|---|---|---|---|
{rows}

The order, the mixes and the random times come from seed {seed}; `python -m tests.scenarios --help` shows how to run one again.
`make test` runs a few of each group.

## Broken now

{broken}

## Found and mended

{found}
"""
