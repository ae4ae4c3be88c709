"""Checksum files as each publisher writes them, and what is none."""

import pytest

from recipe.sums import SumsError, sum_of

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    "text",
    [A, f"{A}\n", A.upper(), f"{A}  runc.amd64\n", f"{A} *runc.amd64", f"{A}  ./runc.amd64\r\n",
     f"{B}  runc.arm64\n{A}  runc.amd64\n"],
)  # fmt: skip
def test_the_sum_is_found(text: str) -> None:
    assert sum_of("runc.amd64", text) == A


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        (A[:40], "not a checksum file"),
        ("<html>Not Found</html>", "not a checksum file"),
        (f"{B}  runc.arm64\n{A[:9]}", "not a checksum file"),
        (f"{B}  runc.arm64\n", "does not list runc.amd64"),
        (f"{A}\n{B}\n", "does not list runc.amd64"),
        (f"{A}  runc.amd64\n{B}  runc.amd64\n", "different sums"),
    ],
)
def test_what_does_not_tell_the_sum_is_refused(text: str, said: str) -> None:
    with pytest.raises(SumsError, match=said):
        sum_of("runc.amd64", text)
