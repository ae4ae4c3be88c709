"""Every cell of the catalogue: rendered in full, its shell checked, its files resolved and locked; and every form of it."""

import re
import subprocess
from collections.abc import Callable
from functools import cache

import pytest

from cli.render import Wanted, render_form
from recipe import Node, load_catalog, load_lock, render
from recipe.forms import Form
from recipe.lock import locked_versions
from recipe.render import library
from recipe.tarball import pack_script
from tools.matrix import FORMS, PROGRAM, TARBALL, Proof, page

CATALOG, LOCK = load_catalog(), load_lock()
SHELLCHECK = ["shellcheck", "--shell=bash", "--exclude=SC2016,SC2034,SC2317,SC2329", "-"]
CELLS = [
    (os, architecture, minor)
    for os in CATALOG.operating_systems
    for architecture in CATALOG.architectures
    for minor in CATALOG.kubernetes
]


def newest(minor: str) -> str:
    """The newest patch release that the lock has; of minors to come, the first of the next."""
    locked = locked_versions(CATALOG, LOCK, minor)
    return locked[-1] if locked else f"{minor.rstrip('+')}.0"


@cache
def shell_is_sound(body: str) -> bool:
    """Whether shellcheck has nothing to say of a step; the values of its settings, which come quoted, are left out."""
    result = subprocess.run(SHELLCHECK, input=f"{library()}\n{body}", capture_output=True, text=True)
    assert result.returncode == 0, result.stdout
    return True


def body(text: str) -> str:
    return re.sub(r"^([A-Z0-9_]+)=('[^']*'(\\?\"'\"'[^']*')*|\S*)$", r"\1=value", text, flags=re.MULTILINE)


@pytest.mark.parametrize(("os", "architecture", "minor"), CELLS)
def test_a_node_is_rendered_in_full(os: str, architecture: str, minor: str, proves: Callable[..., None]) -> None:
    recipe = render(CATALOG, LOCK, Node(os, newest(minor), architecture))
    assert recipe.steps[-1].name == "clean"
    for step in recipe.steps:
        assert shell_is_sound(body(step.text))
    assert {item.url.count(architecture) for item in recipe.artifacts} == {1}
    proves("rendered", os, newest(minor), architecture)


@pytest.mark.parametrize(("os", "architecture", "minor"), [cell for cell in CELLS if not cell[2].endswith("+")])
def test_every_patch_release_that_the_lock_knows_is_locked_in_full(
    os: str, architecture: str, minor: str, proves: Callable[..., None]
) -> None:
    versions = locked_versions(CATALOG, LOCK, minor)
    assert versions
    for version in versions:
        missing = [
            item.url for item in render(CATALOG, LOCK, Node(os, version, architecture)).artifacts if not item.sha256
        ]
        assert missing == []
    proves("locked", os, newest(minor), architecture)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("os", list(CATALOG.operating_systems))
def test_a_form_is_rendered(form: Form, os: str, proves: Callable[..., None]) -> None:
    assert newest("1.36") in render_form(Wanted(form, os, newest("1.36"), "amd64", None), CATALOG, LOCK)
    proves("rendered", os, newest("1.36"), form=form)


@pytest.mark.parametrize("os", [name for name, system in CATALOG.operating_systems.items() if system.installimage])
def test_a_tarball_is_rendered(os: str, proves: Callable[..., None]) -> None:
    node = Node(os, newest("1.36"), "amd64")
    assert shell_is_sound(body(pack_script(CATALOG, node, render(CATALOG, LOCK, node)).removeprefix(library())))
    proves("rendered", os, newest("1.36"), form=TARBALL)


def test_the_page_says_what_was_proved_and_no_more() -> None:
    proofs = [
        Proof("locked", PROGRAM, "debian-13", "amd64", "1.36"),
        Proof("booted", PROGRAM, "debian-13", "amd64", "1.36"),
        Proof("rendered", "a-form", "debian-12", "amd64", "1.34"),
    ]
    text = page(CATALOG, proofs)
    assert "| debian-13 | amd64 | - | - | booted, locked | - | - |" in text
    assert "| debian-13 | arm64 | - | - | - | - | - |" in text
    assert "| a-form | rendered | - |" in text
    assert page(CATALOG, reversed(proofs)) == text
