"""The summary shows what people need: names, figures, and the lines to paste, which CAPH's schema must take."""

import io

import pytest
from rich.console import Console

from cli.exports import load_images
from cli.summary import show, template_lines
from images.exports import ImageRecord
from recipe.problems import ProblemsError
from tests.exports import exports, image

RECORD = image(sizes={"amd64": 0.314}, tests={"amd64": {"passed": 79, "total": 80}})


def shown(*records: dict, **seconds: float) -> str:
    console = Console(file=io.StringIO(), width=140)
    show(console, [ImageRecord.model_validate(record) for record in records], seconds)
    return console.file.getvalue()


def test_every_figure_is_there() -> None:
    text = shown(RECORD, up=61.4)
    for part in ("debian-13-kube-1.36.4-0a1b2c3d", "42 (amd64)", "0.31 GB", "1.36.4", "2.3.4", "79 of 80 passed", "61"):
        assert part in text


def test_a_tarball_is_shown_where_there_is_one() -> None:
    tarballs = {"amd64": {"path": "tarballs/prod/Debian-1300.tar.gz", "sha256": "0" * 64, "size": 412_000_000}}
    assert "Tarball" not in shown(RECORD)
    assert "tarballs/prod/Debian-1300.tar.gz (amd64), 0.41 GB" in shown({**RECORD, "tarballs": tarballs})


def test_parts_of_a_phase_do_not_count_twice() -> None:
    assert (
        " 70" in shown(RECORD, **{"up": 60.0, "  Provisioning": 40.0, "sandbox": 10.0}).split("All")[1].splitlines()[0]
    )


def test_the_lines_to_paste_name_the_image() -> None:
    assert "          imageName: debian-13-kube-1.36.4-0a1b2c3d" in template_lines(ImageRecord.model_validate(RECORD))
    assert template_lines(ImageRecord.model_validate(RECORD)) in shown(RECORD)


def test_the_images_of_a_stack_without_outputs_are_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.exports.stack_outputs", lambda _stack: {})
    assert load_images("test") == []


def test_the_images_of_a_stack_are_those_that_it_exports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cli.exports.stack_outputs", lambda _stack: exports(RECORD))
    assert load_images("test") == [ImageRecord.model_validate(RECORD)]
    monkeypatch.setattr("cli.exports.stack_outputs", lambda _stack: {"images": [RECORD]})
    with pytest.raises(ProblemsError, match="exports of stack test: interface"):
        load_images("test")


def test_an_empty_stack_says_what_to_do() -> None:
    assert "run `up` first" in shown()
