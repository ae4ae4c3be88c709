"""The catalogue: one page from exports alone, read with a real browser."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.catalogue import Live, age, cards, copy_sboms, render_page
from images.exports import read_exports
from recipe import load_catalog
from tests.browser import Browser, browser
from tests.exports import earlier, exports, image

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
NAME, EARLIER = image()["name"], earlier()["name"]
LIVE = Live(0.011, "EUR", {42: ["worker-2", "worker-1"], 41: []})


def page(document: Any, live: Live | None = None, sboms: dict[str, str] | None = None) -> str:
    return render_page(cards(read_exports(document, "test"), live), sboms or {}, "prod", NOW, live, load_catalog())


def saved(folder: Path, text: str) -> Path:
    file = folder / "index.html"
    file.write_text(text)
    return file


@pytest.fixture(scope="module")
def desktop() -> Iterator[Browser]:
    with browser(1280, 800) as window:
        yield window


@pytest.fixture(scope="module")
def phone() -> Iterator[Browser]:
    with browser(390, 844, phone=True) as window:
        yield window


# --- what is on it ---


def test_every_fact_of_an_image_is_there() -> None:
    text = page(exports(image(), kept=(earlier(servers=["worker-9"]),)))
    for part in (
        NAME,
        "201 of 201 tests passed",
        "0.33 GB",
        "5 days (2026-11-20)",
        "snapshot 42",
        "2.3.4",
        "243 (amd64)",
    ):
        assert part in text
    for part in (EARLIER, "1 generation back", "worker-9", "was not recorded"):
        assert part in text


def test_an_image_says_what_of_it_is_mended_no_longer() -> None:
    """Of an earlier one as well, whose containerd was not recorded; of those that are mended for long nothing."""
    text = page(exports(image("1.36.4"), image("1.34.11"), kept=(earlier("1.34.1"),)))
    assert text.count("Kubernetes 1.34: support ended on 2026-10-27, 29 days ago") == 2
    assert text.count(": support ") == 2


def test_prices_and_servers_of_now_where_the_api_told_them() -> None:
    text = page(exports(image(), kept=(earlier(servers=["gone-since"]),)), LIVE)
    assert "worker-1, worker-2" in text
    assert "gone-since" not in text
    assert "0.004 EUR a month" in text
    assert "2 images in 2 snapshots, 0.65 GB, 0.007 EUR a month" in text


def test_without_the_api_prices_are_left_out() -> None:
    assert "EUR" not in page(exports())


def test_versions_come_newest_first_and_generations_backwards() -> None:
    kept = (earlier(digest="aaaaaaaa", created="2026-01-01T00:00:00Z"), earlier(digest="bbbbbbbb"), earlier("1.34.1"))
    found = read_exports(exports(image("1.36.10"), image("1.36.4"), image("1.35.8"), kept=kept), "test")
    assert [(card.image.name[15:], card.generation) for card in cards(found, None)] == [
        ("1.36.10-0a1b2c3d", 0),
        ("1.36.4-0a1b2c3d", 0),
        ("1.36.4-bbbbbbbb", 1),
        ("1.36.4-aaaaaaaa", 2),
        ("1.35.8-0a1b2c3d", 0),
        ("1.34.1-f0e1d2c3", 1),
    ]


@pytest.mark.parametrize(
    ("passed", "told"),
    [(timedelta(minutes=5), "0 hours"), (timedelta(hours=1), "1 hour"), (timedelta(days=1), "1 day")],
)
def test_ages(passed: timedelta, told: str) -> None:
    assert age(NOW - passed, NOW) == told


def test_what_exports_hold_is_never_markup() -> None:
    text = page(exports(image(name="<script>alert(1)</script>", components={"<b>": '"><i>'})))
    assert "<script>alert" not in text
    assert "<b>" not in text
    assert "<i>" not in text


def test_nothing_on_it_comes_from_elsewhere() -> None:
    text = page(exports(image(), kept=(earlier(),)), LIVE, {image()["sboms"]["amd64"]: "sboms/x.cdx.json"})
    assert "://" not in text
    assert "default-src 'none'" in text


def test_the_bill_of_materials_lies_beside_it(tmp_path: Path) -> None:
    found = read_exports(exports(image(), image("1.35.8")), "test")
    path = found.images[0].sboms["amd64"]
    (tmp_path / "checkout" / path).parent.mkdir(parents=True)
    (tmp_path / "checkout" / path).write_text("{}")
    links = copy_sboms(found, tmp_path / "checkout", tmp_path / "page")
    assert list(links) == [path]
    assert (tmp_path / "page" / links[path]).read_text() == "{}"
    assert f'href="{links[path]}"' in page(exports(image(), image("1.35.8")), sboms=links)


def test_a_stack_without_images_says_what_to_do() -> None:
    assert "keeps no images yet" in page({"interface": 1, "snapshots": {}, "images": [], "earlier": []})


def test_images_without_tests_manifest_and_bill_of_materials_have_their_place() -> None:
    bare = image(tests={}, manifests={}, sboms={}, components={}, sizes={})
    text = page(exports(bare), LIVE)
    assert NAME in text
    assert "tests passed" not in text


def test_the_command_writes_it_from_a_file_of_exports(tmp_path: Path) -> None:
    file = tmp_path / "exports.json"
    file.write_text(json.dumps(exports()))
    result = CliRunner().invoke(app, ["catalogue", "--exports", str(file), "--output", str(tmp_path / "page")])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == str(tmp_path / "page" / "index.html")
    assert NAME in (tmp_path / "page" / "index.html").read_text()


# --- in a browser ---


def test_the_button_copies_the_name(desktop: Browser, tmp_path: Path) -> None:
    desktop.open(saved(tmp_path, page(exports(image(), kept=(earlier(),)))))
    desktop.allow("clipboard-read")
    for name in (EARLIER, NAME):
        desktop.click(f"[data-copy='{name}']")
        assert desktop.script("navigator.clipboard.readText()") == name
        assert desktop.script(f"document.querySelector(\"[data-copy='{name}']\").textContent") == "Copied"
    assert desktop.console() == []


def test_the_button_copies_where_the_browser_keeps_its_clipboard_back(desktop: Browser, tmp_path: Path) -> None:
    desktop.open(saved(tmp_path, page(exports())))
    desktop.allow("clipboard-read")
    desktop.script("void (window.real = navigator.clipboard)")
    desktop.script("void Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    desktop.script("void window.real.writeText('before')")
    desktop.click("[data-copy]")
    assert desktop.script("window.real.readText()") == NAME


def test_it_is_readable_on_a_phone(phone: Browser, tmp_path: Path) -> None:
    long = image(digest="0a1b2c3d", servers=[], name="ubuntu-26.04-kube-1.36.4-0a1b2c3d")
    live = Live(0.011, "EUR", {42: [f"production-workers-{number:05}-abcde" for number in range(30)]})
    phone.open(saved(tmp_path, page(exports(long, kept=(earlier(),)), live)))
    phone.click("details summary")
    assert phone.script("document.documentElement.clientWidth") == 390
    assert phone.script("document.documentElement.scrollWidth") == 390, "it scrolls sideways"
    assert phone.script("[...document.querySelectorAll('button')].every(item => item.offsetHeight >= 35)")
    assert phone.script("parseFloat(getComputedStyle(document.body).fontSize)") >= 14
    overlapping = """[...document.querySelectorAll('article')].some(item => item.scrollWidth > item.clientWidth)"""
    assert not phone.script(overlapping)


def test_200_images_are_one_page_to_filter(desktop: Browser, tmp_path: Path) -> None:
    systems = [f"{name}-{number}" for name in ("debian", "ubuntu") for number in range(10)]
    many = [image(f"1.36.{patch}", system, digest=f"{patch:08}") for system in systems for patch in range(10)]
    text = page(exports(*many), LIVE)
    assert len(text) < 600_000
    desktop.open(saved(tmp_path, text))
    shown = "[...document.querySelectorAll('article')].filter(item => item.offsetHeight).length"
    assert desktop.script(shown) == 200
    assert desktop.script("performance.getEntriesByType('navigation')[0].loadEventEnd") < 3000
    desktop.type("#filter", "debian-7 1.36.3")
    assert desktop.script(shown) == 1
    assert desktop.console() == []
