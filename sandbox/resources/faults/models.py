"""Which fault hits what. Orders are kept like all else, so that they and their counts outlive a kill of the sandbox."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from random import Random
from typing import Any, TypeVar

from pydantic import BaseModel

from sandbox.errors import CloudError
from sandbox.resources.actions.models import CALM, Disturbance
from sandbox.resources.faults.kinds import (
    ActionErrorFault,
    ActionFault,
    ActionSlowFault,
    AnyFault,
    CallFault,
    CapacityFault,
    DiskFullFault,
    Fault,
    MachineFault,
    NoBootFault,
    QuotaFault,
    SnapshotStuckFault,
    SshRefusedFault,
)
from sandbox.store import Collection, Record, Store

SPENT_KEPT = 1000
HITS_KEPT = 100
F = TypeVar("F", bound=Fault)


@dataclass(frozen=True)
class Call:
    """A call of the API. ``route`` is its path with names for ids: ``/servers/{id}``."""

    method: str
    path: str
    route: str
    body: dict[str, Any]
    client: str


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a machine: it comes up after ``delay`` seconds (infinite: never), its disk fills up."""

    delay: float = 0
    disk_full: bool = False


class Hit(BaseModel):
    """Something that a fault hit."""

    at: datetime
    event: str


class Order(Record):
    """A fault with what it has seen (events that fit) and hit."""

    fault: AnyFault
    seen: int = 0
    used: int = 0
    hits: list[Hit] = []

    @property
    def spent(self) -> bool:
        """Whether it can hit no more."""
        return self.fault.times is not None and self.used >= self.fault.times

    def due(self) -> bool:
        """Whether the event it has just seen is one to hit."""
        drawn = Random(f"{self.fault.seed}/{self.seen}").random()  # noqa: S311 - reproducible is what it must be
        return not self.spent and self.seen >= self.fault.nth and drawn < self.fault.share


class Faults:
    """All orders."""

    def __init__(self, store: Store) -> None:
        self.orders = Collection(store, "fault", Order)

    @property
    def active(self) -> list[Order]:
        """Those that may still hit."""
        return [order for order in self.orders if not order.spent]

    @property
    def spent(self) -> list[Order]:
        """Those that are used up: what they hit, for tests to look at."""
        return [order for order in self.orders if order.spent]

    def order(self, fault: Fault) -> Order:
        """Keep one."""
        for old in self.spent[:-SPENT_KEPT]:
            self.orders.remove(old)
        return self.orders.save(Order.model_validate({"id": self.orders.next_id(), "fault": fault}))

    def clear(self) -> None:
        """Forget all."""
        self.orders.clear()

    def take(self, wanted: type[F], event: str, fits: Callable[[F], bool]) -> tuple[Order, F] | None:
        """Let all orders of a kind see the event; the first that is due hits it."""
        found: tuple[Order, F] | None = None
        for order in self.active:
            fault: Any = order.fault
            if not isinstance(fault, wanted) or not fits(fault):
                continue
            order.seen += 1
            if found is None and order.due():
                order.used += 1
                order.hits = [*order.hits, Hit(at=datetime.now(UTC), event=event)][-HITS_KEPT:]
                found = order, fault
            self.orders.save(order)
        return found

    # What is asked before things happen

    def of_call(self, call: Call) -> tuple[Order, CallFault] | None:
        """The fault of a call."""
        return self.take(CallFault, f"{call.method} {call.path}", lambda fault: hits_call(fault, call))

    def of_action(self, command: str, server: str, location: str, server_type: str) -> Disturbance:
        """What disturbs an action that starts."""
        event = f"{command} {server}"

        def fits(fault: ActionFault) -> bool:
            return fnmatchcase(command, fault.action) and fnmatchcase(server, fault.server)

        if hit := self.take(ActionErrorFault, event, fits):
            fault = hit[1]
            return Disturbance(fault.seconds, CloudError(fault.code, fault.message), done=fault.when == "after")
        if slow := self.take(ActionSlowFault, event, fits):
            return Disturbance(slow[1].seconds)
        if command == "create_server" and (
            gone := self.take(CapacityFault, event, lambda fault: hits_place(fault, "action", location, server_type))
        ):
            return Disturbance(0, no_capacity(server_type, location, gone[1].code))
        if command == "create_image" and (
            stuck := self.take(SnapshotStuckFault, event, lambda fault: fnmatchcase(server, fault.server))
        ):
            return Disturbance(stuck[1].seconds, CloudError(stuck[1].code, stuck[1].message))
        return CALM

    def before_server(self, location: str, server_type: str) -> None:
        """Raise when there is no capacity."""
        event = f"{server_type} in {location}"
        if gone := self.take(CapacityFault, event, lambda fault: hits_place(fault, "call", location, server_type)):
            raise no_capacity(server_type, location, gone[1].code)

    def reached(self, resource: str) -> bool:
        """Whether a quota counts as reached for this one call."""
        return self.take(QuotaFault, f"one more of {resource}", lambda fault: fault.resource == resource) is not None

    def of_boot(self, server: str) -> Trouble:
        """What is wrong with a machine that is about to boot."""

        def fits(fault: MachineFault) -> bool:
            return fnmatchcase(server, fault.server)

        if self.take(NoBootFault, f"boot of {server}", fits):
            return Trouble(delay=math.inf)
        late = self.take(SshRefusedFault, f"boot of {server}", fits)
        full = self.take(DiskFullFault, f"boot of {server}", fits)
        return Trouble(delay=late[1].seconds if late else 0, disk_full=full is not None)

    def sold_out(self, location: str, server_type: str) -> bool:
        """Whether an order makes a server type unavailable in a location now."""
        faults = [order.fault for order in self.active if order.seen + 1 >= order.fault.nth]
        return any(
            isinstance(fault, CapacityFault) and hits_place(fault, fault.where, location, server_type)
            for fault in faults
        )


def hits_call(fault: CallFault, call: Call) -> bool:
    """Method, path or route, client and every given body field agree."""
    path = fault.path == call.route or fnmatchcase(call.path, fault.path)
    fits = path and fnmatchcase(call.method, fault.method.upper()) and fnmatchcase(call.client, fault.client)
    return fits and all(str(call.body.get(name)) == str(value) for name, value in fault.body.items())


def hits_place(fault: CapacityFault, where: str, location: str, server_type: str) -> bool:
    """Location and server type agree."""
    return (
        fault.where == where and fnmatchcase(location, fault.location) and fnmatchcase(server_type, fault.server_type)
    )


def no_capacity(server_type: str, location: str, code: str = "resource_unavailable") -> CloudError:
    """As the API words it when a type is out of stock."""
    return CloudError(code, f"error during placement: no {server_type} is available in {location}")


def shape(order: Order) -> dict[str, Any]:
    """For the control plane."""
    counts = order.model_dump(mode="json", exclude={"fault"})
    return {**counts, **order.fault.model_dump(mode="json")}
