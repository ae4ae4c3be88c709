"""What a stack has at Hetzner Cloud that is not a published image, and how it is deleted, whatever still works on it."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import requests
from hcloud import APIException, Client
from hcloud.firewalls import BoundFirewall
from hcloud.images import BoundImage
from hcloud.servers import BoundServer
from hcloud.ssh_keys import BoundSSHKey

from images.labels import CAPH_IMAGE_NAME, stack_selector
from images.names import build_key
from images.recorded import Recorded

POLL_SECONDS = 0.5
DELETION_SECONDS = 900


class StuckError(Exception):
    """Something could not be deleted in time; the text says what, and what to do."""


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
    """What no state knows of: no `up` goes on with it, though it may take up a server of the same build."""
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
    """Delete the servers, and then what came with them. Raises StuckError."""
    for server in found.servers:
        delete_server(server, seconds)
    for firewall in found.firewalls:
        delete_firewall(firewall, seconds)
    for key in found.keys:
        _delete_in_time(key.delete, "locked", f"SSH key {key.name} ({key.id})", seconds)


def delete_server(server: BoundServer, seconds: float = DELETION_SECONDS) -> None:
    """A server that an action still works on is locked: its deletion has to wait. Raises StuckError."""
    what = f"server {server.name} ({server.id})"
    _delete_in_time(lambda: server.delete().wait_until_finished(), "locked", what, seconds)


def delete_firewall(firewall: BoundFirewall, seconds: float = DELETION_SECONDS) -> None:
    """It stays in use for a moment after its server has gone. Raises StuckError."""
    _delete_in_time(firewall.delete, "resource_in_use", f"firewall {firewall.name} ({firewall.id})", seconds)


def ignore_missing(act: Callable[[], object]) -> None:
    """What is gone needs nothing."""
    try:
        act()
    except APIException as error:
        if error.code != "not_found":
            raise


def polls(seconds: float) -> Iterator[None]:
    """Once, and again every half second until the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        yield
        if time.monotonic() >= deadline:
            return
        time.sleep(POLL_SECONDS)


def _delete_in_time(delete: Callable[[], object], busy: str, what: str, seconds: float) -> None:
    for _ in polls(seconds):
        try:
            return ignore_missing(delete)
        except requests.ConnectionError:
            continue  # deleting once more does no harm
        except APIException as error:
            if error.code != busy:
                raise
    raise StuckError(
        f"{what} could not be deleted within {seconds:.0f} s ({busy}): delete it in the Console, then run again"
    )
