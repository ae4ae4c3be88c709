"""The files that a stack's images are made of, for whoever fills a mirror."""

from typer.testing import CliRunner

from cli.__main__ import app
from recipe import load_lock


def test_every_file_of_the_stack_is_listed_and_locked() -> None:
    result = CliRunner().invoke(app, ["artifacts", "--stack", "prod"])
    assert result.exit_code == 0, result.output
    listed = result.stdout.splitlines()
    assert "https://dl.k8s.io/release/v1.36.4/bin/linux/arm64/kubelet" in listed
    assert [url for url in listed if url not in load_lock()] == []
    assert len(listed) == len(set(listed))
