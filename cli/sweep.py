"""Delete what interrupted runs left behind: build servers, their keys, and snapshots that were never published."""

from collections.abc import Callable

from hcloud import Client

from images.labels import CAPH_IMAGE_NAME, stack_selector


def sweep(client: Client, stack: str, confirm: Callable[[str], bool], say: Callable[[str], object]) -> None:
    """Delete the stack's servers, keys and unpublished snapshots after `confirm`; published ones are never touched."""
    servers = client.servers.get_all(label_selector=stack_selector(stack))
    keys = client.ssh_keys.get_all(label_selector=stack_selector(stack))
    snapshots = client.images.get_all(type=["snapshot"], label_selector=f"{stack_selector(stack)},!{CAPH_IMAGE_NAME}")
    for server in servers:
        say(f"server {server.name} ({server.id})")
    for key in keys:
        say(f"SSH key {key.name} ({key.id})")
    for snapshot in snapshots:
        say(f"unpublished snapshot {snapshot.description} ({snapshot.id})")
    found = f"{len(servers)} servers, {len(keys)} SSH keys and {len(snapshots)} unpublished snapshots"
    if not servers and not keys and not snapshots:
        say("Nothing is left over.")
    elif confirm(f"Delete {found} of stack {stack}?"):
        for action in [server.delete() for server in servers]:
            action.wait_until_finished()
        for key in keys:
            key.delete()
        for snapshot in snapshots:
            snapshot.delete()
        say("Deleted.")
