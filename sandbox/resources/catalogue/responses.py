"""Locations, server types, datacenters, prices over HTTP."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import by_field, cloud_of, in_order, iso, page, path_id, reply
from sandbox.cloud import Cloud
from sandbox.errors import CloudError
from sandbox.resources.catalogue.models import (
    EU,
    LOCATIONS,
    SERVER_TYPES,
    TRAFFIC_ELSEWHERE,
    TRAFFIC_EU,
    VAT_PERCENT,
    Deprecation,
    Location,
    ServerType,
    hourly,
    location,
    price,
    server_type,
    traffic_price,
)
from sandbox.resources.load_balancers.types import TYPES, LoadBalancerType

# Since 1 April 2026; the adjustment of June did not touch them.
IMAGE_GB_MONTHLY = 0.0143
VOLUME_GB_MONTHLY = 0.0572
PRIMARY_IP_MONTHLY = {"ipv4": 0.5, "ipv6": 0.0}
FLOATING_IP_MONTHLY = {"ipv4": 3.0, "ipv6": 1.0}


@cache
def shape_location(item: Location) -> dict[str, Any]:
    """As in the API."""
    return {
        "id": item.id,
        "name": item.name,
        "description": item.description,
        "country": item.country,
        "city": item.city,
        "latitude": item.latitude,
        "longitude": item.longitude,
        "network_zone": item.zone,
    }


@cache
def shape_datacenter(item: Location) -> dict[str, Any]:
    """Servers still carry it, for older clients; the datacenter endpoints are gone."""
    ids = [kind.id for kind in SERVER_TYPES if item.name in kind.locations]
    return {
        "id": item.id,
        "name": item.datacenter,
        "description": f"{item.city} virtual DC",
        "location": shape_location(item),
        "server_types": {"supported": ids, "available": ids, "available_for_migration": ids},
    }


def shape_deprecation(item: Deprecation | None) -> dict[str, Any] | None:
    """As in the API."""
    return {"announced": iso(item.announced), "unavailable_after": iso(item.unavailable_after)} if item else None


def shape_server_price(item: ServerType, name: str) -> dict[str, Any]:
    """Price of a server type in a location."""
    return {
        "location": name,
        "price_hourly": price(hourly(item.monthly_in(name))),
        "price_monthly": price(item.monthly_in(name)),
        "included_traffic": TRAFFIC_EU if name in EU else TRAFFIC_ELSEWHERE,
        "price_per_tb_traffic": price(traffic_price(name)),
    }


def shape_balancer_prices(item: LoadBalancerType) -> list[dict[str, Any]]:
    """Prices of a load balancer type, the same in every location."""
    return [
        {
            "location": place.name,
            "price_hourly": price(hourly(item.monthly)),
            "price_monthly": price(item.monthly),
            "included_traffic": TRAFFIC_EU if place.name in EU else TRAFFIC_ELSEWHERE,
            "price_per_tb_traffic": price(1.0),
        }
        for place in LOCATIONS
    ]


def always(_location: str, _server_type: str) -> bool:
    """In stock wherever it is sold."""
    return True


@cache
def shape_type_of_server(item: ServerType) -> dict[str, Any]:
    """As a server has it, wherever it may be sold out."""
    return shape_server_type(item)


def shape_server_type(item: ServerType, in_stock: Callable[[str, str], bool] = always) -> dict[str, Any]:
    """As in the API."""
    places = [shape_type_location(item, name, in_stock) for name in item.locations]
    return {
        "id": item.id,
        "name": item.name,
        "description": item.description,
        "category": item.category,
        "cores": item.cores,
        "memory": item.memory,
        "disk": item.disk,
        "deprecated": item.withdrawn is not None,
        "deprecation": shape_deprecation(item.withdrawn),
        "locations": places,
        "prices": [shape_server_price(item, name) for name in item.locations],
        "storage_type": "local",
        "cpu_type": item.cpu_type,
        "architecture": item.architecture,
    }


def shape_type_location(item: ServerType, name: str, in_stock: Callable[[str, str], bool]) -> dict[str, Any]:
    """A server type in one of its locations."""
    deprecation = item.deprecation_in(name)
    return {
        "id": location(name).id,
        "name": name,
        "available": deprecation is None and in_stock(name, item.name),
        "recommended": deprecation is None,
        "deprecation": shape_deprecation(deprecation),
    }


async def list_locations(request: Request) -> Response:
    """``GET /locations``."""
    kept = by_field(request, LOCATIONS, "name")
    return page(request, "locations", in_order(request, kept, ("id", "name")), shape_location)


async def get_location(request: Request) -> Response:
    """``GET /locations/{id}``."""
    return reply(location=shape_location(location(str(path_id(request)))))


def priced(cloud: Cloud, item: ServerType) -> ServerType:
    """At the price that the conditions set."""
    given = cloud.conditions.now.prices.get(item.name)
    return item if given is None else item.priced(given)


async def list_server_types(request: Request) -> Response:
    """``GET /server_types``."""
    cloud = cloud_of(request)
    kept = [priced(cloud, item) for item in by_field(request, SERVER_TYPES, "name")]
    return page(request, "server_types", kept, lambda item: shape_server_type(item, cloud.in_stock))


async def get_server_type(request: Request) -> Response:
    """``GET /server_types/{id}``."""
    cloud = cloud_of(request)
    item = priced(cloud, server_type(str(path_id(request))))
    return reply(server_type=shape_server_type(item, cloud.in_stock))


async def datacenters(request: Request) -> Response:  # noqa: ARG001
    """410, as at Hetzner since October 2026."""
    raise CloudError("deprecated_api_endpoint", "datacenters were removed from the API, use locations")


async def pricing(request: Request) -> Response:
    """``GET /pricing``."""
    cloud = cloud_of(request)
    prices = cloud.conditions.now.prices
    primary_ips = {kind: prices.get(f"primary_{kind}", net) for kind, net in PRIMARY_IP_MONTHLY.items()}
    return reply(
        pricing={
            "currency": "EUR",
            "vat_rate": f"{VAT_PERCENT:.6f}",
            "image": {"price_per_gb_month": price(prices.get("image_gb", IMAGE_GB_MONTHLY))},
            "volume": {"price_per_gb_month": price(VOLUME_GB_MONTHLY)},
            "floating_ip": {"price_monthly": price(FLOATING_IP_MONTHLY["ipv4"])},
            "floating_ips": [shape_ip_price(kind, net, with_hour=False) for kind, net in FLOATING_IP_MONTHLY.items()],
            "primary_ips": [shape_ip_price(kind, net, with_hour=True) for kind, net in primary_ips.items()],
            "server_backup": {"percentage": "20.0000000000"},
            "server_types": [
                {
                    "id": item.id,
                    "name": item.name,
                    "prices": [shape_server_price(item, name) for name in item.locations],
                }
                for item in (priced(cloud, item) for item in SERVER_TYPES)
            ],
            "load_balancer_types": [
                {"id": item.id, "name": item.name, "prices": shape_balancer_prices(item)} for item in TYPES
            ],
        }
    )


def shape_ip_price(kind: str, net: float, *, with_hour: bool) -> dict[str, Any]:
    """Price of an address, the same everywhere."""
    hour = {"price_hourly": price(hourly(net))} if with_hour else {}
    return {
        "type": kind,
        "prices": [{"location": item.name, "price_monthly": price(net), **hour} for item in LOCATIONS],
    }
