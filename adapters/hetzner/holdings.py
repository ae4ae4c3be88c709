"""What a project has when a run begins: listed once, for all that is decided then."""

from dataclasses import dataclass

from hcloud import Client
from hcloud.firewalls import BoundFirewall
from hcloud.images import BoundImage
from hcloud.servers import BoundServer
from hcloud.ssh_keys import BoundSSHKey

from adapters.hetzner.leftovers import Leftovers, orphans
from adapters.hetzner.publication import LABELLED
from adapters.hetzner.snapshots import read_snapshot
from images.labels import CAPH_IMAGE_NAME, is_of_stack, stack_selector
from images.recorded import Recorded
from images.snapshot import Snapshot


@dataclass(frozen=True)
class Holdings:
    """All snapshots, backups and servers of a project, whoever made them, and the keys and firewalls of one stack."""

    stack: str
    images: list[BoundImage]
    servers: list[BoundServer]
    keys: list[BoundSSHKey]
    firewalls: list[BoundFirewall]

    @property
    def all_snapshots(self) -> list[BoundImage]:
        return [image for image in self.images if image.type == "snapshot"]

    @property
    def snapshots(self) -> list[Snapshot]:
        """Those of the stack, with the servers of the project that were created from them."""
        booted = [(server.image.id, str(server.name)) for server in self.servers if server.image]
        return [
            read_snapshot(image, [server for number, server in booted if number == image.id])
            for image in self.all_snapshots
            if is_of_stack(image.labels or {}, self.stack)
        ]

    @property
    def named_images(self) -> list[Snapshot]:
        """All that CAPH finds by a name, whoever made them."""
        return [read_snapshot(image) for image in self.images if CAPH_IMAGE_NAME in (image.labels or {})]

    def orphans(self, known: Recorded) -> list[str]:
        """A line for all that runs of the stack left behind and the state does not know of; nothing where there is nothing."""
        ours = [server for server in self.servers if is_of_stack(server.labels or {}, self.stack)]
        mine = [image for image in self.all_snapshots if is_of_stack(image.labels or {}, self.stack)]
        unnamed = [image for image in mine if CAPH_IMAGE_NAME not in (image.labels or {})]
        found = orphans(Leftovers(ours, self.keys, self.firewalls, unnamed), known)
        if not found:
            return []
        names = [item.name for item in found.servers] + [item.name for item in found.keys]
        names += [item.name for item in found.firewalls] + [
            f"unpublished snapshot {item.id}" for item in found.snapshots
        ]
        listed = ", ".join(dict.fromkeys(str(name) for name in names))
        sweep = f"./node-images sweep --stack {self.stack}"
        fate = f"the next one uses what it can. {sweep} shows the rest and its cost; --yes deletes it"
        return [f"left over: {listed}. If no other `up` of this stack runs, {fate}"]


def holdings(client: Client, stack: str) -> Holdings:
    """As they are now, in four lists."""
    ours = stack_selector(stack)
    return Holdings(
        stack,
        client.images.get_all(type=LABELLED),
        client.servers.get_all(),
        client.ssh_keys.get_all(label_selector=ours),
        client.firewalls.get_all(label_selector=ours),
    )
