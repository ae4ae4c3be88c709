"""An image is published after a server of it has booted with a kernel of its own, and kubelet was healthy on it."""

from __future__ import annotations

from collections.abc import Callable

from tests.e2e.workspace import Workspace, start_workspace

PATIENCE = {"boot": 1800, "kubelet": 900, "step": 3600, "action": 1800}
"""Seconds; without hardware virtualisation, beside other tests."""


def test_an_image_is_proved_on_a_kernel_of_its_own(fresh_clone: Workspace, proves: Callable[..., None]) -> None:
    """On a server `/run` is mounted noexec by the initrd, so the tests could not even start there once."""
    workspace = fresh_clone
    workspace.from_snapshot = "vm"
    start_workspace(workspace)
    workspace.configure(verification="boot", timeouts=PATIENCE)
    workspace.settle()
    (image,) = workspace.output("images")
    tests = image["tests"]["amd64"]
    assert (tests["passed"], tests["level"]) == (tests["total"], "boot")
    assert tests["total"] > 380
    assert tests["seconds"]["kubelet"] > 0, "in a container kubelet is never healthy"
    assert workspace.snapshots().keys() == {image["name"]}
    workspace.nothing_left_over()
    workspace.unchanged()
    proves("kernel", "debian-13", "1.36.4")
