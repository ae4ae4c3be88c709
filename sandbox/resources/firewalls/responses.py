"""Firewalls over HTTP."""

from __future__ import annotations

from typing import Any, Literal, Self

from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.responses import Response

from sandbox.api.http import (
    Body,
    body_of,
    by_field,
    by_labels,
    cloud_of,
    error_reply,
    in_order,
    iso,
    no_content,
    page,
    path_id,
    reply,
)
from sandbox.cloud import Cloud
from sandbox.errors import CloudError, invalid_input
from sandbox.resources.actions import responses as actions
from sandbox.resources.actions.models import Action
from sandbox.resources.firewalls.models import Firewall, Target
from sandbox.resources.firewalls.rules import Rule
from sandbox.resources.labels import LabelDict, matches
from sandbox.resources.servers.models import Server
from sandbox.resources.servers.responses import shape_public_net


class ServerRef(Body):
    """A server by id."""

    id: int


class SelectorRef(Body):
    """Servers by label."""

    selector: str = Field(min_length=1)


class TargetBody(Body):
    """What a firewall is applied to."""

    type: Literal["server", "label_selector"]
    server: ServerRef | None = None
    label_selector: SelectorRef | None = None

    @model_validator(mode="after")
    def has_its_type_alone(self) -> Self:
        """Raises ValueError."""
        other = "label_selector" if self.type == "server" else "server"
        if getattr(self, self.type) is None or getattr(self, other) is not None:
            raise ValueError(f"type {self.type} requires {self.type}, without {other}")
        return self

    def target(self) -> Target:
        """In the model's form."""
        server = self.server.id if self.server else None
        return Target(
            type=self.type, server=server, selector=self.label_selector.selector if self.label_selector else None
        )


class CreateBody(Body):
    """``POST /firewalls``."""

    name: str = Field(min_length=1, max_length=128)
    rules: list[Rule] = []
    apply_to: list[TargetBody] = []
    labels: LabelDict = {}


class UpdateBody(Body):
    """``PUT /firewalls/{id}``."""

    name: str | None = Field(None, min_length=1, max_length=128)
    labels: LabelDict | None = None


class RulesBody(Body):
    """``.../actions/set_rules``."""

    rules: list[Rule]


class ApplyBody(Body):
    """``.../actions/apply_to_resources``."""

    apply_to: list[TargetBody]


class WithdrawBody(Body):
    """``.../actions/remove_from_resources``."""

    remove_from: list[TargetBody]


def shape(cloud: Cloud, firewall: Firewall) -> dict[str, Any]:
    """As in the API."""
    return {
        "id": firewall.id,
        "name": firewall.name,
        "labels": firewall.labels,
        "created": iso(firewall.created),
        "rules": [rule.model_dump() for rule in firewall.rules],
        "applied_to": [shape_target(cloud, target) for target in firewall.applied_to],
    }


def shape_target(cloud: Cloud, target: Target) -> dict[str, Any]:
    """A server, or a selector with the servers it currently selects."""
    if target.type == "server":
        return {"type": "server", "server": {"id": target.server}}
    selector = target.selector or ""
    selected = [
        {"type": "server", "server": {"id": item.id}} for item in cloud.servers.all if matches(selector, item.labels)
    ]
    return {"type": "label_selector", "label_selector": {"selector": selector}, "applied_to_resources": selected}


def checked_targets(cloud: Cloud, field: str, bodies: list[TargetBody]) -> list[Target]:
    """Raises firewall_resource_not_found, private_net_only_server, invalid_input for a selector."""
    targets = [body.target() for body in bodies]
    for number, target in enumerate(targets):
        if target.server is not None:
            require_public(cloud, named_server(cloud, target.server))
        try:
            matches(target.selector or "", {})
        except ValueError as error:
            raise invalid_input((field, f"{number}: {error}")) from error
    return targets


def named_server(cloud: Cloud, server_id: int) -> Server:
    """Raises firewall_resource_not_found."""
    try:
        return cloud.servers.get(server_id)
    except CloudError as error:
        raise CloudError("firewall_resource_not_found", f"server {server_id} was not found") from error


def require_public(cloud: Cloud, server: Server) -> None:
    """A firewall filters the public interface. Raises private_net_only_server."""
    net = shape_public_net(cloud, server)
    if not net["ipv4"] and not net["ipv6"]:
        raise CloudError("private_net_only_server", f"server {server.id} has no public interface")


def done(cloud: Cloud, firewall: Firewall, command: str, targets: list[Target]) -> list[Action]:
    """An action for each server named, or one for the firewall alone."""
    servers = [target.server for target in targets if target.server]
    about = [[("firewall", firewall.id), ("server", server)] for server in servers] or [[("firewall", firewall.id)]]
    return [cloud.actions.done(command, *resources) for resources in about]


def reply_actions(done_actions: list[Action]) -> Response:
    """201 with actions."""
    return reply(201, actions=[actions.shape(action) for action in done_actions])


async def list_all(request: Request) -> Response:
    """``GET /firewalls``."""
    cloud = cloud_of(request)
    kept = by_field(request, by_labels(request, cloud.firewalls.all), "name")
    return page(request, "firewalls", in_order(request, kept), lambda firewall: shape(cloud, firewall))


async def create(request: Request) -> Response:
    """``POST /firewalls``."""
    body, cloud = await body_of(request, CreateBody), cloud_of(request)
    try:
        targets = checked_targets(cloud, "apply_to", body.apply_to)
    except CloudError as error:
        return error_reply(error, 422)  # in the document firewall_resource_not_found is 404 with the actions alone
    if len({target.named for target in targets}) < len(targets):
        raise CloudError("server_already_added", "a resource is named more than once in apply_to")
    firewall = cloud.firewalls.create(body.name, body.rules, body.labels)
    cloud.firewalls.apply(firewall, targets)
    made = done(cloud, firewall, "set_firewall_rules", []) + (
        done(cloud, firewall, "apply_firewall", targets) if targets else []
    )
    return reply(201, firewall=shape(cloud, firewall), actions=[actions.shape(action) for action in made])


async def get(request: Request) -> Response:
    """``GET /firewalls/{id}``."""
    cloud = cloud_of(request)
    return reply(firewall=shape(cloud, cloud.firewalls.get(path_id(request))))


async def update(request: Request) -> Response:
    """``PUT /firewalls/{id}``."""
    body, cloud = await body_of(request, UpdateBody), cloud_of(request)
    firewall = cloud.firewalls.update(cloud.firewalls.get(path_id(request)), name=body.name, labels=body.labels)
    return reply(firewall=shape(cloud, firewall))


async def delete(request: Request) -> Response:
    """``DELETE /firewalls/{id}``."""
    firewalls = cloud_of(request).firewalls
    firewalls.delete(firewalls.get(path_id(request)))
    return no_content()


async def set_rules(request: Request) -> Response:
    """``POST /firewalls/{id}/actions/set_rules``."""
    body, cloud = await body_of(request, RulesBody), cloud_of(request)
    firewall = cloud.firewalls.update(cloud.firewalls.get(path_id(request)), rules=body.rules)
    return reply_actions(done(cloud, firewall, "set_firewall_rules", []))


async def apply(request: Request) -> Response:
    """``POST /firewalls/{id}/actions/apply_to_resources``."""
    body, cloud = await body_of(request, ApplyBody), cloud_of(request)
    firewall, targets = cloud.firewalls.get(path_id(request)), checked_targets(cloud, "apply_to", body.apply_to)
    cloud.firewalls.apply(firewall, targets)
    return reply_actions(done(cloud, firewall, "apply_firewall", targets))


async def withdraw(request: Request) -> Response:
    """``POST /firewalls/{id}/actions/remove_from_resources``."""
    body, cloud = await body_of(request, WithdrawBody), cloud_of(request)
    firewall, targets = cloud.firewalls.get(path_id(request)), [item.target() for item in body.remove_from]
    for target in targets:
        labels = {} if target.server is None else named_server(cloud, target.server).labels
        cloud.firewalls.require_applied(firewall, target, labels)
    cloud.firewalls.withdraw(firewall, targets)
    return reply_actions(done(cloud, firewall, "remove_firewall", targets))
