"""No acceptance item is for show: each has a break, and the rounds tell every item from all others."""

import subprocess
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
import yaml

from recipe import Node, load_catalog, load_lock
from recipe.options import NodeOptions, SourceFile
from recipe.render import acceptance_tests, render
from tests.mutation.rounds import HELPERS, break_of, code_words, items_of, must_fail, rounds_of, script, unused

IMAGES = Path(__file__).with_name("images.yaml")
CATALOG, LOCK = load_catalog(), load_lock()
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
EVERYTHING = NodeOptions.model_validate(
    {
        "preloadImages": True,
        "extraImages": ["quay.io/cilium/cilium:v1.18.2"],
        "extraPackages": ["htop", "tree=2.1.0-1"],
        "sysctls": {"net.core.somaxconn": 4096, "net/core/netdev_budget": 600},
        "modules": ["ip_vs", "dm-crypt"],
        "registryMirrors": {"docker.io": ["http://127.0.0.1:5000"]},
        "kubeletArguments": {"max-pods": 120, "resolv-conf": None},
        "containerLimits": {"memlock": "infinity"},
        "hardening": "cis",
    },
    context={"folder": Path()},
).model_copy(
    update={
        "ca_certificates": [SourceFile("company.pem", CERTIFICATE)],
        "containerd": [SourceFile("debug.toml", "version = 3\n[debug]\nlevel = 'debug'\n")],
        "registry_certificates": {"registry.example.com": SourceFile("registry.pem", CERTIFICATE)},
    }
)
OPTIONS = {"plain": NodeOptions(), "everything": EVERYTHING}


def items(os: str, options: NodeOptions, where: str = "booted") -> list[str]:
    return items_of(acceptance_tests(CATALOG, LOCK, Node(os, "1.36.4", "amd64", options), where))


@pytest.mark.parametrize("os", list(CATALOG.operating_systems))
@pytest.mark.parametrize("options", OPTIONS)
def test_every_item_has_a_break(os: str, options: str) -> None:
    breaks = [break_of(item) for item in items(os, OPTIONS[options])]
    assert [item.item for item in breaks if not item.texts and not (os.startswith("rocky") and item.unproved)] == []
    assert must_fail(breaks) <= set(items(os, OPTIONS[options]))


def test_an_item_without_a_break_is_noticed() -> None:
    with pytest.raises(LookupError, match="command something new"):
        break_of("command something new")


def test_no_break_is_left_of_an_item_that_is_gone() -> None:
    assert unused([*items("debian-13", EVERYTHING), *items("rocky-10", EVERYTHING)]) == []


@pytest.mark.parametrize("os", list(CATALOG.operating_systems))
def test_the_builder_is_asked_nothing_that_a_booted_server_is_not(os: str) -> None:
    node = Node(os, "1.36.4", "amd64", EVERYTHING)
    builder, booted = (acceptance_tests(CATALOG, LOCK, node, where) for where in ("builder", "booted"))
    assert builder
    for kind, tests in builder.items():
        assert all(booted[kind][name] == test for name, test in tests.items())


@pytest.mark.parametrize("number", [1, 2, 20, 280])
def test_no_code_word_holds_another(number: int) -> None:
    words = code_words(number)
    assert len(words) == number
    assert all(words)
    assert not any(one <= other for one, other in permutations(words, 2))


def test_a_few_rounds_serve_all_items() -> None:
    breaks = [break_of(item) for item in items("debian-13", EVERYTHING)]
    rounds = rounds_of(breaks)
    assert len(rounds) <= 11
    assert {item.item for broken in rounds for item, _ in broken} == set(items("debian-13", EVERYTHING))
    used = {(item.item, text) for broken in rounds for item, text in broken}
    assert used == {(item.item, text) for item in breaks for text in item.texts}, "every way to break an item is tried"
    assert all(len(broken) < 0.6 * len(breaks) for broken in rounds)


def test_what_is_broken_is_mended_the_last_first() -> None:
    breaks = [break_of("command swap is off"), break_of("command kubelet is the locked file")]
    lines = script([(item, item.texts[0]) for item in breaks], "TEST").splitlines()
    wanted = ["fake swapon", "truncate --size=+1", "TEST", "truncate --size=-1", "restore"]
    places = [max(number for number, line in enumerate(lines) if line.startswith(start)) for start in wanted]
    assert places == sorted(places)


@pytest.mark.parametrize("broken", yaml.safe_load(IMAGES.read_text()), ids=lambda broken: broken["name"])
def test_an_image_that_is_broken_breaks_what_is_asked(broken: dict[str, Any]) -> None:
    options = NodeOptions.model_validate(broken.get("node", {}), context={"folder": Path()})
    recipe = render(CATALOG, LOCK, Node("debian-13", "1.36.4", "amd64", options))
    scripts = {step.name: step.script for step in recipe.steps}
    scripts |= {"acceptance-tests": recipe.acceptance, "tests-after-restart": recipe.restarted}
    assert broken["where"] in scripts
    where = {"check": "builder", "tests-after-restart": "restarted"}.get(broken["where"], "booted")
    assert set(broken["fails"]) <= set(items("debian-13", options, where))
    assert subprocess.run(["bash", "-n"], input=broken.get("step", ""), text=True).returncode == 0


def test_all_breaks_are_sound_shell() -> None:
    breaks = [break_of(item) for item in items("debian-13", EVERYTHING)]
    text = script([(item, text) for item in breaks for text in item.texts], "true")
    checked = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True)
    assert checked.stderr == ""
    assert HELPERS.read_text() in text
