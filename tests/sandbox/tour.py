"""Every command that the hcloud command line has, in an order in which each can succeed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.sandbox.conftest import TOKEN, Sandbox

LOCAL = ("completion", "help", "version", "context")
"""Commands that ask no API."""

STEPS = """
location list
location describe fsn1
server-type list
server-type describe cx23
image list --type system
image describe debian-13
iso list
iso describe {iso}
load-balancer-type list
load-balancer-type describe lb11
datacenter list
datacenter describe fsn1-dc14

ssh-key create --name key --public-key-from-file {key}.pub --label a=b
ssh-key list
ssh-key describe key
ssh-key update key --name key2
ssh-key add-label key2 c=d
ssh-key remove-label key2 c

placement-group create --name group --type spread
placement-group list
placement-group describe group
placement-group update group --name group2
placement-group add-label group2 c=d
placement-group remove-label group2 c

firewall create --name wall --rules-file {rules}
firewall list
firewall describe wall
firewall update wall --name wall2
firewall add-label wall2 c=d
firewall remove-label wall2 c
firewall add-rule wall2 --direction in --protocol tcp --port 80 --source-ips 0.0.0.0/0
firewall delete-rule wall2 --direction in --protocol tcp --port 80 --source-ips 0.0.0.0/0
firewall replace-rules wall2 --rules-file {rules}

server create --name one --type cx23 --image debian-13 --location fsn1 --ssh-key key2
server create --name two --type cx23 --image debian-13 --location fsn1 --ssh-key key2
server list
server describe one
server ip one
server ssh -p {ssh_port} one true
server update one --name first
server add-label first c=d
server remove-label first c
server metrics first --type cpu -o json
server request-console first
server reset-password first
server enable-protection first delete rebuild
server disable-protection first delete rebuild
server enable-backup first
server disable-backup first
server set-rdns first --hostname first.example.com
server enable-rescue first --ssh-key key2
server disable-rescue first
server attach-iso first {iso}
server detach-iso first
firewall apply-to-resource wall2 --type server --server first
firewall remove-from-resource wall2 --type server --server first
server reboot first
server reset first
server shutdown first
server poweroff first
server change-type first cx33 --keep-disk
server poweroff first
server add-to-placement-group first --placement-group group2
server remove-from-placement-group first
server create-image first --type snapshot --description shot
server rebuild first --image debian-12
server poweron first

image describe {snapshot}
image update {snapshot} --description better
image add-label {snapshot} c=d
image remove-label {snapshot} c
image enable-protection {snapshot} delete
image disable-protection {snapshot} delete

network create --name net --ip-range 10.0.0.0/16
network list
network describe net
network update net --name net2
network add-label net2 c=d
network remove-label net2 c
network add-subnet net2 --type cloud --network-zone eu-central --ip-range 10.0.1.0/24
network add-subnet net2 --type cloud --network-zone eu-central --ip-range 10.0.2.0/24
network remove-subnet net2 --ip-range 10.0.2.0/24
network add-route net2 --destination 10.100.1.0/24 --gateway 10.0.1.200
network remove-route net2 --destination 10.100.1.0/24 --gateway 10.0.1.200
network change-ip-range net2 --ip-range 10.0.0.0/12
network enable-protection net2 delete
network disable-protection net2 delete
server attach-to-network first --network net2 --ip 10.0.1.5
server change-alias-ips first --network net2 --alias-ips 10.0.1.6

load-balancer create --name balancer --type lb11 --location fsn1
load-balancer list
load-balancer describe balancer
load-balancer update balancer --name balancer2
load-balancer add-label balancer2 c=d
load-balancer remove-label balancer2 c
load-balancer add-service balancer2 --protocol tcp --listen-port 6443 --destination-port 6443
load-balancer update-service balancer2 --listen-port 6443 --destination-port 6444
load-balancer delete-service balancer2 --listen-port 6443
load-balancer add-target balancer2 --server first
load-balancer remove-target balancer2 --server first
load-balancer change-algorithm balancer2 --algorithm-type least_connections
load-balancer change-type balancer2 lb21
load-balancer attach-to-network balancer2 --network net2
load-balancer disable-public-interface balancer2
load-balancer enable-public-interface balancer2
load-balancer detach-from-network balancer2 --network net2
load-balancer enable-protection balancer2 delete
load-balancer disable-protection balancer2 delete
load-balancer set-rdns balancer2 --hostname balancer.example.com
load-balancer metrics balancer2 --type open_connections -o json
load-balancer delete balancer2

server detach-from-network first --network net2
network delete net2

primary-ip create --name ip --type ipv4 --datacenter fsn1-dc14
primary-ip list
primary-ip describe ip
primary-ip update ip --name ip2
primary-ip set-rdns ip2 --hostname ip.example.com --ip {primary_ip}
primary-ip enable-protection ip2
primary-ip disable-protection ip2
server poweroff two
primary-ip unassign {primary_ip_of_two}
primary-ip assign ip2 --server two
primary-ip unassign ip2
primary-ip delete ip2

floating-ip create --name float --type ipv4 --home-location fsn1
floating-ip list
floating-ip describe float
floating-ip update float --name float2
floating-ip add-label float2 c=d
floating-ip remove-label float2 c
floating-ip assign float2 first
floating-ip unassign float2
floating-ip set-rdns float2 --hostname float.example.com
floating-ip enable-protection float2 delete
floating-ip disable-protection float2 delete
floating-ip delete float2

volume create --name volume --size 10 --location fsn1
volume list
volume describe volume
volume update volume --name volume2
volume add-label volume2 c=d
volume remove-label volume2 c
volume attach volume2 --server first
volume detach volume2
volume resize volume2 --size 11
volume enable-protection volume2 delete
volume disable-protection volume2 delete
volume delete volume2

certificate create --name cert --cert-file {certificate} --key-file {certificate_key}
certificate list
certificate describe cert
certificate update cert --name cert2
certificate add-label cert2 c=d
certificate remove-label cert2 c
certificate delete cert2

server delete first
server delete two
image delete {snapshot}
placement-group delete group2
firewall delete wall2
ssh-key delete key2
"""


@dataclass(frozen=True)
class Step:
    """One command and how it ended: "" or the error that was shown."""

    command: str
    error: str

    @property
    def name(self) -> str:
        """``server create``."""
        return " ".join(self.command.split()[:2])


def walk(sandbox: Sandbox, key: Path, folder: Path) -> Iterator[Step]:
    """All steps; one that fails does not hold up the others. ``key``: with its public half beside it."""
    files = written(folder)
    shim = remembering_no_host(folder / "bin", key)
    for command in filter(None, STEPS.splitlines()):
        known = {"key": str(key), "ssh_port": str(sandbox.ssh_port), **files}
        known |= {name: found(sandbox, name) for name in re.findall(r"{(\w+)}", command) if name not in known}
        done = run(sandbox, shlex.split(command.format(**known)), shim)
        yield Step(command, "" if done.returncode == 0 else done.stderr.strip() or f"exit status {done.returncode}")


def run(sandbox: Sandbox, words: list[str], path: Path) -> subprocess.CompletedProcess[str]:
    """With ``path`` before all else that programs are looked for in."""
    variables = {"HCLOUD_ENDPOINT": sandbox.url, "HCLOUD_TOKEN": TOKEN, "HOME": str(path.parent)}
    environment = os.environ | variables | {"PATH": f"{path}:{os.environ['PATH']}"}
    command = ["hcloud", "--poll-interval", "20ms", *words]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, stdin=subprocess.DEVNULL
    )


LOOKED_UP = {
    "snapshot": ("images", "type=snapshot", "id"),
    "iso": ("isos", "", "id"),
    "primary_ip": ("primary_ips", "name=ip2", "ip"),
}


def found(sandbox: Sandbox, name: str) -> str:
    """What only the API can tell: ids and addresses; "0" where there is none."""
    with sandbox.client() as client:
        if name == "primary_ip_of_two":
            servers = client.get("/servers?name=two").json()["servers"]
            return str(servers[0]["public_net"]["ipv4"]["id"]) if servers else "0"
        kind, query, field = LOOKED_UP[name]
        listed = client.get(f"/{kind}?{query}").json()[kind]
        return str(listed[0][field]) if listed else "0"


def written(folder: Path) -> dict[str, str]:
    """Files that commands read, by their placeholder."""
    rules = '[{"direction": "in", "protocol": "tcp", "port": "22", "source_ips": ["0.0.0.0/0"]}]'
    certificate, key = self_signed("example.com")
    texts = {"rules": rules, "certificate": certificate, "certificate_key": key}
    for name, text in texts.items():
        (folder / name).write_text(text)
    return {name: str(folder / name) for name in texts}


def self_signed(name: str) -> tuple[str, str]:
    """A certificate and its key, as PEM."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
    builder = x509.CertificateBuilder().subject_name(subject).issuer_name(subject).public_key(key.public_key())
    dated = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=90))
    valid = dated.add_extension(alternative, critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return valid.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode(), private.decode()


def remembering_no_host(folder: Path, key: Path) -> Path:
    """An ``ssh`` that takes our key and any host's; the folder that it is in."""
    folder.mkdir()
    options = f"-i {shlex.quote(str(key))} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o BatchMode=yes"
    program = folder / "ssh"
    program.write_text(f'#!/bin/sh\nexec /usr/bin/ssh {options} "$@"\n')
    program.chmod(0o755)
    return folder


def commands() -> set[str]:
    """Every command that asks the API, from the program's own help."""
    groups = [name for name in listed() if name not in LOCAL]
    return {f"{group} {name}" for group in groups for name in listed(group)}


def listed(*words: str) -> list[str]:
    """The commands below a command."""
    text = subprocess.run(["hcloud", *words, "--help"], capture_output=True, text=True, check=True).stdout
    _, _, after = text.partition("Available Commands:\n")
    return [line.split()[0] for line in after.partition("\n\n")[0].splitlines()]
