"""What firewalls mean for the network of the machines; nft itself reads the rules."""

from __future__ import annotations

import ipaddress
import subprocess
from datetime import UTC, datetime

import pytest

from sandbox.machines.network import GATEWAY, Allowed, Cable, Filter, known_networks, ruleset
from sandbox.resources.firewalls.filters import filter_of
from sandbox.resources.firewalls.models import Firewall
from sandbox.resources.firewalls.rules import Rule

SSH_PORT = 2222


def firewall(*rules: Rule) -> Firewall:
    return Firewall(id=1, name="f", rules=list(rules), created=datetime.now(UTC))


def incoming(port: str | None, *sources: str, protocol: str = "tcp") -> Rule:
    return Rule(direction="in", protocol=protocol, port=port, source_ips=list(sources))


def test_a_rule_for_the_sandboxs_ssh_port_opens_that_of_sshd() -> None:
    opened = filter_of([firewall(incoming(str(SSH_PORT), "0.0.0.0/0"))], SSH_PORT)
    assert [item.ports for item in opened.incoming] == [str(SSH_PORT), "22"]
    assert [item.ports for item in filter_of([firewall(incoming("2000-3000", "::/0"))], SSH_PORT).incoming] == [
        "2000-3000",
        "22",
    ]
    assert [item.ports for item in filter_of([firewall(incoming("80", "::/0"))], SSH_PORT).incoming] == ["80"]


def test_a_firewall_without_rules_lets_nothing_in_and_everything_out() -> None:
    closed = filter_of([firewall()], SSH_PORT)
    assert closed == Filter((), ())
    text = ruleset({7: closed})
    assert "chain to_m7 {\n    drop;" in text
    assert "jump from_m7" not in text


@pytest.mark.parametrize("networks", [("0.0.0.0/0",), ("127.0.0.0/8",), ("127.0.0.1/32", "10.0.0.0/8")])
def test_whoever_comes_from_the_host_comes_through_the_gateway(networks: tuple[str, ...]) -> None:
    allowed = [ipaddress.ip_network(text) for text in known_networks(networks)]
    assert any(ipaddress.ip_address(GATEWAY) in network for network in allowed)


def test_what_leaves_is_then_asked_of_the_receiver() -> None:
    out = Rule(direction="out", protocol="tcp", port="443", destination_ips=["0.0.0.0/0"])
    text = ruleset({7: filter_of([firewall(out)], SSH_PORT)})
    assert "dport 443 return;" in text
    assert "accept" not in text.partition("chain from_m7")[2].partition("}")[0]


def test_others_do_not() -> None:
    assert known_networks(["10.0.0.0/8", "2001:db8::/32"]) == ["10.0.0.0/8"]


def test_nft_reads_every_kind_of_rule() -> None:
    """Checked in a network namespace of its own, so that nothing of the host's is touched."""
    rules = [
        incoming("80", "10.0.0.0/8", "127.0.0.0/8", "2001:db8::/32"),
        incoming("8000-9000", "0.0.0.0/0", protocol="udp"),
        incoming(None, "0.0.0.0/0", "10.0.0.0/8", protocol="icmp"),
        incoming("any", "192.0.2.0/24"),
        incoming(None, "192.0.2.0/24", protocol="gre"),
        incoming(None, "192.0.2.0/24", protocol="esp"),
        incoming("80", "2001:db8::/32"),
        Rule(direction="out", protocol="tcp", port="443", destination_ips=["0.0.0.0/0"]),
    ]
    text = ruleset({1: filter_of([firewall(*rules)], SSH_PORT), 254: Filter((Allowed("tcp", "22", ("10.1.2.3/32",)),))})
    command = ["unshare", "--net", "nft", "--file", "-"]
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"{done.stderr}\n{text}"


def test_a_machine_has_one_number_in_all_its_names() -> None:
    cable = Cable.of("127.34.83.17")
    assert (cable.device, cable.address, cable.mac) == ("m17", "198.18.1.17", "96:00:00:12:01:11")
    assert cable.forwards("127.34.83.17", SSH_PORT) == [
        "127.34.83.17:2222=198.18.1.17:22",
        "127.34.83.17:6443=198.18.1.17:6443",
    ]
