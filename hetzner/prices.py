"""What things cost an hour, from the API's own price list: no price is written down here."""

from dataclasses import dataclass
from typing import Any

from hcloud import Client
from hcloud.images import BoundImage
from hcloud.servers import BoundServer

HOURS_OF_A_MONTH = 24 * 365 / 12


@dataclass(frozen=True)
class Prices:
    """The price list of the project, net."""

    currency: str
    document: dict[str, Any]

    def server(self, server: BoundServer) -> float:
        """With its public IPv4 address."""
        location = server.location.name if server.location else None
        of_type = server.server_type.prices if server.server_type else None
        address = next(item["prices"] for item in self.document["primary_ips"] if item["type"] == "ipv4")
        return _hourly(of_type or [], location) + _hourly(address, location)

    def snapshot(self, image: BoundImage) -> float:
        """By its compressed size."""
        return float(self.document["image"]["price_per_gb_month"]["net"]) * (image.image_size or 0) / HOURS_OF_A_MONTH


def read_prices(client: Client) -> Prices:
    """Ask the API."""
    document = client.request(method="GET", url="/pricing")["pricing"]
    return Prices(document["currency"], document)


def _hourly(prices: list[dict[str, Any]], location: str | None) -> float:
    return next((float(item["price_hourly"]["net"]) for item in prices if item["location"] == location), 0.0)
