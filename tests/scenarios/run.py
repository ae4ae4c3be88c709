"""One function runs any scenario."""

import re
import time
from dataclasses import dataclass

import httpx
from hcloud import APIException

from tests.scenarios.acts import ACTS
from tests.scenarios.invariants import broken, last_lines, over_quota
from tests.scenarios.scenario import Scenario
from tests.scenarios.world import Run, World

# What gRPC says when the engine interrupts the program in the middle of a callback, as it does when a plugin dies.
INTERRUPTED = re.compile(r"Exception ignored in: 'grpc\..*?KeyboardInterrupt:?\s", re.DOTALL)
DECLARED = {"debian-13/1.36.4": {"amd64"}}


@dataclass(frozen=True)
class Outcome:
    """What came of a scenario; nothing in `problems` means that it was survived."""

    name: str
    seconds: float
    problems: list[str]


def run(world: World, scenario: Scenario) -> Outcome:
    """Disturb, run again in peace, look."""
    began = time.monotonic()
    try:
        problems = _problems(world, scenario)
    except (AssertionError, APIException, httpx.HTTPError, OSError) as error:
        problems = [f"{type(error).__name__}: {error}"]
    return Outcome(scenario.name, round(time.monotonic() - began, 1), problems)


def _problems(world: World, scenario: Scenario) -> list[str]:
    world.reset()
    if scenario.built:
        built = world.up()
        assert built.code == 0, last_lines(built.text)
    if scenario.conditions:
        world.control("PUT", "/conditions", scenario.conditions)
    for name in scenario.before:
        ACTS[name](world)
    world.workspace.configure(**scenario.stack)
    before = len(world.requests())
    world.order(scenario.faults)
    disturbed = world.up(scenario.during, scenario.seconds, scenario.clock_hours)
    problems = _of_disturbed(world, scenario, disturbed, before)
    if not scenario.creates:
        return problems
    world.control("DELETE", "/faults")
    for name in scenario.remedy:
        ACTS[name](world)
    world.unlock()
    peaceful = world.up(seconds=scenario.seconds)
    quotas = scenario.conditions.get("quotas", {})
    return [*problems, *over_quota(world.requests(), quotas), *broken(world, peaceful, declared(scenario))]


def _of_disturbed(world: World, scenario: Scenario, disturbed: Run, before: int) -> list[str]:
    problems = []
    if scenario.ends and (disturbed.code == 0) != (scenario.ends == "well"):
        problems.append(f"the disturbed run should end {scenario.ends}: {last_lines(disturbed.text)}")
    if scenario.says not in disturbed.text:
        problems.append(f"the disturbed run does not say {scenario.says!r}: {last_lines(disturbed.text)}")
    if "Traceback" in INTERRUPTED.sub("", disturbed.text):
        problems.append(f"the disturbed run shows a traceback: {last_lines(disturbed.text)}")
    if not scenario.creates and any(item["effect"] for item in world.requests()[before:]):
        problems.append("the disturbed run changed something")
    return problems


def declared(scenario: Scenario) -> dict[str, set[str]]:
    """Architectures by key of what the stack file of a scenario declares."""
    if "images" not in scenario.stack:
        return DECLARED
    return {
        f"{item['os']}/{version}": set(item.get("architectures", ["amd64"]))
        for item in scenario.stack["images"]
        for version in item["kubernetes"]
    }
