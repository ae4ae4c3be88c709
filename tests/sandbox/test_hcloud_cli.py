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


def test_it_puts_a_server_into_a_network_and_behind_a_load_balancer(sandbox: Sandbox) -> None:
    def hcloud(*arguments: str) -> str:
        done = sandbox.hcloud_cli(*arguments)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    hcloud("network", "create", "--name", "n", "--ip-range", "10.0.0.0/16")
    subnet = ("--type", "cloud", "--network-zone", "eu-central", "--ip-range", "10.0.0.0/24")
    hcloud("network", "add-subnet", "n", *subnet)
    hcloud("network", "add-route", "n", "--destination", "10.9.0.0/24", "--gateway", "10.0.0.9")
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
        "--network",
        "n",
    )
    hcloud("server", "change-alias-ips", "s", "--network", "n", "--alias-ips", "10.0.0.7")
    assert "10.0.0.7" in hcloud("server", "describe", "s")
    hcloud("load-balancer", "create", "--name", "lb", "--type", "lb11", "--location", "nbg1")
    hcloud("load-balancer", "attach-to-network", "lb", "--network", "n", "--ip", "10.0.0.5")
    ports = ("--listen-port", "16443", "--destination-port", "6443")
    hcloud("load-balancer", "add-service", "lb", "--protocol", "tcp", *ports)
    check = ("--health-check-protocol", "http", "--health-check-port", "6443", "--health-check-http-path", "/livez")
    hcloud("load-balancer", "update-service", "lb", "--listen-port", "16443", *check)
    hcloud("load-balancer", "add-target", "lb", "--server", "s", "--use-private-ip")
    hcloud("load-balancer", "change-algorithm", "lb", "--algorithm-type", "least_connections")
    shown = json.loads(hcloud("load-balancer", "describe", "lb", "-o", "json"))
    assert (shown["private_net"][0]["ip"], shown["algorithm"]["type"]) == ("10.0.0.5", "least_connections")
    assert shown["services"][0]["health_check"]["http"]["path"] == "/livez"
    assert "lb11" in hcloud("load-balancer-type", "list") and "lb" in hcloud("load-balancer", "list")
    metrics = hcloud("load-balancer", "metrics", "lb", "--type", "bandwidth", "-o", "json")  # it cannot draw zeros
    assert "bandwidth.in" in metrics
    hcloud("load-balancer", "remove-target", "lb", "--server", "s")
    hcloud("load-balancer", "delete-service", "lb", "--listen-port", "16443")
    hcloud("load-balancer", "detach-from-network", "lb", "--network", "n")
    hcloud("load-balancer", "delete", "lb")
    hcloud("server", "detach-from-network", "s", "--network", "n")
    hcloud("network", "remove-route", "n", "--destination", "10.9.0.0/24", "--gateway", "10.0.0.9")
    hcloud("network", "delete", "n")
