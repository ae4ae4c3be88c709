"""The servers of `make cluster`: how they are made, reached and waited for."""

import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hcloud import Client
from hcloud.images import Image
from hcloud.server_types import ServerType
from hcloud.servers import BoundServer

from tools.cluster import bootstrap
from tools.cluster.waiting import HOME, WAIT_MINUTES, ClusterError, attempts, waiting
from tools.local_cloud import OWN_KERNEL

SERVER_TYPE = "cx23"
ANSWER_SECONDS = 120


@dataclass(frozen=True)
class Machine:
    """A server that answers to SSH, and the sandbox's port for it."""

    server: BoundServer
    port: int

    @property
    def host_address(self) -> str:
        """Where this machine reaches it."""
        return str(self.server.public_net.ipv4.ip)  # type: ignore[union-attr]

    def address(self) -> str:
        """Its own, by which other servers reach it."""
        return self.ask("hostname -I").stdout.split()[0]

    def login(self) -> list[str]:
        """The command line that logs in. A server that is made anew at the same address is another one."""
        unknown = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
        return ["ssh", "-i", str(HOME / "key"), "-p", str(self.port), *unknown, f"root@{self.host_address}"]

    def ask(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on it."""
        argv = [*self.login(), "-o", "ConnectTimeout=20", command]
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 124, "", f"no answer within {ANSWER_SECONDS} s")


@dataclass(frozen=True)
class Place:
    """Where the servers of the cluster are made, and of which snapshot."""

    cloud: Client
    snapshot: Image
    port: int

    def up(self, node: bootstrap.Node, user_data: Callable[[], str]) -> Machine:
        """The server of that name, made where there is none of this snapshot yet."""
        found = self.cloud.servers.get_by_name(node.name)
        if found and (found.image is None or found.image.id != self.snapshot.id):
            found.delete().wait_until_finished()
            found = None
        if found:
            print(f"{node.name} is there already")
        return Machine(found or self.create(node, user_data()), self.port)

    def create(self, node: bootstrap.Node, user_data: str) -> BoundServer:
        """With a kernel of its own."""
        made = self.cloud.servers.create(
            node.name,
            ServerType(name=SERVER_TYPE),
            self.snapshot,
            ssh_keys=[own_key(self.cloud)],
            labels=dict([OWN_KERNEL]),
            user_data=user_data,
        )
        for action in [made.action, *made.next_actions]:
            action.wait_until_finished(max_retries=600)
        return made.server


def own_key(cloud: Client) -> Any:  # noqa: ANN401 - the library's SSH key
    """The key that logs in, made once."""
    HOME.mkdir(parents=True, exist_ok=True)
    key = HOME / "key"
    if not key.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "cluster", "-f", str(key)], check=True)
    public = key.with_suffix(".pub").read_text().strip()
    known = [item for item in cloud.ssh_keys.get_all() if item.public_key == public]
    return known[0] if known else cloud.ssh_keys.create("cluster", public)


def wait_until_bootstrapped(machine: Machine, node: bootstrap.Node) -> None:
    """Until kubeadm has ended well on it. Says what it waits for, and in the end why not."""
    with waiting(f"{node.name}: ") as tell:
        for _ in attempts():
            asked = machine.ask(HOW_FAR)
            tell("boots" if asked.returncode else "kubeadm is at work")
            if asked.stdout.startswith("done"):
                tell("kubeadm is done")
                return
            if asked.stdout.startswith("failed"):
                raise ClusterError(f"{node.name} did not become a node:\n{asked.stdout.partition(chr(10))[2]}")
    raise ClusterError(f"{node.name} is no node within {WAIT_MINUTES} min; log in: {' '.join(machine.login())}")


HOW_FAR = f"""
if test -e {bootstrap.SUCCESS}; then echo done
elif cloud-init status | grep -q 'done\\|error'; then echo failed; tail -n 25 /var/log/cloud-init-output.log
else echo busy; fi
"""
"""Asked of a server: whether kubeadm has ended, and its last lines where it has failed."""
