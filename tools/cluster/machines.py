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
        return self.must("hostname -I").split()[0]

    def login(self) -> list[str]:
        """The command line that logs in. A server that is made anew at the same address is another one."""
        unknown = ("-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR")
        key = ("-i", str(HOME / "key"), "-o", "IdentitiesOnly=yes")
        return ["ssh", *key, "-p", str(self.port), *unknown, f"root@{self.host_address}"]

    def ask(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command on it."""
        argv = [*self.login(), "-o", "BatchMode=yes", "-o", "ConnectTimeout=20", command]
        try:
            return subprocess.run(argv, capture_output=True, text=True, timeout=ANSWER_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(argv, 124, "", f"no answer within {ANSWER_SECONDS} s")

    def must(self, command: str) -> str:
        """What a command prints on it. Raises ClusterError where that is nothing."""
        asked = self.ask(command)
        if asked.returncode or not asked.stdout.strip():
            words = asked.stderr.strip() or "it printed nothing"
            raise ClusterError(f"{self.server.name}: `{command}`: {words}\nLog in: {' '.join(self.login())}")
        return asked.stdout


@dataclass(frozen=True)
class Place:
    """Where the servers of the cluster are made, and of which snapshot."""

    cloud: Client
    snapshot: Image
    port: int

    def up(self, node: bootstrap.Node, user_data: Callable[[], str], after: Machine | None = None) -> Machine:
        """The server of that name, switched on. It is made where there is none of this snapshot that came `after` the other."""
        found = self.cloud.servers.get_by_name(node.name)
        if found and not self.serves(found, after):
            found.delete().wait_until_finished()
            found = None
        if found:
            print(f"{node.name} is there already")
            if found.status == found.STATUS_OFF:
                found.power_on().wait_until_finished()
        return Machine(found or self.create(node, user_data()), self.port)

    def serves(self, found: BoundServer, after: Machine | None) -> bool:
        """Whether a server is of this snapshot. One that is older than the control plane was told of another cluster."""
        if after and found.created and after.server.created and found.created < after.server.created:
            return False
        return found.image is not None and found.image.id == self.snapshot.id

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
                words = asked.stdout.partition("\n")[2].rstrip()
                raise ClusterError(f"{node.name} did not become a node:\n{words}\n{make_anew(node)}")
    login = " ".join(machine.login())
    raise ClusterError(f"{node.name} is no node within {WAIT_MINUTES} min; log in: {login}\n{make_anew(node)}")


def make_anew(node: bootstrap.Node) -> str:
    """What to do about a server on which kubeadm failed, as it runs there only once."""
    return f"Delete it, and the next `make cluster` makes it anew:\n  {delete_command(node)}"


def delete_command(*nodes: bootstrap.Node) -> str:
    """The command line that deletes servers. Older clients take one name a call."""
    return "; ".join(['eval "$(make -s sandbox-env)"', *(f"hcloud server delete {node.name}" for node in nodes)])


# The mark is asked for last: kubeadm may end between the two questions.
HOW_FAR = f"""
status=$(cloud-init status)
if test -e {bootstrap.KEPT_SUCCESS}; then echo done
elif echo "$status" | grep -q 'done\\|error'; then echo failed; tail -n 25 /var/log/cloud-init-output.log
else echo busy; fi
"""
"""Asked of a server: whether kubeadm has ended, and its last lines where it has failed."""
