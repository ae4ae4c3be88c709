"""Delete what interrupted runs left behind: build servers and their keys, known by the stack's labels."""

from collections.abc import Callable

from hcloud import Client

from images.labels import stack_selector


def sweep(client: Client, stack: str, confirm: Callable[[str], bool], say: Callable[[str], object]) -> None:
    """Delete the stack's servers and keys after `confirm`; snapshots are never touched."""
    servers = client.servers.get_all(label_selector=stack_selector(stack))
    keys = client.ssh_keys.get_all(label_selector=stack_selector(stack))
    for server in servers:
        say(f"server {server.name} ({server.id})")
    for key in keys:
        say(f"SSH key {key.name} ({key.id})")
    if not servers and not keys:
        say("Nothing is left over.")
    elif confirm(f"Delete {len(servers)} servers and {len(keys)} SSH keys of stack {stack}?"):
        for action in [server.delete() for server in servers]:
            action.wait_until_finished()
        for key in keys:
            key.delete()
        say("Deleted.")
