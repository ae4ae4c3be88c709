"""`./node-images sweep`: what carries a stack's labels and belongs to nothing, with what it costs, and its deletion."""

from collections.abc import Callable, Iterator

from hcloud import Client

from hetzner.leftovers import Leftovers, delete_servers, ignore_missing, leftovers, orphans
from hetzner.prices import Prices, read_prices
from images.recorded import Recorded

DRY = "Nothing was deleted. To delete it: ./node-images sweep --yes"


def sweep(
    client: Client, stack: str, known: Recorded | None, *, delete: bool, say: Callable[[str], object]
) -> Leftovers:
    """List what is left over, and delete it if asked to. What the state `known` has is left alone; published images always."""
    found = leftovers(client, stack)
    found = orphans(found, known) if known else found
    if not found:
        say("Nothing is left over.")
        return found
    for line in _lines(found, read_prices(client)):
        say(line)
    if delete:
        delete_servers(found)
        for snapshot in found.snapshots:
            ignore_missing(snapshot.delete)
    say("Deleted." if delete else DRY)
    return found


def _lines(found: Leftovers, prices: Prices) -> Iterator[str]:
    costs = [prices.server(server) for server in found.servers]
    costs += [prices.snapshot(image) for image in found.snapshots]
    names = [f"server {server.name} ({server.id})" for server in found.servers]
    names += [f"unpublished snapshot {image.description} ({image.id})" for image in found.snapshots]
    for name, cost in zip(names, costs, strict=True):
        yield f"{name}, {cost:.4f} {prices.currency} an hour"
    for key in found.keys:
        yield f"SSH key {key.name} ({key.id})"
    for firewall in found.firewalls:
        yield f"firewall {firewall.name} ({firewall.id})"
    yield f"All of it: {sum(costs):.4f} {prices.currency} an hour, without VAT"
