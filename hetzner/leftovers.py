"""What a stack has at Hetzner Cloud that is not a published image, and how it is deleted, whatever still works on it."""

from collections.abc import Callable
from dataclasses import dataclass

import requests
from hcloud import APIException, Client
from hcloud.firewalls import BoundFirewall
from hcloud.images import BoundImage
from hcloud.servers import BoundServer
from hcloud.ssh_keys import BoundSSHKey

from hetzner.actions import wait_for
from hetzner.errors import CloudError, is_missing
from hetzner.waiting import polls
from images.labels import CAPH_IMAGE_NAME, stack_selector
from images.names import build_key
from images.recorded import Recorded
from images.stackfile import Timeouts

DELETION_SECONDS = Timeouts().action


@dataclass(frozen=True)
class Leftovers:
    """Servers with all that comes with them, and snapshots without a name."""

    servers: list[BoundServer]
    keys: list[BoundSSHKey]
    firewalls: list[BoundFirewall]
    snapshots: list[BoundImage]

    def __bool__(self) -> bool:
        return bool(self.servers or self.keys or self.firewalls or self.snapshots)


def leftovers(client: Client, stack: str) -> Leftovers:
    """All of a stack. Those of a run that works right now are among them."""
    ours = stack_selector(stack)
    return Leftovers(
        client.servers.get_all(label_selector=ours),
        client.ssh_keys.get_all(label_selector=ours),
        client.firewalls.get_all(label_selector=ours),
        client.images.get_all(type=["snapshot"], label_selector=f"{ours},!{CAPH_IMAGE_NAME}"),
    )


def orphans(found: Leftovers, known: Recorded) -> Leftovers:
    """What is in no state. An `up` may still take up a server of it, by its name and labels."""
    in_work = {server.name for server in found.servers if server.id in known.servers}
    return Leftovers(
        [item for item in found.servers if item.name not in in_work],
        [item for item in found.keys if item.name not in in_work],
        [item for item in found.firewalls if item.name not in in_work],
        [item for item in found.snapshots if _record_of(item) not in known.names],
    )


def _record_of(snapshot: BoundImage) -> str:
    return build_key(str(snapshot.description), str((snapshot.labels or {}).get("architecture")))


def delete_servers(found: Leftovers, seconds: float = DELETION_SECONDS) -> None:
    """Delete the servers, and then what came with them. Raises CloudError."""
    for server in found.servers:
        delete_server(server, seconds)
    for firewall in found.firewalls:
        delete_firewall(firewall, seconds)
    for key in found.keys:
        _delete_in_time(key.delete, "locked", f"SSH key {key.name} ({key.id})", seconds)


def delete_server(server: BoundServer, seconds: float = DELETION_SECONDS) -> None:
    """A server that an action still works on is locked: its deletion has to wait. Raises CloudError."""
    what = f"server {server.name} ({server.id})"
    _delete_in_time(lambda: wait_for([server.delete()], what, seconds), "locked", what, seconds)


def delete_firewall(firewall: BoundFirewall, seconds: float = DELETION_SECONDS) -> None:
    """It stays in use for a moment after its server has gone. Raises CloudError."""
    _delete_in_time(firewall.delete, "resource_in_use", f"firewall {firewall.name} ({firewall.id})", seconds)


def ignore_missing(act: Callable[[], object]) -> None:
    """What is gone needs nothing."""
    try:
        act()
    except APIException as error:
        if not is_missing(error):
            raise


def when_free(act: Callable[[], object], busy: str, seconds: float, what_failed: str) -> None:
    """Try it for `seconds`, while the API says that it is `busy` or its answer is lost. Raises CloudError."""
    if _is_done(act, busy):
        return
    for _ in polls(seconds):
        if _is_done(act, busy):
            return
    raise CloudError(what_failed)


def _is_done(act: Callable[[], object], busy: str) -> bool:
    try:
        act()
    except requests.ConnectionError:
        return False
    except APIException as error:
        if error.code != busy:
            raise
        return False
    return True


def _delete_in_time(delete: Callable[[], object], busy: str, what: str, seconds: float) -> None:
    late = f"{what} could not be deleted within {seconds:.0f} s ({busy}, or no answer): delete it in the Console, then run again"
    when_free(lambda: ignore_missing(delete), busy, seconds, late)
