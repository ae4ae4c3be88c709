"""Label selectors, against a table."""

from __future__ import annotations

import pytest

from sandbox.resources.labels import check_labels, matches

LABELS = {"env": "prod", "tier": "web", "empty": "", "example.com/key": "v.1_2-3"}


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", True),
        ("env", True),
        ("missing", False),
        ("!env", False),
        ("!missing", True),
        ("env=prod", True),
        ("env==prod", True),
        ("env == prod", True),
        ("env=dev", False),
        ("env!=dev", True),
        ("env!=prod", False),
        ("missing!=x", True),
        ("empty=", True),
        ("env=prod,tier=web", True),
        ("env=prod,tier=db", False),
        ("env in (dev,prod)", True),
        ("env in (dev, prod),tier", True),
        ("env in (dev)", False),
        ("env notin (dev)", True),
        ("missing notin (dev)", True),
        ("env notin (dev,prod)", False),
        ("example.com/key=v.1_2-3", True),
    ],
)
def test_selector(selector: str, expected: bool) -> None:
    assert matches(selector, LABELS) is expected


@pytest.mark.parametrize("selector", ["=", "a=b=c", "a in b", "a b", "a,,b", "!", "a in (b"])
def test_malformed_selector(selector: str) -> None:
    with pytest.raises(ValueError, match="malformed"):
        matches(selector, LABELS)


@pytest.mark.parametrize(
    "labels",
    [{"": "v"}, {"-a": "v"}, {"a": "-v"}, {"a": "v/w"}, {"a" * 64: ""}, {"a": "v" * 64}, {"/a": ""}, {"a b": ""}],
)
def test_malformed_labels(labels: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not correctly formatted"):
        check_labels(labels)


def test_good_labels() -> None:
    assert check_labels(LABELS) == LABELS
