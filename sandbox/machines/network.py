"""A network of the sandbox's own, for machines that have one: a network namespace that routes between them.

Each machine hangs on a cable of its own and has an address of its own (198.18.1.N). All packets pass the namespace, which
routes and filters them, as at Hetzner. The world outside is reached through slirp4netns, a network stack in user space, so
the host gets no interface, address or rule. The host's loopback interface is 198.18.255.2 to the machines.

From the host a machine is reached at its 127.x address: some of its ports are forwarded there (forward.sh).
"""

from __future__ import annotations

import ipaddress
import os
import select
import signal
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import SandboxError
from sandbox.process import ProcessId, wait_ended
from sandbox.settings import SBIN, Home

NAMESPACES = Path("/run/netns")
MACHINES = ipaddress.ip_network("198.18.0.0/16")
GATEWAY = "198.18.0.1"
LOOPBACK = ipaddress.IPv4Network("127.0.0.0/8")
OUTSIDE = "198.18.255.0/24"
HOST, RESOLVER = "198.18.255.2", "198.18.255.3"
"""What slirp4netns calls the host's loopback interface, and its answer to DNS questions."""
NETWORK_FILE = "network.json"
"""In the sandbox's home, while the network is there: which slirp4netns serves it."""
UPLINK = "uplink"
LOCAL_TABLE = ("table", "local")
"""What is asked first; the whole loopback range is in it."""
SSH = 22
KUBERNETES_API = 6443
END_SECONDS = 5.0
READY_SECONDS = 10.0


@dataclass(frozen=True)
class Cable:
    """What connects one machine: `number` is the last part of its addresses, the one of the host and its own."""

    number: int

    @classmethod
    def of(cls, address: str) -> Cable:
        """By the address that the host knows."""
        return cls(int(address.rpartition(".")[2]))

    @property
    def device(self) -> str:
        """The end in the sandbox's namespace."""
        return f"m{self.number}"

    @property
    def address(self) -> str:
        """The machine's own."""
        return f"198.18.1.{self.number}"

    @property
    def mac(self) -> str:
        """Of the machine's network card; Hetzner's begin like this."""
        return f"96:00:00:12:01:{self.number:02x}"

    def forwards(self, host_address: str, ssh_port: int) -> list[str]:
        """Ports of the host that lead to the machine, as forward.sh takes them."""
        ports = {ssh_port: SSH, KUBERNETES_API: KUBERNETES_API}
        return [f"{host_address}:{port}={self.address}:{inside}" for port, inside in ports.items()]


@dataclass(frozen=True)
class Allowed:
    """Packets that a firewall lets through: of a protocol, to a range of ports (all of them: empty), from or to networks."""

    protocol: str
    ports: str
    networks: tuple[str, ...]


@dataclass(frozen=True)
class Filter:
    """The firewalls of one machine. Without `outgoing` all may leave, as at Hetzner; what may come must be named."""

    incoming: tuple[Allowed, ...]
    outgoing: tuple[Allowed, ...] = ()


class Network:
    """The namespace of one sandbox."""

    def __init__(self, home: Home) -> None:
        self.name = f"sandbox-{home.key}"
        self.path = NAMESPACES / self.name
        self.process_file = home.path / NETWORK_FILE
        self.log_file = home.path / "network.log"

    def open(self) -> None:
        """Have it; also after a kill -9 of the sandbox at any moment, or of slirp4netns."""
        if not self.path.exists():
            ip("netns", "add", self.name)
            self.filter({})
        ip("-n", self.name, "link", "set", "lo", "up")
        self.inside("sysctl", "--quiet", "--write", "net.ipv4.ip_forward=1")
        if not self.outside():
            self.connect_outside()

    def outside(self) -> ProcessId | None:
        """The slirp4netns of this namespace, if it runs."""
        try:
            process = ProcessId.model_validate_json(self.process_file.read_text())
        except (FileNotFoundError, ValueError):
            return None
        return process if process.alive() else None

    def connect_outside(self) -> None:
        """Start slirp4netns, and wait until its interface is up."""
        ready, tell = os.pipe()
        options = ["--configure", "--mtu=65520", f"--cidr={OUTSIDE}", f"--ready-fd={tell}", "--netns-type=path"]
        with self.log_file.open("wb") as log, os.fdopen(ready, "rb") as answer:
            process = subprocess.Popen(
                ["slirp4netns", *options, str(self.path), UPLINK],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[tell],
                start_new_session=True,
            )
            os.close(tell)
            if known := ProcessId.of(process.pid):
                self.process_file.write_text(known.model_dump_json())
            if select.select([answer], [], [], READY_SECONDS)[0] and answer.read(1):
                return
            process.kill()
            process.wait()
        self.process_file.unlink(missing_ok=True)
        said = self.log_file.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
        message = f"slirp4netns did not start, so the machines would reach nothing: {said[-1]}"
        raise SandboxError(message, "it needs /dev/net/tun, and no other program may hold its interface")

    def close(self) -> None:
        """Leave nothing of it; machines must be off."""
        if process := self.outside():
            process.kill(signal.SIGTERM)
            wait_ended(process, END_SECONDS)
        self.process_file.unlink(missing_ok=True)
        self.log_file.unlink(missing_ok=True)
        for path in NAMESPACES.glob(f"{self.name}*"):
            ip("netns", "delete", path.name)

    # Cables

    def plug_tap(self, cable: Cable) -> None:
        """For a machine that QEMU runs in the namespace: a tap device."""
        self.unplug(cable)
        ip("-n", self.name, "tuntap", "add", cable.device, "mode", "tap")
        self.bring_up(cable)

    def plug_container(self, cable: Cable) -> Path:
        """For a container: a namespace of its own, with its network card configured; returns its path."""
        self.unplug(cable)
        own = self.own_namespace(cable)
        ip("netns", "add", own.name)
        card = ["peer", "name", "eth0", "address", cable.mac, "netns", own.name]
        ip("-n", self.name, "link", "add", cable.device, "type", "veth", *card)
        ip("-n", own.name, "link", "set", "lo", "up")
        ip("-n", own.name, "address", "add", f"{cable.address}/{MACHINES.prefixlen}", "dev", "eth0")
        ip("-n", own.name, "link", "set", "eth0", "up")
        ip("-n", own.name, "route", "add", "default", "via", GATEWAY)
        self.bring_up(cable)
        return own

    def bring_up(self, cable: Cable) -> None:
        """The end in the namespace. It answers for all other machines, so that everything comes through here."""
        ip("-n", self.name, "address", "add", f"{GATEWAY}/32", "dev", cable.device)
        ip("-n", self.name, "link", "set", cable.device, "up")
        ip("-n", self.name, "route", "add", f"{cable.address}/32", "dev", cable.device)
        self.inside("sysctl", "--quiet", "--write", f"net.ipv4.conf.{cable.device}.proxy_arp=1")

    def publish(self, cable: Cable, address: str) -> None:
        """Have other machines reach it at the address that the host knows, of the loopback range.

        Such packets come from the sender's own such address. A machine that QEMU runs sets up its end itself.
        """
        ip("-n", self.name, "route", "add", f"{address}/32", "via", cable.address, "dev", cable.device, *LOCAL_TABLE)
        self.inside("sysctl", "--quiet", "--write", f"net.ipv4.conf.{cable.device}.route_localnet=1")
        own = self.own_namespace(cable)
        for command in publication(address) if own.exists() else ():
            self.inside(*command, namespace=own)

    def unplug(self, cable: Cable) -> None:
        """Nothing happens when there is none."""
        if self.own_namespace(cable).exists():
            ip("netns", "delete", self.own_namespace(cable).name)
        ip("-n", self.name, "link", "delete", cable.device, check=False)

    def own_namespace(self, cable: Cable) -> Path:
        """Where a container's own namespace is, or would be."""
        return NAMESPACES / f"{self.name}-{cable.device}"

    # Firewalls

    def filter(self, filters: Mapping[int, Filter]) -> None:
        """Machine number -> what its firewalls say; machines without one take everything. Replaces all at once."""
        self.inside("nft", "--file", "-", text=ruleset(filters))

    def inside(self, *argv: str, text: str = "", namespace: Path | None = None) -> None:
        """Run a command in the namespace, or in another one."""
        run(["nsenter", f"--net={namespace or self.path}", *argv], text)

    @property
    def prefix(self) -> list[str]:
        """What runs the rest of a command line in the namespace."""
        return ["nsenter", f"--net={self.path}"]


def publication(address: str) -> list[list[str]]:
    """What a machine does to have, and to reach others at, addresses of the loopback range by which the host knows machines."""
    others = ipaddress.ip_network(f"{address}/24", strict=False)
    return [
        ["ip", "address", "add", f"{address}/32", "dev", "lo"],
        ["ip", "route", "add", str(others), "via", GATEWAY, "dev", "eth0", "src", address, *LOCAL_TABLE],
        ["sysctl", "--quiet", "--write", "net.ipv4.conf.eth0.route_localnet=1"],
    ]


def ruleset(filters: Mapping[int, Filter]) -> str:
    """The namespace's whole filter, for `nft --file`."""
    cables = {Cable(number): chosen for number, chosen in filters.items()}
    to_machine = [f'oifname "{cable.device}" jump to_{cable.device}' for cable in cables]
    from_machine = [
        f'iifname "{cable.device}" jump from_{cable.device}' for cable, chosen in cables.items() if chosen.outgoing
    ]
    known = "ct state established,related accept"
    chains = [
        chain("outside", ["type nat hook postrouting priority srcnat", f'oifname "{UPLINK}" masquerade']),
        chain("routed", ["type filter hook forward priority filter", known, *from_machine, *to_machine]),
        chain("from_host", ["type filter hook output priority filter", known, *to_machine]),
    ]
    own = []
    for cable, chosen in cables.items():
        own.append(chain(f"to_{cable.device}", [*rules(chosen.incoming, "saddr"), "drop"]))
        # "return", not "accept": the firewall of the receiver is asked next.
        own.append(chain(f"from_{cable.device}", [*rules(chosen.outgoing, "daddr", "return"), "drop"]))
    body = "".join([*own, *chains])
    return f"table ip sandbox\ndelete table ip sandbox\ntable ip sandbox {{\n{body}}}\n"


def chain(name: str, lines: Sequence[str]) -> str:
    """Text of one chain."""
    return "".join([f"  chain {name} {{\n", *(f"    {line};\n" for line in lines), "  }\n"])


def rules(allowed: Iterable[Allowed], side: str, verdict: str = "accept") -> list[str]:
    """A rule for each; `side` is which address the networks are about, `verdict` what becomes of a packet that fits."""
    lines = []
    for item in allowed:
        networks = known_networks(item.networks)
        if not networks:
            continue
        ports = f" th dport {item.ports}" if item.ports else ""
        lines.append(f"ip {side} {{ {', '.join(networks)} }} ip protocol {item.protocol}{ports} {verdict}")
    return lines


def known_networks(networks: Iterable[str]) -> list[str]:
    """The IPv4 networks. Whoever is allowed in from the host's loopback comes through the gateway."""
    known = [item for item in map(network, networks) if isinstance(item, ipaddress.IPv4Network)]
    if any(item.overlaps(LOOPBACK) for item in known):
        known.append(ipaddress.IPv4Network(f"{GATEWAY}/32"))
    return [str(item) for item in ipaddress.collapse_addresses(known)]


def network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """As in a firewall's rule."""
    return ipaddress.ip_network(text, strict=False)


def ip(*arguments: str, check: bool = True) -> str:
    """What the command `ip` says. Raises SandboxError with its words."""
    return run(["ip", *arguments], check=check)


def run(argv: Sequence[str], text: str = "", *, check: bool = True) -> str:
    """What it says. Raises SandboxError where it fails."""
    environment = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"}
    done = subprocess.run(argv, input=text, capture_output=True, text=True, check=False, env=environment)
    if check and done.returncode:
        raise SandboxError(f"{' '.join(argv)}: {done.stderr.strip() or f'exit status {done.returncode}'}")
    return done.stdout.strip()
