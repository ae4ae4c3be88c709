"""What a stack has at Hetzner Cloud that is not a published image, and how it is deleted, whatever still works on it."""

from collections.abc import Callable
from dataclasses import dataclass

import requests
from hcloud import APIException, Client
from hcloud.actions import ActionFailedException
from hcloud.firewalls import BoundFirewall
from hcloud.images import BoundImage
from hcloud.servers import BoundServer
from hcloud.ssh_keys import BoundSSHKey

from adapters.hetzner.actions import wait_for
from adapters.hetzner.errors import CloudError, is_missing, refusal
from adapters.hetzner.waiting import polls
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
        _delete_in_time(key.delete, f"SSH key {key.name} ({key.id})", seconds)


def delete_server(server: BoundServer, seconds: float = DELETION_SECONDS) -> None:
    """A server that an action still works on is locked: its deletion has to wait. Raises CloudError."""
    what = f"server {server.name} ({server.id})"
    _delete_in_time(lambda: wait_for([server.delete()], what, seconds), what, seconds)


def delete_firewall(firewall: BoundFirewall, seconds: float = DELETION_SECONDS) -> None:
    """It stays in use for a moment after its server has gone. Raises CloudError."""
    _delete_in_time(firewall.delete, f"firewall {firewall.name} ({firewall.id})", seconds)


def ignore_missing(act: Callable[[], object]) -> None:
    """What is gone needs nothing."""
    try:
        act()
    except APIException as error:
        if not is_missing(error):
            raise


def when_free(act: Callable[[], object], seconds: float, late: str) -> None:
    """Do it, again for `seconds` while its answer is lost; what passes was waited for already. Raises CloudError(late)."""
    if _is_done(act, late):
        return
    for _ in polls(seconds):
        if _is_done(act, late):
            return
    raise CloudError(late)


def _is_done(act: Callable[[], object], late: str) -> bool:
    try:
        act()
    except requests.ConnectionError:
        return False
    except (APIException, ActionFailedException) as error:
        if refusal(error)[0] != "wait":
            raise
        if isinstance(error, APIException):
            raise CloudError(late) from None
        return False
    return True


def _delete_in_time(delete: Callable[[], object], what: str, seconds: float) -> None:
    late = f"{what} could not be deleted within {seconds:.0f} s (in use, or no answer): delete it in the Console, then run again"
    when_free(lambda: ignore_missing(delete), seconds, late)
