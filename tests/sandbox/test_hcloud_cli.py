"""Debian's hcloud command line tool, an independent and older client, does what users do with it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.sandbox.conftest import Sandbox


def test_it_creates_a_server_snapshots_it_and_finds_the_snapshot_by_label(sandbox: Sandbox, key_pair: Path) -> None:
    def hcloud(*arguments: str) -> str:
        done = sandbox.hcloud_cli(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    hcloud("ssh-key", "create", "--name", "k", "--public-key-from-file", f"{key_pair}.pub")
    hcloud(
        "server",
        "create",
        "--name",
        "s",
        "--type",
        "cx23",
        "--image",
        "debian-13",
        "--location",
        "nbg1",
        "--ssh-key",
        "k",
    )
    assert "nbg1" in hcloud("server", "describe", "s")
    assert hcloud("server", "ip", "s").startswith("127.")
    hcloud("server", "shutdown", "s")
    hcloud("server", "poweroff", "s")
    hcloud("server", "create-image", "s", "--type", "snapshot", "--description", "mine", "--label", "role=node")
    found = json.loads(hcloud("image", "list", "--selector", "role=node", "--type", "snapshot", "-o", "json"))
    assert [image["description"] for image in found] == ["mine"]
    hcloud("server", "create", "--name", "s2", "--type", "cx23", "--image", str(found[0]["id"]))
    assert hcloud("server", "list", "-o", "columns=name,status", "-o", "noheader").split() == [
        "s",
        "off",
        "s2",
        "running",
    ]
    for server in ("s", "s2"):
        hcloud("server", "delete", server)
    hcloud("image", "delete", str(found[0]["id"]))
    assert hcloud("image", "list", "--type", "snapshot", "-o", "noheader") == ""


def test_it_shows_what_is_on_offer(sandbox: Sandbox) -> None:
    for what, expected in (("server-type", "cx23"), ("location", "fsn1"), ("image", "debian-13")):
        done = sandbox.hcloud_cli(what, "list")
        assert done.returncode == 0 and expected in done.stdout, done.stdout + done.stderr


def test_it_reports_our_errors_as_the_real_ones(sandbox: Sandbox) -> None:
    refused = sandbox.hcloud_cli("server", "create", "--name", "under_score", "--type", "cx23", "--image", "debian-13")
    assert refused.returncode != 0
    assert "invalid_input" in refused.stderr and "name" in refused.stderr
