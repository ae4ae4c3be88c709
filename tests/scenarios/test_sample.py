"""A few scenarios of each kind; `make soak` runs all of them. What the runner itself decides is tested without a machine."""

from collections.abc import Iterator

import pytest

from tests.scenarios.__main__ import record
from tests.scenarios.acts import act
from tests.scenarios.catalogue import Recording, all_scenarios, recording
from tests.scenarios.invariants import deletions, is_tested, over_quota
from tests.scenarios.report import document, totals
from tests.scenarios.run import Outcome, run
from tests.scenarios.scenario import Scenario
from tests.scenarios.world import HAND, Run, World, a_world

SAMPLE = [
    "fault: POST /servers/{id}/actions/create_image 1 × status 502 json after",
    "kill: kill the engine at boundary 30",
    "by hand: delete the server at boundary 25",
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with a_world(tmp_path_factory.mktemp("scenarios") / "world", act) as made:
        yield made


@pytest.fixture(scope="module")
def scenarios(world: World) -> dict[str, Scenario]:
    seen = record(world)
    world.builder = seen.builder
    return {item.name: item for item in all_scenarios(seen, seed=1)}


@pytest.mark.parametrize("name", SAMPLE)
def test_a_scenario_is_survived(world: World, scenarios: dict[str, Scenario], name: str) -> None:
    assert run(world, scenarios[name]).problems == []


def test_hundreds_of_scenarios_come_from_one_run(scenarios: dict[str, Scenario]) -> None:
    groups = totals([Outcome(name, 0, []) for name in scenarios])
    assert groups["fault"]["run"] > 500
    assert groups["kill"]["run"] >= 100
    assert groups["mix"]["run"] == 100


def request(number: int, method: str, path: str, client: str = "node-images", **more: object) -> dict[str, object]:
    route = "/".join("{id}" if part.isdigit() else part for part in path.split("/"))
    plain = {"query": "", "body": {}, "made": {}, "effect": method != "GET"}
    return {"id": number, "method": method, "path": path, "route": route, "client": client, **plain, **more}


BUILD = [
    request(1, "GET", "/images", query="a"),
    request(2, "GET", "/images", query="b"),
    request(3, "POST", "/servers", body={"name": "builder", "image": "debian-13"}, made={"server": 7, "action": 1}),
    request(4, "GET", "/actions/1"),
    request(5, "GET", "/actions/1"),
    request(6, "POST", "/servers/7/actions/create_image", made={"image": 9, "action": 2}),
]
KINDS = [
    {
        "kind": "reset",
        "hits": "call",
        "variants": [{"kind": "reset", "when": "before"}, {"kind": "reset", "when": "after"}],
    },
    {"kind": "action_slow", "hits": "action", "variants": [{"kind": "action_slow"}]},
]


def test_each_call_and_action_meets_each_fault() -> None:
    seen = recording(BUILD, 0, KINDS)
    assert seen == Recording(
        [
            ("GET", "/images", 1),
            ("GET", "/images", 2),
            ("POST", "/servers", 1),
            ("GET", "/actions/{id}", 1),
            ("POST", "/servers/{id}/actions/create_image", 1),
        ],
        ["create_server", "create_image"],
        0,
        "builder",
        KINDS,
    )
    names = [item.name for item in all_scenarios(seen, 1) if item.group == "fault"]
    assert len(names) == 3 + 2 * 2 + 2 * 2
    assert "fault: POST /servers 1 × reset after" in names


def test_the_same_seed_makes_the_same_scenarios() -> None:
    seen = recording(BUILD, 9, KINDS)
    assert all_scenarios(seen, 3) == all_scenarios(seen, 3) != all_scenarios(seen, 4)


def test_a_snapshot_deleted_in_spite_of_its_name_or_its_use_is_noticed() -> None:
    published = request(1, "PUT", "/images/9", body={"labels": {"caph-image-name": "ours"}})
    withdrawn = request(2, "PUT", "/images/9", body={"labels": {}})
    booted = request(3, "POST", "/servers", body={"image": "9"}, made={"server": 5})
    deleted, by_hand = request(4, "DELETE", "/images/9"), request(2, "PUT", "/images/9", HAND, body={"labels": {}})
    assert list(deletions([published, withdrawn, deleted], {"ours"})) != []
    assert list(deletions([booted, deleted], {"ours"})) == ["deleted a snapshot in use: /images/9"]
    assert list(deletions([booted, request(4, "DELETE", "/servers/5"), deleted], {"ours"})) == []
    assert list(deletions([published, by_hand, deleted], {"ours"})) == []
    assert list(deletions([published, deleted], {"another"})) == []


def test_more_than_a_quota_is_noticed() -> None:
    made = [request(n, "POST", "/servers", made={"server": n, "action": n}) for n in (1, 2)]
    gone = request(3, "DELETE", "/servers/1", made={"action": 3})
    assert list(over_quota([*made, gone], {"servers": 2})) == []
    assert list(over_quota([made[0], gone, made[1]], {"servers": 1})) == []
    assert "2 servers where 1 are allowed, by request 2" in list(over_quota([*made, gone], {"servers": 1}))


def test_a_name_before_the_tests_is_noticed() -> None:
    booted = request(1, "POST", "/servers", body={"image": "9"}, made={"server": 5})
    named = request(2, "PUT", "/images/9", body={"labels": {"caph-image-name": "ours"}})
    assert is_tested(9, [booted, named])
    assert not is_tested(9, [named, {**booted, "id": 3}])
    assert not is_tested(9, [named])


@pytest.mark.parametrize(
    ("said", "changed"),
    [("    25 unchanged", False), ("    + 25 created", True), ("    ~ 1 updated\n    24 unchanged", True), ("", False)],
)
def test_a_run_that_changed_nothing_is_known_by_its_summary(said: str, changed: bool) -> None:
    assert Run(0, f"...\nResources:\n{said}\n\nDuration: 3s\n", 0).changed is changed


def test_the_report_counts_and_names_what_broke() -> None:
    text = document([Outcome("mix: seed 1", 2, []), Outcome("mix: seed 2", 2, ["left over: x\nmore"])], {"mix": 100}, 1)
    assert "| mix | two to six faults at once, drawn from a seed | 100 | 2 | 1 |" in text
    assert "- mix: seed 2: left over: x\n" in text
