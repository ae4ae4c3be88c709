"""Load balancers over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import (
    Body,
    body_of,
    by_field,
    by_labels,
    cloud_of,
    in_order,
    iso,
    page,
    path_id,
    reply,
)
from sandbox.balancer import metrics as time_series
from sandbox.cloud import Cloud
from sandbox.errors import invalid_input
from sandbox.resources.actions import responses as actions
from sandbox.resources.actions.responses import reply_action
from sandbox.resources.bodies import ProtectionBody
from sandbox.resources.catalogue import models as catalogue
from sandbox.resources.catalogue import responses as shapes
from sandbox.resources.labels import LabelDict
from sandbox.resources.load_balancers import targets as resolving
from sandbox.resources.load_balancers.models import LoadBalancer, Target
from sandbox.resources.load_balancers.services import Service, new_service
from sandbox.resources.load_balancers.types import TYPES, LoadBalancerType, load_balancer_type
from sandbox.resources.networks.models import Network
from sandbox.resources.networks.responses import NetworkBody, shape_private_net
from sandbox.resources.networks.servers import DetachBody

MOST_SAMPLES, USUAL_SAMPLES = 500, 200
AlgorithmName = Literal["round_robin", "least_connections"]


class AlgorithmBody(Body):
    """The algorithm, alone or in another body."""

    type: AlgorithmName


class HttpCheckBody(Body):
    """How a health check asks."""

    domain: str | None = None
    path: str | None = None
    response: str | None = None
    status_codes: list[str] | None = None
    tls: bool | None = None


class CheckBody(Body):
    """A health check. What the document requires has a value in the real API, as in clients that leave it out."""

    protocol: Literal["tcp", "http"] | None = None
    port: int | None = None
    interval: int | None = None
    timeout: int | None = None
    retries: int | None = None
    http: HttpCheckBody | None = None


class HttpBody(Body):
    """What services with HTTP have beside."""

    cookie_name: str | None = None
    cookie_lifetime: int | None = None
    certificates: list[int] | None = None
    redirect_http: bool | None = None
    sticky_sessions: bool | None = None
    timeout_idle: int | None = None


class ServiceBody(Body):
    """A service."""

    protocol: Literal["tcp", "http", "https"]
    listen_port: int | None = None
    destination_port: int | None = None
    proxyprotocol: bool | None = None
    http: HttpBody | None = None
    health_check: CheckBody | None = None


class ChangedServiceBody(ServiceBody):
    """``.../actions/update_service``."""

    protocol: Literal["tcp", "http", "https"] | None = None  # type: ignore[assignment]
    listen_port: int


class ListenBody(Body):
    """``.../actions/delete_service``."""

    listen_port: int


class ServerRef(Body):
    """A server by id."""

    id: int


class SelectorRef(Body):
    """Servers by label."""

    selector: str


class IpRef(Body):
    """An IP."""

    ip: str


class TargetBody(Body):
    """A target, to be added or removed."""

    type: Literal["server", "label_selector", "ip"]
    server: ServerRef | None = None
    label_selector: SelectorRef | None = None
    ip: IpRef | None = None
    use_private_ip: bool | None = None

    def target(self) -> Target:
        """In the model's form. Raises invalid_input."""
        if getattr(self, self.type) is None:
            raise invalid_input((self.type, "missing data for required field"))
        if self.type == "ip" and self.use_private_ip:
            raise invalid_input(("use_private_ip", "not for targets of type ip"))
        return Target(
            type=self.type,
            server=self.server.id if self.server and self.type == "server" else None,
            selector=self.label_selector.selector if self.label_selector and self.type == "label_selector" else None,
            ip=self.ip.ip if self.ip and self.type == "ip" else None,
            use_private_ip=bool(self.use_private_ip),
        )


class CreateBody(Body):
    """``POST /load_balancers``."""

    name: str = Field(min_length=1)
    load_balancer_type: str | int
    location: str | int | None = None
    network_zone: str | None = None
    algorithm: AlgorithmBody = AlgorithmBody(type="round_robin")
    services: list[ServiceBody] = []
    targets: list[TargetBody] = []
    labels: LabelDict = {}
    public_interface: bool = True
    public_net: dict[str, int | None] | None = None
    network: int | None = None


class UpdateBody(Body):
    """``PUT /load_balancers/{id}``."""

    name: str | None = Field(None, min_length=1)
    labels: LabelDict | None = None


class TypeBody(Body):
    """``.../actions/change_type``."""

    load_balancer_type: str | int


class PtrBody(Body):
    """``.../actions/change_dns_ptr``."""

    ip: str
    dns_ptr: str | None


def shape_type(item: LoadBalancerType) -> dict[str, Any]:
    """As in the API."""
    return {
        "id": item.id,
        "name": item.name,
        "description": item.name.upper(),
        "max_connections": item.max_connections,
        "max_services": item.max_services,
        "max_targets": item.max_targets,
        "max_assigned_certificates": item.max_assigned_certificates,
        "deprecated": None,
        "prices": shapes.shape_balancer_prices(item),
    }


def traffic_of(location: str) -> int:
    """Free a month."""
    return catalogue.TRAFFIC_EU if location in catalogue.EU else catalogue.TRAFFIC_ELSEWHERE


def shape(cloud: Cloud, item: LoadBalancer) -> dict[str, Any]:
    """As in the API."""
    network, traffic = resolving.network_of(cloud, item), cloud.balancer.traffic(item.id)
    return {
        "id": item.id,
        "name": item.name,
        "public_net": shape_public_net(item),
        "private_net": shape_private_net(cloud, "load_balancer", item.id),
        "location": shapes.shape_location(catalogue.location(item.location)),
        "load_balancer_type": shape_type(load_balancer_type(item.type)),
        "protection": {"delete": item.protected},
        "labels": item.labels,
        "targets": [shape_target(cloud, item, network, target) for target in item.targets],
        "services": [shape_service(service) for service in item.services],
        "algorithm": {"type": item.algorithm},
        "outgoing_traffic": traffic.sent,
        "ingoing_traffic": traffic.received,
        "included_traffic": traffic_of(item.location),
        "created": iso(item.created),
    }


def shape_public_net(item: LoadBalancer) -> dict[str, Any]:
    """It keeps its addresses while the interface is disabled."""
    reverse = f"static.{'.'.join(reversed(item.address.split('.')))}.clients.example.com"
    return {
        "enabled": item.public,
        "ipv4": {"ip": item.address, "dns_ptr": item.dns_ptr.get(item.address, reverse)},
        "ipv6": {"ip": item.ipv6, "dns_ptr": item.dns_ptr.get(item.ipv6)},
    }


def shape_service(service: Service) -> dict[str, Any]:
    """As in the API: parts that the protocol does not have are left out."""
    shown = service.model_dump()
    if shown["http"] is None:
        del shown["http"]
    check = shown["health_check"]
    if check["http"] is None:
        del check["http"]
    elif check["http"]["response"] is None:
        check["http"]["response"] = ""
    return shown


def shape_target(cloud: Cloud, item: LoadBalancer, network: Network | None, target: Target) -> dict[str, Any]:
    """With the health of its services; those of a selector are on the servers that it selects."""
    if target.type == "ip":
        key = resolving.key_of_ip(target.ip)
        return {"type": "ip", "ip": {"ip": target.ip}, "health_status": shape_health(cloud, item, key)}
    if target.type == "server":
        return shape_server_target(cloud, item, target.server or 0, private=target.use_private_ip)
    selected = resolving.servers_of(cloud, target, network)
    return {
        "type": "label_selector",
        "label_selector": {"selector": target.selector},
        "use_private_ip": target.use_private_ip,
        "targets": [shape_server_target(cloud, item, server.id, private=target.use_private_ip) for server in selected],
    }


def shape_server_target(cloud: Cloud, item: LoadBalancer, server_id: int, *, private: bool) -> dict[str, Any]:
    """A server, named or selected."""
    health = shape_health(cloud, item, resolving.key_of_server(server_id))
    return {"type": "server", "server": {"id": server_id}, "use_private_ip": private, "health_status": health}


def shape_health(cloud: Cloud, item: LoadBalancer, key: str) -> list[dict[str, Any]]:
    """As each service sees the target."""
    ports = [service.listen_port for service in item.services]
    return [{"listen_port": port, "status": cloud.balancer.health(item.id, port, key)} for port in ports]


async def list_types(request: Request) -> Response:
    """``GET /load_balancer_types``."""
    return page(request, "load_balancer_types", by_field(request, TYPES, "name"), shape_type)


async def get_type(request: Request) -> Response:
    """``GET /load_balancer_types/{id}``."""
    return reply(load_balancer_type=shape_type(load_balancer_type(str(path_id(request)))))


async def list_all(request: Request) -> Response:
    """``GET /load_balancers``."""
    cloud = cloud_of(request)
    kept = by_field(request, by_labels(request, cloud.load_balancers.all), "name")
    return page(request, "load_balancers", in_order(request, kept), lambda item: shape(cloud, item))


async def create(request: Request) -> Response:
    """``POST /load_balancers``."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    kind, network = load_balancer_type(str(body.load_balancer_type)), None
    if any((body.public_net or {}).values()):
        raise invalid_input(("public_net", "existing primary IPs are not supported by the sandbox for load balancers"))
    if body.network is not None:
        network = cloud.networks.get(body.network)
    made = cloud.load_balancers.new_record(body.name, kind, place_of(body, network), body.algorithm.type, body.labels)
    made.public = body.public_interface
    services = [new_service(item.model_dump(), f"services.{number}.") for number, item in enumerate(body.services)]
    action = cloud.connections.create_load_balancer(made, network, services, [item.target() for item in body.targets])
    return reply(201, load_balancer=shape(cloud, made), action=actions.shape(action))


def place_of(body: CreateBody, network: Network | None) -> str:
    """A location, or the first one of a zone. Raises not_found, invalid_input."""
    if body.location is not None and body.network_zone is not None:
        raise invalid_input(("location", "only one of location and network_zone may be given"))
    if body.location is not None:
        return catalogue.location(str(body.location)).name
    zones = [item.network_zone for item in network.subnets] if network else []
    zone = body.network_zone or next(iter(zones), None)
    if zone is None:
        raise invalid_input(("location", "location or network_zone must be given"))
    for place in catalogue.LOCATIONS:
        if place.zone == zone:
            return place.name
    raise invalid_input(("network_zone", f"'{zone}' is not a network zone"))


async def get(request: Request) -> Response:
    """``GET /load_balancers/{id}``."""
    cloud = cloud_of(request)
    return reply(load_balancer=shape(cloud, cloud.load_balancers.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /load_balancers/{id}``."""
    body, cloud = await body_of(request, UpdateBody), cloud_of(request)
    changed = cloud.load_balancers.update(cloud.load_balancers.get(path_id(request)), body.name, body.labels)
    return reply(load_balancer=shape(cloud, changed))


async def delete(request: Request) -> Response:
    """``DELETE /load_balancers/{id}``: an action, which hcloud-python asks for since 2.27; the document still says 204."""
    cloud = cloud_of(request)
    return reply_action(cloud.connections.delete_load_balancer(cloud.load_balancers.get(path_id(request))))


async def add_service(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/add_service``."""
    body, balancers = await body_of(request, ServiceBody), cloud_of(request).load_balancers
    return reply_action(balancers.add_service(balancers.get(path_id(request)), new_service(body.model_dump())))


async def update_service(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/update_service``."""
    body, balancers = await body_of(request, ChangedServiceBody), cloud_of(request).load_balancers
    given = body.model_dump(exclude_unset=True)
    return reply_action(balancers.update_service(balancers.get(path_id(request)), body.listen_port, given))


async def delete_service(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/delete_service``."""
    body, balancers = await body_of(request, ListenBody), cloud_of(request).load_balancers
    return reply_action(balancers.delete_service(balancers.get(path_id(request)), body.listen_port))


async def add_target(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/add_target``."""
    body, cloud = await body_of(request, TargetBody), cloud_of(request)
    item, target = cloud.load_balancers.get(path_id(request)), body.target()
    resolving.check_target(cloud, item, resolving.network_of(cloud, item), target)
    return reply_action(cloud.load_balancers.add_target(item, target))


async def remove_target(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/remove_target``."""
    body, balancers = await body_of(request, TargetBody), cloud_of(request).load_balancers
    return reply_action(balancers.remove_target(balancers.get(path_id(request)), body.target()))


async def change_algorithm(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/change_algorithm``."""
    body, balancers = await body_of(request, AlgorithmBody), cloud_of(request).load_balancers
    return reply_action(balancers.change_algorithm(balancers.get(path_id(request)), body.type))


async def change_type(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/change_type``."""
    body, balancers = await body_of(request, TypeBody), cloud_of(request).load_balancers
    item = balancers.get(path_id(request))
    return reply_action(balancers.change_type(item, load_balancer_type(str(body.load_balancer_type))))


async def change_dns_ptr(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/change_dns_ptr``."""
    body, balancers = await body_of(request, PtrBody), cloud_of(request).load_balancers
    return reply_action(balancers.change_dns_ptr(balancers.get(path_id(request)), body.ip, body.dns_ptr))


async def change_protection(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/change_protection``."""
    body, balancers = await body_of(request, ProtectionBody), cloud_of(request).load_balancers
    return reply_action(balancers.protect(balancers.get(path_id(request)), body.delete))


async def attach(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/attach_to_network``."""
    body, cloud = await body_of(request, NetworkBody), cloud_of(request)
    item, network = cloud.load_balancers.get(path_id(request)), cloud.networks.get(body.network)
    return reply_action(cloud.connections.attach_load_balancer(item, network, body.wish()))


async def detach(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/detach_from_network``."""
    body, cloud = await body_of(request, DetachBody), cloud_of(request)
    item, network = cloud.load_balancers.get(path_id(request)), cloud.networks.get(body.network)
    return reply_action(cloud.connections.detach_load_balancer(item, network))


async def enable_public(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/enable_public_interface``."""
    balancers = cloud_of(request).load_balancers
    return reply_action(balancers.enable_public(balancers.get(path_id(request))))


async def disable_public(request: Request) -> Response:
    """``POST /load_balancers/{id}/actions/disable_public_interface``."""
    cloud = cloud_of(request)
    item = cloud.load_balancers.get(path_id(request))
    attached = resolving.network_of(cloud, item) is not None
    return reply_action(cloud.load_balancers.disable_public(item, attached=attached))


async def metrics(request: Request) -> Response:
    """``GET /load_balancers/{id}/metrics``."""
    cloud = cloud_of(request)
    item = cloud.load_balancers.get(path_id(request))
    kinds, start, end = asked_kinds(request), asked_time(request, "start"), asked_time(request, "end")
    if end <= start:
        raise invalid_input(("end", "must be after start"))
    step = asked_step(request, (end - start).total_seconds())
    samples = list(cloud.balancer.samples.get(item.id, ()))
    found = time_series.series(samples, kinds, start.timestamp(), end.timestamp(), step)
    shown = {name: {"values": points} for name, points in found.items()}
    return reply(metrics={"start": iso(start), "end": iso(end), "step": step, "time_series": shown})


def asked_kinds(request: Request) -> list[str]:
    """Several times, or separated by commas. Raises invalid_input."""
    kinds = [kind for value in request.query_params.getlist("type") for kind in value.split(",") if kind]
    wrong = [kind for kind in kinds if kind not in time_series.NAMES]
    if wrong or not kinds:
        raise invalid_input(("type", f"must be one or more of: {', '.join(time_series.NAMES)}"))
    return list(dict.fromkeys(kinds))


def asked_time(request: Request, name: str) -> datetime:
    """Raises invalid_input."""
    text = request.query_params.get(name, "").replace(" ", "+")  # clients do not always encode the plus
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise invalid_input((name, "must be a time in RFC 3339 format")) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def asked_step(request: Request, seconds: float) -> int:
    """As asked, but so that there are not too many samples. Raises invalid_input."""
    text = request.query_params.get("step", "")
    if text and (not text.isdigit() or int(text) < 1):
        raise invalid_input(("step", "must be a number of seconds greater than 0"))
    usual = max(1, round(seconds / USUAL_SAMPLES))
    return max(int(text) if text else usual, -(-int(seconds) // MOST_SAMPLES), 1)
