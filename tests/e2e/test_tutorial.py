"""docs/tutorial.md, typed as it stands: each command succeeds and prints what the page shows, each edit fits its file.

With the small recipe and light machines, as none of it depends on what is on a node.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.workspace import ROOT, TOKEN, Workspace, close_workspace, prepare_workspace, use_small_recipe

PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARIES = (
    # Digests, ids, sizes, prices, seconds, counts of resources and tests, dates: of one run, one recipe and one day.
    (r"(-kube-[\d.]+)-[0-9a-f]{8}(-[0-9a-f]{6})?", r"\1"),
    (r"\b\d{5,}\b", "ID"),
    (r"\b\d+(\.\d+)? (s|GB|to create|created|deleted|unchanged)\b", r"N \2"),
    (r"\b\d+ of \d+ passed", "ALL passed"),
    (r"\s+", " "),
)


def general(line: str) -> str:
    """A line without what differs from run to run."""
    for pattern, replacement in VARIES:
        line = re.sub(pattern, replacement, line)
    return line.strip()


def missing(shown: str, printed: str) -> list[str]:
    """The first line shown that was not printed, after the ones before it; `…` stands for any lines."""
    rest = iter([general(line) for line in printed.splitlines()])
    return [line for line in shown.splitlines() if line != "…" and general(line) not in rest][:1]


def edit(file: Path, diff: str) -> None:
    """Replace the lines of a diff that are there by those that shall be."""
    lines = diff.splitlines(keepends=True)
    old, new = ("".join(line[1:] for line in lines if line[0] in kept) for kept in (" -", " +"))
    text = file.read_text()
    assert text.count(old) == 1, f"{file.name} does not have once:\n{old}"
    file.write_text(text.replace(old, new))


@dataclass
class Reader:
    """Somebody who types what the page says, in one shell."""

    workspace: Workspace
    settings: list[str] = field(default_factory=list)
    printed: str = ""

    def types(self, commands: str) -> None:
        script = "\n".join(["set -e", *self.settings, commands])
        mine = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI", "HCLOUD"))}
        # What people answer: yes, and the API token.
        environment = {
            **mine,
            "NO_COLOR": "1",
            "SANDBOX_MACHINES": "light",
            "PULUMI_SKIP_CONFIRMATIONS": "true",
            "PULUMI_OPTION_SKIP_PREVIEW": "true",
        }
        result = subprocess.run(
            ["bash", "-c", script],
            cwd=self.workspace.root,
            env=environment,
            input=TOKEN,
            capture_output=True,
            text=True,
        )
        self.printed = result.stdout + result.stderr
        assert result.returncode == 0, f"{commands}\n{self.printed}"
        self.settings += [line for line in commands.splitlines() if line.startswith(("eval ", "export ", "unset "))]


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    workspace = prepare_workspace(tmp_path_factory.mktemp("tutorial"))
    use_small_recipe(workspace)
    (workspace.root / "recipe/steps/15-package-date.debian.sh").unlink()
    original = (ROOT / "stacks/Pulumi.sandbox.yaml").read_text()
    without_mirror = re.sub(r"  node-images:artifacts:\n(    .*\n)+", "", original)
    for text, own in (("8787", workspace.api_port), ("2222", workspace.ssh_port)):
        without_mirror = without_mirror.replace(text, str(own))
    workspace.stack_file.write_text(without_mirror)
    dev = workspace.root / "stacks/Pulumi.dev.yaml"
    place = f"  hcloud:endpoint: {workspace.endpoint}\n  node-images:sshPort: {workspace.ssh_port}\n"
    dev.write_text(dev.read_text() + place)
    git = (
        "git init --quiet && git add . && git -c user.name=me -c user.email=me@localhost commit --quiet --message=start"
    )
    assert workspace.run("bash", "-c", git).returncode == 0
    yield Reader(workspace)
    close_workspace(workspace)


def blocks() -> Sequence[tuple[str, str]]:
    return BLOCK.findall(PAGE.read_text())


def test_the_tutorial_does_what_it_says(reader: Reader) -> None:
    edited = Path()
    for kind, text in blocks():
        if kind == "sh":
            reader.types(text)
        elif kind == "text":
            assert missing(text, reader.printed) == [], reader.printed
        else:
            assert kind == "diff", kind
            name, _, change = text.partition("\n")
            edited = reader.workspace.root / shlex.split(name)[-1]
            edit(edited, change)
    assert edited.name, "the page changes files"
    reader.workspace.nothing_left_over()


def test_a_line_that_was_not_printed_is_found() -> None:
    printed = "debian-13-kube-1.36.4-00000000  2 s\nend\n"
    assert missing("debian-13-kube-1.36.4-11111111  3 s\n…\nend\n", printed) == []
    assert missing("debian-13-kube-1.36.3-00000000  2 s\n", printed) == ["debian-13-kube-1.36.3-00000000  2 s"]
    assert missing("end\ndebian-13-kube-1.36.4-00000000  2 s\n", printed) == ["debian-13-kube-1.36.4-00000000  2 s"]
