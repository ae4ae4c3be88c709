"""What `make cluster` reads of its stack file, which names the sandbox of `make sandbox`."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from images.stackfile import read_config
from recipe.problems import ProblemsError
from tools.cluster.waiting import ClusterError
from tools.tryout import ROOT
from tools.tryout import STACK_FILE as SANDBOX_FILE

STACK = "cluster"
STACK_FILE = ROOT / "stacks" / f"Pulumi.{STACK}.yaml"
SHARED = ("hcloud:endpoint", "hcloud:token", "node-images:sshPort", "node-images:artifacts")
"""Keys that tell where sandbox and mirror listen."""


@dataclass(frozen=True)
class Settings:
    """Where the sandbox listens, and the version of Kubernetes."""

    endpoint: str
    token: str
    ssh_port: int
    kubernetes: str


def settings(file: Path = STACK_FILE, sandbox_file: Path = SANDBOX_FILE) -> Settings:
    """Read them. Raises ClusterError where a key is missing, or where the sandbox's stack file says something else."""
    config, sandbox = _config(file), _config(sandbox_file)
    different = [key for key in SHARED if config.get(key) != sandbox.get(key)]
    if different:
        raise ClusterError(
            f"{file} and {sandbox_file} name different places: {', '.join(different)}. Both use one sandbox: make them the same"
        )
    try:
        return Settings(
            endpoint=str(config["hcloud:endpoint"]),
            token=str(config["hcloud:token"]),
            ssh_port=int(config["node-images:sshPort"]),
            kubernetes=str(config["node-images:images"][0]["kubernetes"][0]),
        )
    except (KeyError, IndexError, TypeError, ValueError):
        raise ClusterError(
            f"{file} needs hcloud:endpoint, hcloud:token, a number as node-images:sshPort, and node-images:images with a "
            "version of Kubernetes; `git diff stacks` shows what changed"
        ) from None


def _config(file: Path) -> Mapping[str, Any]:
    try:
        return read_config(file)
    except ProblemsError as error:
        reason = " ".join(str(error).split())
        raise ClusterError(
            f"{file} cannot be read as a stack file: {reason}; `git diff stacks` shows what changed"
        ) from None
