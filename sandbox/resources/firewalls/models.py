"""Firewalls: rules and what they are applied to. They filter where machines have a network of their own (see filters)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel

from sandbox.errors import CloudError, not_found, not_unique
from sandbox.resources.firewalls.rules import Rule, canonical, check_rules
from sandbox.resources.labels import matches
from sandbox.store import Collection, Record, Store

FIREWALLS_PER_SERVER = 5


class Target(BaseModel):
    """A server or a label selector."""

    type: Literal["server", "label_selector"]
    server: int | None = None
    selector: str | None = None

    @property
    def named(self) -> str:
        """In messages."""
        return f"label selector '{self.selector}'" if self.server is None else f"server {self.server}"


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
        rules = [canonical(rule) for rule in rules]
        firewall = Firewall(id=self.all.next_id(), name=name, rules=rules, labels=labels, created=datetime.now(UTC))
        return self.all.save(firewall)

    def update(self, firewall: Firewall, **changes: Any) -> Firewall:
        """Change the fields given with a value."""
        given = {field: value for field, value in changes.items() if value is not None}
        if "name" in given and given["name"] != firewall.name:
            self.require_free_name(given["name"])
        if "rules" in given:
            check_rules(given["rules"])
            given["rules"] = [canonical(rule) for rule in given["rules"]]
        for field, value in given.items():
            setattr(firewall, field, value)
        return self.save(firewall)

    def apply(self, firewall: Firewall, targets: list[Target]) -> None:
        """To all of them or to none. Raises firewall_already_applied, resource_limit_exceeded."""
        for number, target in enumerate(targets):
            if target in [*firewall.applied_to, *targets[:number]]:
                raise CloudError("firewall_already_applied", f"firewall is already applied to {target.named}")
            if target.server is not None and len(self.on_server(target.server)) >= FIREWALLS_PER_SERVER:
                raise CloudError("resource_limit_exceeded", f"{target.named} has {FIREWALLS_PER_SERVER} firewalls")
        firewall.applied_to.extend(targets)
        self.save(firewall)

    def withdraw(self, firewall: Firewall, targets: list[Target]) -> None:
        """From all that are among these."""
        firewall.applied_to = [target for target in firewall.applied_to if target not in targets]
        self.save(firewall)

    def require_applied(self, firewall: Firewall, target: Target, labels: dict[str, str]) -> None:
        """Raises firewall_managed_by_label_selector, firewall_resource_not_found; ``labels`` are those of a server."""
        if target in firewall.applied_to:
            return
        selectors = [item.selector for item in firewall.applied_to if item.selector and target.server is not None]
        if any(matches(selector, labels) for selector in selectors):
            message = f"firewall is applied to {target.named} by a label selector: remove that, or the label"
            raise CloudError("firewall_managed_by_label_selector", message)
        raise CloudError("firewall_resource_not_found", f"firewall is not applied to {target.named}")

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
