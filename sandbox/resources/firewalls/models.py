"""Firewalls: rules and what they are applied to. They filter where machines have a network of their own (see filters)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from sandbox.errors import CloudError, invalid_input, not_found, not_unique
from sandbox.resources.labels import matches
from sandbox.store import Collection, Record, Store


class Rule(BaseModel):
    """One rule, as in the API."""

    direction: Literal["in", "out"]
    protocol: Literal["tcp", "udp", "icmp", "esp", "gre"]
    port: str | None = None
    source_ips: list[str] = []
    destination_ips: list[str] = []
    description: str | None = None


class Target(BaseModel):
    """A server or a label selector."""

    type: Literal["server", "label_selector"]
    server: int | None = None
    selector: str | None = None


class Firewall(Record):
    """A firewall and what it is applied to."""

    name: str
    rules: list[Rule] = []
    applied_to: list[Target] = []
    labels: dict[str, str] = {}
    created: datetime


class Firewalls:
    """The firewalls of the project."""

    def __init__(self, store: Store) -> None:
        self.all = Collection(store, "firewall", Firewall)
        self.changed: Callable[[], None] = lambda: None

    def save(self, firewall: Firewall) -> Firewall:
        """Keep it, and have it filter."""
        self.all.save(firewall)
        self.changed()
        return firewall

    def get(self, firewall_id: int) -> Firewall:
        """Raises not_found."""
        if firewall := self.all.get(firewall_id):
            return firewall
        raise not_found("firewall", firewall_id)

    def create(self, name: str, rules: list[Rule], labels: dict[str, str]) -> Firewall:
        """Raises uniqueness_error, invalid_input."""
        check_rules(rules)
        self.require_free_name(name)
        firewall = Firewall(id=self.all.next_id(), name=name, rules=rules, labels=labels, created=datetime.now(UTC))
        return self.all.save(firewall)

    def update(self, firewall: Firewall, **changes: Any) -> Firewall:
        """Change the fields given with a value."""
        given = {field: value for field, value in changes.items() if value is not None}
        if "name" in given and given["name"] != firewall.name:
            self.require_free_name(given["name"])
        if "rules" in given:
            check_rules(given["rules"])
        for field, value in given.items():
            setattr(firewall, field, value)
        return self.save(firewall)

    def apply(self, firewall: Firewall, targets: list[Target]) -> None:
        """Raises firewall_already_applied."""
        for target in targets:
            if target in firewall.applied_to:
                raise CloudError("firewall_already_applied", "firewall is already applied to this resource")
            firewall.applied_to.append(target)
        self.save(firewall)

    def withdraw(self, firewall: Firewall, targets: list[Target]) -> None:
        """No error for what it was not applied to."""
        firewall.applied_to = [target for target in firewall.applied_to if target not in targets]
        self.save(firewall)

    def delete(self, firewall: Firewall) -> None:
        """Raises resource_in_use while it is applied."""
        if firewall.applied_to:
            raise CloudError("resource_in_use", "firewall is still applied to resources")
        self.all.remove(firewall)

    def on_server(self, server_id: int) -> list[Firewall]:
        """Firewalls applied to the server by its id."""
        return [fw for fw in self.all if any(target.server == server_id for target in fw.applied_to)]

    def about(self, server_id: int, labels: dict[str, str]) -> list[Firewall]:
        """Firewalls applied to the server by its id or its labels."""
        by_label = [
            fw for fw in self.all if any(item.selector and matches(item.selector, labels) for item in fw.applied_to)
        ]
        return [*self.on_server(server_id), *by_label]

    def forget_server(self, server_id: int) -> None:
        """The server was deleted."""
        for firewall in self.on_server(server_id):
            self.withdraw(firewall, [target for target in firewall.applied_to if target.server == server_id])

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(firewall.name == name for firewall in self.all):
            raise not_unique("name", "firewall name is already used")


def check_rules(rules: list[Rule]) -> None:
    """What the API insists on beside types. Raises invalid_input with every problem."""
    problems = []
    for number, rule in enumerate(rules):
        if (rule.port is None) == (rule.protocol in ("tcp", "udp")):
            word = "requires" if rule.port is None else "must not have"
            problems.append((f"rules.{number}.port", f"protocol {rule.protocol} {word} a port"))
        if not (rule.source_ips if rule.direction == "in" else rule.destination_ips):
            side = "source_ips" if rule.direction == "in" else "destination_ips"
            problems.append((f"rules.{number}.{side}", f"direction {rule.direction} requires {side}"))
    if problems:
        raise invalid_input(*problems)
