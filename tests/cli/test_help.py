"""The help is in the order of tasks, with examples that the command line takes; shells complete from it."""

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest
import typer
from typer.testing import CliRunner

from cli import version
from cli.__main__ import app
from cli.help import EXAMPLES, TASKS
from images.exports import INTERFACE

ROOT = Path(__file__).parents[2]
COMMANDS: dict[str, click.Command] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
LISTED = [name for names in TASKS.values() for name in names]


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, [*arguments], env={"COLUMNS": "200", "TERM": "dumb"})
    assert result.exit_code == 0, result.output
    return re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)


def test_every_command_has_its_place_and_examples() -> None:
    assert list(COMMANDS) == LISTED
    assert set(EXAMPLES) == set(LISTED)


def test_commands_stand_below_their_tasks() -> None:
    text = shown("--help")
    places = [text.index(title) for title in (*TASKS, "─ Options")]
    assert places[:-1] == sorted(places[:-1])
    for task, commands in TASKS.items():
        box = text[text.index(f"─ {task}") :].partition("╰")[0]
        assert re.findall(r"^│ (\w+)", box, re.MULTILINE) == list(commands)


@pytest.mark.parametrize("name", LISTED)
def test_the_help_of_a_command_has_its_examples(name: str) -> None:
    text = shown(name, "--help")
    for line in EXAMPLES[name]:
        assert re.search(rf"^ *{re.escape(line if 'node-images' in line else './node-images ' + line)} *$", text, re.M)


@pytest.mark.parametrize("line", [line for lines in EXAMPLES.values() for line in lines])
def test_the_command_line_takes_each_example(line: str) -> None:
    words = shlex.split(re.sub(r'^eval "\$\(\./node-images (.*)\)"$', r"\1", line))
    command = COMMANDS[words[0]]
    command.make_context(words[0], words[1:])


def test_the_version_tells_what_somebody_has_to_know_for_a_question() -> None:
    text = shown("--version")
    assert re.match(r"node-images \S+", text)
    assert f"interface {INTERFACE}" in text
    assert re.search(r"Pulumi: \d+\.\d+\.\d+", text)


def test_a_copy_without_git_has_a_version_all_the_same(tmp_path: Path) -> None:
    (tmp_path / version.PINS).parent.mkdir(parents=True)
    (tmp_path / version.PINS).write_text((ROOT / version.PINS).read_text())
    assert version.version_text(tmp_path).startswith("node-images (no git checkout)\n")


def test_bash_completes_with_what_the_page_says() -> None:
    """As a shell does it: the function of the script is called with what was typed."""
    script = """
        eval "$(./node-images completion bash)"
        complete -p node-images
        complete_it() {
            COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
            _node_images_completion "$1"
            echo "${COMPREPLY[*]}"
        }
        complete_it ./node-images ca
        complete_it ./node-images summary --st
        complete_it ./node-images summary --stack pro
        complete_it ./node-images render image --os rock
    """
    done = subprocess.run(["bash", "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.stderr == ""
    function, *answers = done.stdout.splitlines()
    assert "-F _node_images_completion" in function
    assert answers == ["catalogue", "--stack", "prod", "rocky-9 rocky-10"]


@pytest.mark.parametrize(
    ("shell", "said"), [("zsh", "#compdef node-images"), ("fish", "complete --command node-images")]
)
def test_other_shells_have_their_scripts(shell: str, said: str) -> None:
    assert said in shown("completion", shell)
