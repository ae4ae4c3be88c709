"""A server is reached at the address of the primary IP that it has, and a primary IP outlives the server."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hcloud.locations import Location

from tests.sandbox.conftest import Sandbox, wait_for
from tests.sandbox.real.conftest import Machine, boot


def answers(machine: Machine, address: str) -> bool:
    machine.address = address
    return machine.ssh("true").returncode == 0


def test_ssh_answers_at_the_primary_ip(light: Sandbox, key_pair: Path) -> None:
    sdk: Any = light.sdk()
    machine = boot(light, key_pair, "s", location=Location(name="fsn1"))
    own = sdk.primary_ips.get_by_id(machine.server.public_net.primary_ipv4.id)
    spare = sdk.primary_ips.create(type="ipv4", name="spare", location=Location(name="fsn1")).primary_ip
    wait_for(lambda: answers(machine, own.ip), 60, 0.2)
    machine.output("echo kept > /root/file")
    machine.server.power_off().wait_until_finished()
    own.unassign().wait_until_finished()
    spare.assign(assignee_id=machine.server.id, assignee_type="server").wait_until_finished()
    machine.server.power_on().wait_until_finished()
    wait_for(lambda: answers(machine, spare.ip), 60, 0.2)
    assert machine.output("cat /root/file") == "kept"
    assert not answers(machine, own.ip)
    own.delete()
    machine.server.delete().wait_until_finished()
    spare.delete()
