"""What a machine with a kernel of its own is told about its public address."""

from __future__ import annotations

import json
from typing import Any

from sandbox.machines import Boot
from sandbox.machines.vm_seed import vendor_data

ADDRESS = "127.34.83.7"


def bootcmd(**more: Any) -> list[list[str]]:
    _, _, text = vendor_data(Boot(1, "s", ADDRESS, **more)).partition("\n")
    commands: list[list[str]] = json.loads(text)["bootcmd"]
    return commands


def test_it_sets_up_its_public_address_at_each_boot() -> None:
    (shell, option, script), *others = bootcmd()
    assert (shell, option, others) == ("sh", "-c", [])
    for part in (
        "ip address add 127.34.83.7/32 dev lo",
        "ip route add 127.34.83.0/24 via 198.18.0.1 dev eth0 src 127.34.83.7 table local",
        "net.ipv4.conf.eth0.route_localnet=1",
    ):
        assert part in script


def test_units_are_read_again_before() -> None:
    assert [command[0] for command in bootcmd(root_password="secret", disk_full=True)] == [
        "sh",
        "sh",
        "systemctl",
        "sh",
    ]
