"""The catalogue: one page from exports alone, read with a real browser."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.__main__ import app
from cli.catalogue import Live, Page, age, cards, copy_sboms, render_page
from images.exports import read_exports
from recipe import load_catalog
from tests.browser import Browser, browser
from tests.cli.test_diff import bill, trivy
from tests.exports import SHA256, earlier, exports, image

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
NAME, EARLIER = image()["name"], earlier()["name"]
LIVE = Live(0.011, "EUR", {42: ["worker-2", "worker-1"], 41: []})


def page(
    document: Any, live: Live | None = None, sboms: dict[str, str] | None = None, bills: Path | None = None
) -> str:
    found = read_exports(document, "test")
    return render_page(
        cards(found, live, *([bills] if bills else [])), Page("prod", NOW, load_catalog(), live, sboms or {})
    )


def with_bills(folder: Path) -> tuple[dict[str, Any], Path]:
    """Exports of an image for two architectures, one of a generation before and another, with bills and scans of all."""
    both = image(
        snapshots={"amd64": 42, "arm64": 43}, sizes={"amd64": 0.33, "arm64": 0.31}, disks={"amd64": 40, "arm64": 80}
    )
    both["manifests"]["arm64"] = {**both["manifests"]["amd64"], "packages": {"count": 241, "sha256": SHA256}}
    other = image("1.35.8", "ubuntu-26.04", sizes={"amd64": 0.9}, created="2026-11-24T10:00:00Z")
    kept = earlier()
    lists = (
        (both["name"], {"openssl": "3.5.2", "htop": "3.4"}, [("CVE-1", "HIGH", "openssl"), ("CVE-2", "LOW", "htop")]),
        (kept["name"], {"openssl": "3.5.1"}, [("CVE-9", "CRITICAL", "openssl")]),
        (other["name"], {"openssl": "3.5.2", "vim": "9"}, []),
    )
    (folder / "prod").mkdir(parents=True)
    for name, packages, found in lists:
        (folder / "prod" / f"{name}-amd64.cdx.json").write_text(json.dumps(bill(name, **packages)))
        (folder / "prod" / f"{name}-amd64.trivy.json").write_text(json.dumps(trivy(*found)))
    (folder / "prod" / f"{both['name']}-arm64.cdx.json").write_text(json.dumps(bill(both["name"], openssl="3.5.2")))
    return exports(both, other, kept=(kept,)), folder


def plain(text: str) -> str:
    """What stands on the page, without markup."""
    text = re.sub(r"</?(?:time|span|code)\b[^>]*>", "", text)
    return " ".join(re.sub(r"<[^>]*>", " ", re.sub(r"<(style|script)\b.*?</\1>", "", text, flags=re.DOTALL)).split())


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
        "5 days (<time>2026-11-20</time>)",
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


def test_one_is_not_many() -> None:
    assert "1 image in 1 snapshot, 0.33 GB" in page(exports())
    assert "1 of 1 test passed" in page(exports(image(tests={"amd64": {"passed": 1, "total": 1}})))


def test_two_architectures_share_a_row(tmp_path: Path) -> None:
    text = page(with_bills(tmp_path)[0])
    assert text.count("<dt>Packages</dt>") == 2, "one for each image that is declared"
    assert "243 (amd64), 241 (arm64), of 2026-11-01" in plain(text)


def test_the_lists_of_two_architectures_are_one(tmp_path: Path) -> None:
    document, bills = with_bills(tmp_path)
    assert "2 packages (amd64), 1 (arm64)" in plain(page(document, bills=bills))


def test_ends_of_support_have_their_days() -> None:
    text = plain(page(exports()))
    for part in ("Kubernetes 1.36 until 2027-06-28", "containerd 2.3 until 2028-04-30", "Debian 13 until 2030-06-30"):
        assert part in text


def test_vulnerabilities_are_counted_by_severity(tmp_path: Path) -> None:
    document, bills = with_bills(tmp_path)
    text = plain(page(document, bills=bills))
    for part in ("1 high 1 low", "1 critical", "no known vulnerabilities", "CVE-9 critical openssl 1"):
        assert part in text
    assert "known vulnerabilities" not in page(document), "nobody has looked"


def test_the_difference_to_the_generation_before(tmp_path: Path) -> None:
    document, bills = with_bills(tmp_path)
    text = plain(page(document, bills=bills))
    for part in (
        "Since the generation before",
        "Packages (amd64): 1 changed, 1 added",
        "openssl 3.5.1 → 3.5.2",
        "size amd64: 0.32 GB → 0.33 GB",
        "Vulnerabilities (amd64, trivy): 2 new, 1 gone",
        "Not known: parts of the recipe",
    ):
        assert part in text
    assert text.count("Since the generation before") == 1


def test_server_types_that_boot_it(tmp_path: Path) -> None:
    text = plain(page(with_bills(tmp_path)[0]))
    assert "Boots on 3 of 4 server types (arm64, 80 GB disk): cax21, cax31, cax41; not on cax11" in text
    assert re.search(r"Boots on (\d+) of \1 server types \(amd64, 40 GB disk\): cx23, ", text)


def test_what_is_of_long_ago_is_marked() -> None:
    """By the day of its packages; an earlier build is of before anyway."""
    old = image("1.35.8")
    old["manifests"]["amd64"]["asOf"] = "20260901T000000Z"
    text = plain(page(exports(image(), old, kept=(earlier(created="2026-01-01T00:00:00Z"),))))
    assert text.count("stale: ") == 1
    assert "stale: packages of 2026-09-01" in text


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
    [(timedelta(minutes=5), "less than an hour"), (timedelta(hours=1), "1 hour"), (timedelta(days=1), "1 day")],
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
    assert re.findall(r"(?:src|href|action)=.[^\"']*://|url\(|@import|fetch\(", text) == []
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


def test_bills_of_earlier_images_stay_beside_the_page_until_these_go(tmp_path: Path) -> None:
    """`up` deletes them as an image becomes an earlier one, and the difference to it could not be told."""
    checkout, folder = tmp_path / "checkout", tmp_path / "page"
    first, second = image(digest="aaaaaaaa"), image(digest="bbbbbbbb")
    kept = earlier(digest="aaaaaaaa", name=first["name"])

    def catalogue(document: dict[str, Any], path: str, **packages: str) -> str:
        (checkout / path).parent.mkdir(parents=True, exist_ok=True)
        (checkout / path).write_text(json.dumps(bill(Path(path).name, **packages)))
        copy_sboms(read_exports(document, "test"), checkout, folder)
        (checkout / path).unlink()
        return plain(page(document, bills=folder))

    catalogue(exports(first), first["sboms"]["amd64"], openssl="3.5.1")
    text = catalogue(exports(second, kept=(kept,)), second["sboms"]["amd64"], openssl="3.5.2")
    assert "openssl 3.5.1 → 3.5.2" in text
    catalogue(exports(second), second["sboms"]["amd64"], openssl="3.5.2")
    assert [file.name for file in (folder / "sboms").iterdir()] == [f"{second['name']}-amd64.cdx.json"]


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


def shown(window: Browser) -> list[str]:
    names = "[...document.querySelectorAll('article')].filter(item => item.offsetHeight)"
    return window.script(f"{names}.map(item => item.querySelector('h2').textContent)")


@pytest.fixture
def opened(desktop: Browser, tmp_path: Path) -> Browser:
    document, bills = with_bills(tmp_path / "bills")
    desktop.open(saved(tmp_path, page(document, LIVE, bills=bills)))
    return desktop


def choose(window: Browser, selector: str, value: str) -> None:
    window.script(f"void (document.querySelector('{selector}').value = arguments[0])", value)
    window.script(f"void document.querySelector('{selector}').dispatchEvent(new Event('change'))")


def test_no_name_is_broken_on_a_desktop(desktop: Browser, tmp_path: Path) -> None:
    long = [image("1.36.10", "ubuntu-26.04", digest=f"{number:08}") for number in range(3)]
    desktop.open(saved(tmp_path, page(exports(*long))))
    lines = """[...document.querySelectorAll('h2')].map(item =>
        Math.round(item.offsetHeight / parseFloat(getComputedStyle(item).lineHeight)))"""
    assert desktop.script(lines) == [1, 1, 1]


def test_systems_minors_and_earlier_builds_can_be_left_out(opened: Browser) -> None:
    assert len(shown(opened)) == 3
    choose(opened, "#system", "debian-13")
    assert shown(opened) == [NAME, EARLIER]
    opened.click("#earlier")
    assert shown(opened) == [NAME]
    choose(opened, "#minor", "1.35")
    assert shown(opened) == []
    assert opened.script("document.querySelector('#none').offsetHeight > 0")
    assert opened.console() == []


def test_images_can_be_sorted(opened: Browser) -> None:
    other = "ubuntu-26.04-kube-1.35.8-0a1b2c3d"
    for key, names in (
        ("age", [other, NAME, EARLIER]),
        ("size", [other, NAME, EARLIER]),
        ("cves", [EARLIER, NAME, other]),
        ("place", [NAME, EARLIER, other]),
    ):
        choose(opened, "#sort", key)
        assert shown(opened) == names, key


def test_packages_are_listed_and_found(opened: Browser) -> None:
    opened.type("#filter", "htop")
    assert shown(opened) == [NAME]
    opened.script("void (document.querySelector('[data-packages]').open = true)")
    rows = "[...document.querySelectorAll('[data-packages] tr')].filter(item => item.offsetHeight).map(item => item.textContent)"
    while not opened.script("document.querySelector('[data-packages] table')"):
        pass
    assert opened.script(rows) == ["htop3.4amd64", "openssl3.5.2"]
    opened.type("[data-packages] input", "OpenSSL")
    assert opened.script(rows) == ["openssl3.5.2"]
    assert opened.console() == []


def test_the_lines_for_a_template_can_be_copied(opened: Browser) -> None:
    opened.allow("clipboard-read")
    opened.click(".use summary")
    opened.click(".use button")
    text = opened.script("navigator.clipboard.readText()")
    assert text == f"spec:\n  template:\n    spec:\n      imageName: {NAME}\n"


def contrast(window: Browser) -> float:
    """Of the palest text on a card to its background, as WCAG measures it."""
    colours = """(() => { const card = document.querySelector('article:not(.earlier)');
        const of = (item, what) => getComputedStyle(item)[what].match(/[\\d.]+/g).slice(0, 3).map(Number);
        return [of(card, 'backgroundColor'), ...[...card.querySelectorAll('dt, dd, .tag, a')].map(item => of(item, 'color'))];
    })()"""
    ground, *inks = window.script(colours)
    return min(
        (max(pair) + 0.05) / (min(pair) + 0.05) for pair in ((luminance(ground), luminance(ink)) for ink in inks)
    )


def luminance(colour: list[float]) -> float:
    parts = [value / 255 for value in colour]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_light_and_dark_can_be_read(opened: Browser) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    first = opened.script(ground)
    assert contrast(opened) >= 4.5
    opened.click("#theme")
    assert opened.script(ground) != first
    assert contrast(opened) >= 4.5


def test_all_of_it_fits_on_a_phone(phone: Browser, tmp_path: Path) -> None:
    document, bills = with_bills(tmp_path / "bills")
    phone.open(saved(tmp_path, page(document, LIVE, bills=bills)))
    phone.script("void document.querySelectorAll('details').forEach(item => { item.open = true; })")
    while not phone.script("document.querySelector('[data-packages] table')"):
        pass
    assert phone.script("document.documentElement.scrollWidth") == 390, "it scrolls sideways"
    assert phone.script("[...document.querySelectorAll('article')].every(item => item.scrollWidth <= item.clientWidth)")
    assert phone.console() == []
