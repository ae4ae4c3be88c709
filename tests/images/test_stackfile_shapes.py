"""Whatever a stack file says, it is read or refused in words: odd texts, wrong shapes, and what hypothesis makes up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pulumi
import pytest
import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from adapters.hetzner.cloud import Cloud
from components.environment import load_environment
from images.plan import make_plan
from images.stackfile import PROJECT, ImageSettings, StackFile, load_stack_file, parse_stack_file
from recipe.catalog import load_catalog
from recipe.lock import load_lock
from recipe.options import NodeOptions
from recipe.problems import Problem, ProblemsError

LABEL = "stacks/Pulumi.test.yaml"
CATALOG, LOCK = load_catalog(), load_lock()
GOOD: dict[str, Any] = {"images": [{"os": "debian-13", "kubernetes": ["1.36.4"]}]}


def problems_of(text: str) -> tuple[Problem, ...]:
    """Those of the file, or of the plan that it leads to; every other exception is a defect."""
    try:
        make_plan("test", parse_stack_file(text, CATALOG, LABEL), CATALOG, LOCK, LABEL)
    except ProblemsError as error:
        return error.problems
    return ()


def problems(**changes: Any) -> tuple[Problem, ...]:
    return problems_of(written({**GOOD, **changes}))


def written(own: dict[str, Any]) -> str:
    return yaml.safe_dump({"config": {f"{PROJECT}:{key}": value for key, value in own.items()}})


ODD_TEXTS = [
    ("config: {a: 2026-13-45}", "unknown key"),
    ("config: {node-images:asOf: 2026-02-30T00:00:00Z}", "not a date"),
    (f"config: {{a: {'9' * 5000}}}", "not valid YAML"),
    (f"config: {'[' * 5000}", "not valid YAML"),
    ("config: {[1]: 2}", "not valid YAML"),
    ("config: {a: !!python/object:os.system x}", "not valid YAML"),
    ("config: {a: *b}", "not valid YAML"),
    ("config: {a: 'b}", "not valid YAML"),
    ("config: {a: \x00}", "not valid YAML"),
    ("config: {}\n---\nconfig: {}", "not valid YAML"),
    ("config: &a {b: *a}", "unknown key"),
    ("config: {node-images:images: &a [*a]}", "not a mapping"),
    ("config: {1: 2}", "unknown key"),
    ("config: {null: 2}", "unknown key"),
    ("config: {'': 2}", "unknown key"),
    ("config: text", "no settings"),
    ("config: 1", "no settings"),
    ("config: null", "no settings"),
    ("text", "no settings"),
    ("1", "no settings"),
    ("- config", "no settings"),
    ("config: {}", "required"),
]


@pytest.mark.parametrize(("text", "said"), ODD_TEXTS, ids=lambda value: value[:40])
def test_an_odd_text_is_refused_in_words(text: str, said: str) -> None:
    assert said in str(ProblemsError(problems_of(text)))


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"config: {a: \xe9}", b"\x80"])
def test_a_file_that_is_no_text(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "Pulumi.test.yaml"
    file.write_bytes(content)
    with pytest.raises(ProblemsError, match=r"not text|not valid YAML"):
        load_stack_file(file, CATALOG)


WRONG_SHAPES: list[tuple[dict[str, Any], str, str]] = [
    ({"images": None}, "images", "not a list"),
    ({"images": {}}, "images", "not a list"),
    ({"images": "debian-13"}, "images", "not a list"),
    ({"images": [None]}, "images[0]", "not a mapping"),
    ({"images": ["debian-13"]}, "images[0]", "not a mapping"),
    ({"images": [[]]}, "images[0]", "not a mapping"),
    ({"images": [{}]}, "images[0].os", "required"),
    ({"images": [{"os": None, "kubernetes": "1.36.4"}]}, "images[0].os", "not a text"),
    ({"images": [{"os": 13, "kubernetes": "1.36.4"}]}, "images[0].os", "not a text"),
    ({"images": [{"os": "Debian-13", "kubernetes": "1.36.4"}]}, "images[0].os", "not an operating system"),
    ({"images": [{"os": "debian-13", "kubernetes": None}]}, "images[0].kubernetes[0]", "not a text"),
    ({"images": [{"os": "debian-13", "kubernetes": []}]}, "images[0].kubernetes", "empty"),
    ({"images": [{"os": "debian-13", "kubernetes": {}}]}, "images[0].kubernetes[0]", "not a text"),
    ({"images": [{"os": "debian-13", "kubernetes": [["1.36.4"]]}]}, "images[0].kubernetes[0]", "not a text"),
    ({"images": [{"os": "debian-13", "kubernetes": True}]}, "images[0].kubernetes[0]", "not a full version"),
    ({"images": [{"os": "debian-13", "kubernetes": "1.36.4 "}]}, "images[0].kubernetes[0]", "MAJOR.MINOR.PATCH"),
    ({"images": [{"os": "debian-13", "kubernetes": "1.36.4\n"}]}, "images[0].kubernetes[0]", "MAJOR.MINOR.PATCH"),
    (
        {"images": [{"os": "debian-13", "kubernetes": "1.36.4-rc.1"}]},
        "images[0].kubernetes[0]",
        "MAJOR.MINOR.PATCH",
    ),
    ({"images": [{"os": "debian-13", "kubernetes": "1.36.٤"}]}, "images[0].kubernetes[0]", "MAJOR.MINOR.PATCH"),
    ({"images": [{"os": "debian-13", "kubernetes": "1.36.04"}]}, "images[0].kubernetes[0]", "MAJOR.MINOR.PATCH"),
    ({"images": [{"os": "debian-13", "kubernetes": "1.36.999"}]}, "images", "no sha256"),
    (
        {"images": [{"os": "debian-13", "kubernetes": "1.36.4", "architectures": []}]},
        "images[0].architectures",
        "empty",
    ),
    (
        {"images": [{"os": "debian-13", "kubernetes": "1.36.4", "architectures": "amd64"}]},
        "images[0].architectures",
        "list",
    ),
    (
        {"images": [{"os": "debian-13", "kubernetes": "1.36.4", "architectures": ["amd64", "amd64"]}]},
        "images[0].architectures",
        "named twice",
    ),
    (
        {"images": [{"os": "debian-13", "kubernetes": "1.36.4", "protect": "perhaps"}]},
        "images[0].protect",
        "neither true nor false",
    ),
    ({"serverTypes": {"amd64": []}}, "serverTypes.amd64", "empty"),
    ({"serverTypes": {"x86": ["cx23"]}}, "serverTypes.x86", "'amd64' or 'arm64'"),
    ({"serverTypes": []}, "serverTypes", "not a mapping"),
    ({"locations": []}, "locations", "empty"),
    ({"locations": "nbg1"}, "locations", "not a list"),
    ({"locations": [1]}, "locations[0]", "not a text"),
    ({"keepGenerations": "many"}, "keepGenerations", "not a whole number"),
    ({"keepGenerations": 1.5}, "keepGenerations", "not a whole number"),
    ({"maxParallel": 0}, "maxParallel", "less than 1"),
    ({"maxParallel": 21}, "maxParallel", "more than 20"),
    ({"maxParallel": None}, "maxParallel", "not a whole number"),
    ({"onFailure": None}, "onFailure", "'release' or 'keep'"),
    ({"sshPort": -1}, "sshPort", "less than 1"),
    ({"sshFrom": "203.0.113.7"}, "sshFrom", "not a list"),
    ({"timeouts": []}, "timeouts", "not a mapping"),
    ({"timeouts": {"boot": -5}}, "timeouts.boot", "not a length of time"),
    ({"timeouts": {"boot": True}}, "timeouts.boot", "not a length of time"),
    ({"timeouts": {"boot": None}}, "timeouts.boot", "not a length of time"),
    ({"artifacts": []}, "artifacts", "not a mapping"),
    ({"artifacts": {"mirror": "ftp://mirror"}}, "artifacts.mirror", "not a URL of a web"),
    ({"artifacts": {"mirror": 1}}, "artifacts.mirror", "URL"),
    ({"node": []}, "node", "not a mapping"),
    ({"node": {"extraPackages": "htop"}}, "node.extraPackages", "not a list"),
    ({"node": {"sysctls": []}}, "node.sysctls", "not a mapping"),
    ({"asOf": None}, "asOf", "not a date"),
    ({"asOf": 20261101000000000}, "asOf", "not a date"),
    ({"asOf": "0001-01-01T00:00:00+23:59"}, "asOf", "not a date"),
    ({"verification": 1}, "verification", "'cluster' or 'join'"),
    ({"sboms": ""}, "sboms", "empty"),
    ({"sboms": []}, "sboms", "not a text"),
    ({"forms": ["tarball"]}, "forms", "always is one"),
]


@pytest.mark.parametrize(("changes", "key", "said"), WRONG_SHAPES)
def test_a_wrong_shape_is_refused_with_its_place(changes: dict[str, Any], key: str, said: str) -> None:
    found = problems(**changes)
    assert f"{PROJECT}:{key}" in [problem.key for problem in found], found
    assert said in str(ProblemsError(found))


def test_the_program_asks_the_api_nothing_before_it_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Cloud, "from_settings", Mock(side_effect=AssertionError("the API was asked")))
    file = tmp_path / LABEL
    file.parent.mkdir()
    for text in [text for text, _ in ODD_TEXTS] + [written({**GOOD, **changes}) for changes, _, _ in WRONG_SHAPES]:
        file.write_text(text)
        with pytest.raises(pulumi.RunError, match=LABEL):
            load_environment("test")


def test_an_architecture_without_server_types_keeps_those_of_all() -> None:
    image = {"os": "debian-13", "kubernetes": "1.36.4", "architectures": ["amd64", "arm64"]}
    assert problems(images=[image], serverTypes={"amd64": ["cx33"]}) == ()


# --- what nobody thinks of ---

SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.dates() | st.datetimes()
KNOWN = [
    "debian-13",
    "1.36.4",
    "amd64",
    "cx23",
    "nbg1",
    "2026-06-01",
    "README.md",
    "http://127.0.0.1:1",
    "203.0.113.7",
    "30m",
]
LEAVES = SCALARS | st.sampled_from(KNOWN)
KEYS = sorted(
    {
        field.alias or name
        for model in (StackFile, ImageSettings, NodeOptions)
        for name, field in model.model_fields.items()
    }
)
NAMES = st.sampled_from(KEYS) | st.text(max_size=10)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
THOROUGH = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True)


def refused_in_words_or_read(text: str) -> None:
    for problem in problems_of(text):
        assert problem.file == LABEL
        assert problem.rule
        assert "\n" not in problem.value


@THOROUGH
@given(st.text())
@example("config: {node-images:images: 2026-13-45}")
def test_any_text(text: str) -> None:
    refused_in_words_or_read(text)


@THOROUGH
@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_any_settings(own: dict[str, Any]) -> None:
    refused_in_words_or_read(written({**GOOD, **own}))


@THOROUGH
@given(VALUES)
def test_any_document(document: Any) -> None:
    refused_in_words_or_read(yaml.safe_dump(document))


def places(value: Any) -> list[Callable[[Any], None]]:
    """How to replace each part of a document."""
    keys = list(value) if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else []
    here = [lambda new, key=key: value.__setitem__(key, new) for key in keys]
    return here + [place for key in keys for place in places(value[key])]


@THOROUGH
@given(st.data())
def test_a_good_file_with_something_else_in_one_place(data: st.DataObject) -> None:
    document = yaml.safe_load(Path("stacks/Pulumi.prod.yaml").read_text())
    data.draw(st.sampled_from(places(document)))(data.draw(VALUES))
    refused_in_words_or_read(yaml.safe_dump(document))
