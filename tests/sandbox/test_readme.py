"""What the README tells people to send to the control plane is understood."""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path

import pytest

from sandbox.api.control import CONTROL_ROUTES
from sandbox.resources.faults.kinds import KINDS, name_of
from tests.sandbox.conftest import Sandbox

README = (Path(__file__).parents[2] / "sandbox" / "README.md").read_text()
CURL = re.findall(r"^\$ (curl .*?_sandbox.*)$", README, re.MULTILINE)


@pytest.mark.parametrize("command", CURL)
def test_every_curl_line_succeeds(sandbox: Sandbox, command: str) -> None:
    here = command.replace("127.0.0.1:8787", f"127.0.0.1:{sandbox.port}")
    done = subprocess.run(["bash", "-c", f"{here} --silent --fail-with-body"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert json.loads(done.stdout)
    sandbox.control("DELETE", "/answers")


def test_there_are_such_lines_and_every_kind_of_fault_is_named() -> None:
    assert len(CURL) >= 5
    assert [name_of(kind) for kind in KINDS if f"`{name_of(kind)}`" not in README] == []


def test_every_path_of_the_control_plane_is_named() -> None:
    inner = ("/base_images/{name}", "/preparations/{id:int}")  # what `start --prepare` uses
    paths = [path for _method, path, _handler in CONTROL_ROUTES if path not in inner]
    assert [path for path in paths if path.replace(":int", "") not in README] == []
