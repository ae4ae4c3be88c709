"""The page says what was recorded, and what is broken on purpose can be tried by name."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.machines.accelerator import FIRMWARE
from tests.kubernetes.__main__ import TRIED_ON, Trial, failed_besides, main, missing_packages, trials
from tests.kubernetes.forms import MAKERS
from tests.kubernetes.outcomes import (
    FORM,
    FORMS,
    PAGE,
    Outcome,
    broken_images,
    cell,
    joined,
    known,
    node,
    page,
    quickness,
)
from tests.kubernetes.troubles import TROUBLES
from tools.matrix import FORMS as MATRIX_FORMS
from tools.matrix import TARBALL

GOOD = Outcome(
    name=cell("debian-13", "1.36.4"),
    date="2026-11-29",
    commit="0123456",
    accelerator="tcg",
    minutes=17.4,
    seconds={"ssh": 51.2, "ready": 148},
)


def test_the_page_is_what_was_recorded() -> None:
    assert PAGE.read_text() == page(known())


@pytest.mark.parametrize(
    "outcome", [item for item in known() if item.image and not item.problem], ids=lambda item: item.name
)
def test_an_image_was_proved_at_its_level(outcome: Outcome, proves: Callable[..., None]) -> None:
    """Recorded by `python -m tests.kubernetes`, as it takes too long for every test run."""
    os, version, architecture = outcome.name.split()
    assert {"ssh", "kubelet"} <= outcome.seconds.keys()
    if outcome.level == "cluster":
        assert {"ready", "cluster", "restart"} <= outcome.seconds.keys()
        proves(f"ran Kubernetes ({outcome.accelerator})", os, version, architecture)
    else:
        proves("kernel", os, version, architecture)
        proves("booted", os, version, architecture)


def test_forms_came_to_a_node(proves: Callable[..., None]) -> None:
    for outcome in [item for item in known() if item.form and not item.problem]:
        assert outcome.seconds, outcome.form
        proves(f"ran Kubernetes ({outcome.accelerator})", *TRIED_ON, form=outcome.form)


def test_a_trial_is_a_row() -> None:
    assert "| debian-13 1.36.4 amd64 | 17 min | 51 s | - | 148 s | - | - | tcg | 2026-11-29 |" in page([GOOD])


def test_a_row_says_a_lower_level() -> None:
    booted = GOOD.model_copy(update={"name": cell("debian-13", "1.36.4", "arm64"), "level": "boot"})
    assert "| debian-13 1.36.4 arm64 | 17 min, boot | 51 s |" in page([booted])


def test_a_join_has_a_row_of_its_own() -> None:
    join = GOOD.model_copy(update={"name": joined("debian-13", "1.36.4"), "seconds": {"join": 41.6}})
    text = page([GOOD, join])
    assert text.count("| debian-13 1.36.4 amd64 |") == 2
    assert "| debian-13 1.36.4 amd64 | 17 min | 42 s | tcg | 2026-11-29 |" in text
    assert trials()[join.name].level == "join"


def test_a_form_has_a_row_in_the_order_of_the_list() -> None:
    tarball = GOOD.model_copy(update={"name": f"{FORM}tarball", "seconds": {"BIOS": 301.4, "UEFI": 310}})
    script = GOOD.model_copy(update={"name": f"{FORM}script", "seconds": {"ready": 182.3}})
    rows = [row for row in page([tarball, script, GOOD]).splitlines() if row.startswith(("| script |", "| tarball |"))]
    assert [row.split(" | ", 2)[2] for row in rows] == [
        "182 s | 17 min | tcg | 2026-11-29 |",
        "BIOS 301 s, UEFI 310 s | 17 min | tcg | 2026-11-29 |",
    ]


def test_the_ratio_of_two_ways_to_a_node_is_shown() -> None:
    figures = {"image ssh": 60, "image ready": 300, "stock ssh": 55, "stock ready": 1860}
    quick = GOOD.model_copy(update={"name": quickness("debian-13", "1.36.4"), "seconds": figures})
    text = page([GOOD, quick])
    assert "| debian-13 1.36.4 amd64 | 60 s | 300 s | 55 s | 1860 s | 6.2 x | tcg | 2026-11-29 |" in text
    assert text.count("| debian-13 1.36.4 amd64 |") == 2


def test_every_form_of_the_matrix_is_tried() -> None:
    assert FORMS.keys() == MAKERS.keys() == {*MATRIX_FORMS, TARBALL}
    assert {f"{FORM}{form}" for form in FORMS} <= trials().keys()


def test_items_that_fail_beside_the_broken_one_are_told() -> None:
    (broken,) = [image for image in broken_images() if image.name == "no ip_forward"]
    said = [
        "    debian-13-amd64/check: failed: Command setting net.ipv4.ip_forward: exit-status doesn't match",
        "failed: Service kubelet: enabled false",
        "error: 2 acceptance tests failed",
    ]
    assert failed_besides(broken.fails, said[0]) == []
    assert failed_besides(broken.fails, "\n".join(said)) == ["service kubelet: enabled false"]


def test_a_problem_is_not_hidden() -> None:
    failed = GOOD.model_copy(update={"problem": "not published: error: no"})
    assert "| debian-13 1.36.4 amd64 | **no**: not published: error: no |" in page([failed])
    (first, *_) = broken_images()
    published = GOOD.model_copy(update={"name": f"broken: {first.name}", "problem": "it was published"})
    assert f"| {first.name} | **no**: it was published |" in page([published])
    (trouble, *_) = TROUBLES
    left = GOOD.model_copy(update={"name": f"trouble: {trouble}", "problem": "a server is left"})
    assert f"| {trouble} | **no**: a server is left |" in page([left])


def test_every_trial_has_a_name_that_its_row_is_found_by() -> None:
    assert {cell("debian-12", "1.35.4"), "broken: no ip_forward", "trouble: QEMU is killed"} <= trials().keys()


def test_what_another_architecture_needs_is_said_before_anything_is_begun(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As an x86 host, on which nothing is installed."""
    monkeypatch.setattr("sandbox.machines.host.architecture", lambda: "x86")
    monkeypatch.setattr("sandbox.preflight.SBIN", "")
    monkeypatch.setitem(FIRMWARE, "arm", tmp_path / "QEMU_EFI.fd")
    monkeypatch.setattr("tests.kubernetes.__main__.CROSS_COMPILERS", {"arm64": {"a-compiler": "gcc-for-arm"}})
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["tests.kubernetes", cell("debian-13", "1.36.4", "arm64")])
    assert main() == 1
    said = capsys.readouterr()
    packages = "arch-test binfmt-support gcc-for-arm qemu-efi-aarch64 qemu-system-arm qemu-user-static"
    assert said.err == f"error: apt-get install {packages}\n"
    assert said.out == ""
    assert missing_packages([Trial("debian-13", "1.36.4")]) == []


def test_a_trial_pulls_what_its_level_needs() -> None:
    assert Trial("debian-13", "1.36.4").mirrored == "1.36.4"
    assert Trial("debian-13", "1.36.4", "arm64", "boot").mirrored == "pause:3.10.2"


def test_a_broken_image_keeps_what_every_trial_needs() -> None:
    for broken in broken_images():
        settings = node(broken, "http://198.51.100.1:8789")
        assert settings["preloadImages"] is True
        assert bool(broken.step) == ("steps" in settings)


def test_a_name_that_nobody_knows_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["tests.kubernetes", "debian-1 1.1"])
    with pytest.raises(SystemExit):
        main()
    assert "no such trial: debian-1 1.1; --list shows all" in capsys.readouterr().err
