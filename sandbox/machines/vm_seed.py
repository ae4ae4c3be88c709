"""What a machine with a kernel of its own is told: a disc that cloud-init reads (NoCloud). Pure: text in, files out."""

from __future__ import annotations

import json
import shlex

from sandbox.machines import Boot, seed
from sandbox.machines.network import GATEWAY, MACHINES, RESOLVER, Cable, publication

LABEL = "cidata"


def files(boot: Boot) -> dict[str, str]:
    """Name on the disc -> content."""
    return {
        "meta-data": seed.meta_data(boot),
        "user-data": boot.user_data or seed.cloud_config({}),
        "vendor-data": vendor_data(boot),
        "network-config": network_config(Cable.of(boot.address)),
    }


def vendor_data(boot: Boot) -> str:
    """As for other machines. What would be mounted below /run in a container is written there at each boot."""
    units = {}
    if boot.root_password:
        units["ssh.service.d/sandbox.conf"] = f"[Service]\nEnvironment='{seed.sshd_options(boot).strip()}'\n"
    if boot.disk_full:
        units["cloud-final.service.d/sandbox.conf"] = seed.FILLS_THE_DISK
    commands = [["sh", "-c", written(path, text)] for path, text in units.items()]
    reload = [["systemctl", "daemon-reload"]] if units else []
    return seed.cloud_config({**seed.vendor_settings(boot), "bootcmd": [*commands, *reload, published(boot.address)]})


def published(address: str) -> list[str]:
    """At each boot. Gap: not where the user data has a `bootcmd` of its own, which takes the place of this one."""
    commands = " && ".join(shlex.join(command) for command in publication(address))
    return ["sh", "-c", f"{commands} || echo 'sandbox: {address} is not set up'"]


def written(path: str, text: str) -> str:
    """Shell that writes a drop-in of a unit."""
    file = f"/run/systemd/system/{path}"
    return f"mkdir -p {file.rpartition('/')[0]} && cat > {file} <<'EOF'\n{text}EOF"


def network_config(cable: Cable) -> str:
    """One network card, found by its address."""
    card = {
        "match": {"macaddress": cable.mac},
        "addresses": [f"{cable.address}/{MACHINES.prefixlen}"],
        "routes": [{"to": "0.0.0.0/0", "via": GATEWAY}],
        "nameservers": {"addresses": [RESOLVER]},
    }
    return json.dumps({"version": 2, "ethernets": {"eth0": {**card, "set-name": "eth0"}}}) + "\n"
