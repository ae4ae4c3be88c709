"""What only the API knows of a stack's images: prices and the servers that run from them."""

from hcloud import Client

from cli.catalogue import Live
from images.costs import read_prices
from images.labels import MANAGED_BY


def ask(client: Client) -> Live:
    """Ask for the price of a snapshot's gigabyte and for all servers but those that build and test images.

    Raises PricesError.
    """
    prices = read_prices(client.request(method="GET", url="/pricing"))
    servers: dict[int, list[str]] = {}
    for server in client.servers.get_all():
        if server.image and server.image.id and (server.labels or {}).get("managed-by") != MANAGED_BY:
            servers.setdefault(server.image.id, []).append(str(server.name))
    return Live(float(prices.snapshot_gb_month), prices.currency, servers)
