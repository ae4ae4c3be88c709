"""What the engine says while it works is shown; its first error is left to whoever asked."""

import pytest

from cli import engine


def test_progress_is_passed_on_up_to_the_first_error(capsys: pytest.CaptureFixture[str]) -> None:
    script = "echo building it >&2; echo '{}'; echo 'error: no room' >&2; echo '  Make room' >&2; exit 3"
    result = engine._run_aloud(["sh", "-c", script])
    assert (result.returncode, result.stdout) == (3, "{}\n")
    assert result.stderr == "building it\nerror: no room\n  Make room\n"
    assert capsys.readouterr().err == "building it\n"
