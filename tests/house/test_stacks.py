"""What the stack files that come with the repository say of each other and of the sandbox."""

from pathlib import Path

import pytest
import yaml

from sandbox.settings import TOKEN


@pytest.mark.parametrize("stack", ["sandbox", "cluster"])
def test_a_stack_of_the_sandbox_and_its_env_open_the_same_project(stack: str) -> None:
    """Each token opens a project of its own, and `make sandbox-env` shows people what the stack has made."""
    config = yaml.safe_load(Path(f"stacks/Pulumi.{stack}.yaml").read_text())["config"]
    assert config["hcloud:token"] == TOKEN
