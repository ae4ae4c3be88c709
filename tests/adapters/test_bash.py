"""A script is judged by a real bash, where there is one."""

from pathlib import Path

import pytest

from adapters.bash import syntax_error


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("say a\n\nif true; then\n", "line 4: syntax error: unexpected end of file"),
        ("say a\nfi\n", "line 2: syntax error near unexpected token `fi'"),
        ("say 'a\n", "line 1: unexpected EOF while looking for matching `''"),
        ("cat <<END\nrest\n", "warning: here-document at line 1 delimited by end-of-file (wanted `END')"),
    ],
)
def test_what_is_not_bash_is_told_with_its_line(script: str, said: str) -> None:
    assert said in syntax_error(script)
    assert "\n" not in syntax_error(script)


def test_nothing_is_run(tmp_path: Path) -> None:
    assert syntax_error(f"touch {tmp_path}/made\nsay not a program\n") == ""
    assert list(tmp_path.iterdir()) == []


OLD = """#!/bin/bash
[[ $1 == -c ]] || exec /bin/bash "$@"
exec /bin/bash -c "${2/'BASH_VERSINFO[0]'/3}"
"""


@pytest.mark.parametrize("bash", ["", OLD], ids=["none", "old"])
def test_without_a_bash_like_that_of_servers_nothing_is_refused(
    bash: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if bash:
        (tmp_path / "bash").write_text(bash)
        (tmp_path / "bash").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert syntax_error("fi") == ""
