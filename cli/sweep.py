"""`./node-images sweep`: what carries a stack's labels and belongs to nothing, with what it costs, and its deletion."""

from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal

from hcloud import Client
from hcloud.images import BoundImage
from hcloud.servers import BoundServer

from adapters.hetzner.leftovers import Leftovers, delete_servers, ignore_missing, leftovers, orphans
from images.costs import Prices, read_prices
from images.recorded import Recorded

HOURS_OF_A_MONTH = Decimal(24 * 365) / 12


def sweep(
    client: Client, stack: str, known: Recorded | None, *, delete: bool, say: Callable[[str], object]
) -> Leftovers:
    """List what is left over, and delete it if asked to. What the state `known` has is left alone; published images always."""
    everything = leftovers(client, stack)
    found = orphans(everything, known) if known else everything
    in_work = [server for server in everything.servers if server not in found.servers]
    if not found:
        say("Nothing is left over.")
    else:
        for line in _lines(found, read_prices(client.request("GET", "/pricing"))):
            say(line)
        if delete:
            delete_servers(found)
            for snapshot in found.snapshots:
                ignore_missing(snapshot.delete)
        every = "" if known else " --all"
        say(
            "Deleted."
            if delete
            else f"Nothing was deleted. To delete it: ./node-images sweep --stack {stack}{every} --yes"
        )
    if in_work:
        say(_left_alone(in_work, stack))
    return found


def _left_alone(servers: Sequence[BoundServer], stack: str) -> str:
    names = ", ".join(f"{server.name} ({server.id})" for server in servers)
    count = "1 server belongs" if len(servers) == 1 else f"{len(servers)} servers belong"
    they = "it" if len(servers) == 1 else "them"
    return (
        f"{count} to the state of stack {stack} and {'is' if len(servers) == 1 else 'are'} left alone: {names}. "
        f"The next `up` uses or deletes {they}; sweep --all lists {they} too"
    )


def _lines(found: Leftovers, prices: Prices) -> Iterator[str]:
    costs = [_server_hour(server, prices) for server in found.servers]
    costs += [_snapshot_hour(image, prices) for image in found.snapshots]
    names = [f"server {server.name} ({server.id})" for server in found.servers]
    names += [f"unpublished snapshot {image.description} ({image.id})" for image in found.snapshots]
    for name, cost in zip(names, costs, strict=True):
        yield f"{name}, {cost:.4f} {prices.currency} an hour"
    for key in found.keys:
        yield f"SSH key {key.name} ({key.id})"
    for firewall in found.firewalls:
        yield f"firewall {firewall.name} ({firewall.id})"
    yield f"All of it: {sum(costs):.4f} {prices.currency} an hour, without VAT"


def _server_hour(server: BoundServer, prices: Prices) -> Decimal:
    place = ((server.server_type and server.server_type.name) or "", (server.location and server.location.name) or "")
    return prices.server_hour.get(place, Decimal(0))


def _snapshot_hour(image: BoundImage, prices: Prices) -> Decimal:
    return prices.snapshot_gb_month * Decimal(str(image.image_size or 0)) / HOURS_OF_A_MONTH
