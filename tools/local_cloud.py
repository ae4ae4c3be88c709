"""Start and stop what a local stack talks to: the sandbox and the artifact mirror, on the ports that its stack file names."""

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

from tools.children import to_its_end

ROOT = Path(__file__).parents[1]
OWN_KERNEL = ("kernel", "own")
"""The label by which a server gets a kernel of its own."""
STACK_FILE = ROOT / "stacks" / "Pulumi.sandbox.yaml"


def commands(action: str, text: str) -> list[list[str]]:
    """The command lines that `start` or `stop` both, after the text of the stack file."""
    config = settings(text)
    if action == "stop":
        return [_module("mirror", "stop"), _module("sandbox", "stop")]
    starts = [sandbox_start(config)]
    mirror = (config.get("node-images:artifacts") or {}).get("mirror")
    return [*starts, *([_module("mirror", "start", "--port", _port(mirror))] if mirror else [])]


def settings(text: str | None = None) -> dict[str, Any]:
    """Those of the stack file."""
    return dict(yaml.safe_load(STACK_FILE.read_text() if text is None else text)["config"])


def sandbox_start(config: Mapping[str, Any]) -> list[str]:
    """The command that starts the sandbox. A server with the label gets a kernel of its own, whatever the others are."""
    ports = ["--port", _port(config["hcloud:endpoint"]), "--ssh-port", str(config["node-images:sshPort"])]
    with_disks = os.environ.get("SANDBOX_MACHINES", "real") in ("real", "light")
    return _module("sandbox", "start", *ports, *(["--vm-for", "=".join(OWN_KERNEL)] if with_disks else []))


def main() -> int:
    """Run the action that the command line names; return the first exit code that is not zero."""
    try:
        wanted = commands(sys.argv[1], STACK_FILE.read_text())
    except (OSError, KeyError, TypeError, yaml.YAMLError) as error:
        reason = f"there is no {error.args[0]}" if isinstance(error, KeyError) else " ".join(str(error).split())
        print(f"error: {STACK_FILE} does not say where the sandbox listens: {reason}.", file=sys.stderr)
        print(
            "    It needs hcloud:endpoint and node-images:sshPort; `git diff stacks` shows what changed.",
            file=sys.stderr,
        )
        return 1
    try:
        code = next((code for command in wanted if (code := run(command))), 0)
    except KeyboardInterrupt:
        return 130
    if code and sys.argv[1] == "start":
        print(f"    The ports stand in {STACK_FILE}: hcloud:endpoint, sshPort, artifacts.mirror.", file=sys.stderr)
    return code


def run(command: list[str]) -> int:
    """The exit code of a command."""
    with subprocess.Popen(command, cwd=ROOT) as process:
        to_its_end(process)
    return process.returncode


def _module(*arguments: str) -> list[str]:
    return [sys.executable, "-m", *arguments]


def _port(url: str) -> str:
    port = urlsplit(str(url)).port
    if port is None:
        raise KeyError(f"a port in {url}")
    return str(port)


if __name__ == "__main__":
    sys.exit(main())
