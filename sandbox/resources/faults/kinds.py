"""Every kind of fault, with its parameters. Pure: what a fault is, not what it does to HTTP, actions or machines."""

from __future__ import annotations

from itertools import product
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

Moment = Literal["before", "after"]
INJECTED = "injected by the sandbox's control plane"
GATEWAY_CODES = {500: "server_error", 502: "bad_gateway", 503: "unavailable", 504: "timeout"}
Seconds = Annotated[float, Field(ge=0, le=3600)]


class Fault(BaseModel):
    """When it hits: from the ``nth`` event that fits, ``times`` times (null: until cleared), a ``share`` of them.

    Which of them is drawn from ``seed`` and the number of the event alone: same seed, same run.
    """

    model_config = ConfigDict(extra="forbid")
    hits: ClassVar[str]

    nth: int = Field(default=1, ge=1)
    times: int | None = Field(default=1, ge=1)
    share: float = Field(default=1.0, gt=0, le=1)
    seed: int = 0


class CallFault(Fault):
    """Hits calls of the API. ``path``: below /v1, with wildcards, or a route (``/servers/{id}``); ``client``: the user agent."""

    hits = "call"

    method: str = "*"
    path: str = "*"
    body: dict[str, Any] = {}
    client: str = "*"


class ErrorFault(CallFault):
    """The call is refused with an error code of the API, before or after its effect."""

    kind: Literal["error"] = "error"
    code: str = "server_error"
    message: str = INJECTED
    when: Moment = "before"


class StatusFault(CallFault):
    """The call ends in a status of a server or gateway in trouble, as the API words it or as a gateway's page."""

    kind: Literal["status"] = "status"
    status: Literal[500, 502, 503, 504] = 502
    form: Literal["json", "html"] = "json"
    when: Moment = "before"


class RateLimitFault(CallFault):
    """429 with its headers: nothing is left, and all is back in ``seconds``."""

    kind: Literal["rate_limit"] = "rate_limit"
    seconds: Seconds = 1


class ResetFault(CallFault):
    """The connection is reset, before or after the effect."""

    kind: Literal["reset"] = "reset"
    when: Moment = "before"


class SlowFault(CallFault):
    """The answer takes ``seconds`` longer; the effect comes before or after them."""

    kind: Literal["slow"] = "slow"
    seconds: Seconds = 2
    when: Moment = "after"


class MalformedFault(CallFault):
    """The call has its effect; the answer has the right status, but its body is cut off, empty, or no JSON at all."""

    kind: Literal["malformed"] = "malformed"
    form: Literal["cut", "empty", "html"] = "cut"


class ActionFault(Fault):
    """Hits actions by command; ``server`` is the name of the server that they are about."""

    hits = "action"

    action: str = "*"
    server: str = "*"


class ActionErrorFault(ActionFault):
    """The action ends in error after ``seconds``: without its work, or although its work is done."""

    kind: Literal["action_error"] = "action_error"
    code: str = "action_failed"
    message: str = INJECTED
    seconds: Seconds = 0
    when: Moment = "before"


class ActionSlowFault(ActionFault):
    """The action takes ``seconds`` longer, then succeeds."""

    kind: Literal["action_slow"] = "action_slow"
    seconds: Seconds = 5


class SnapshotStuckFault(Fault):
    """A snapshot stays in ``creating`` for ``seconds``; then its action fails and it is gone."""

    hits = "snapshot"

    kind: Literal["snapshot_stuck"] = "snapshot_stuck"
    server: str = "*"
    seconds: Seconds = 5
    code: str = "action_failed"
    message: str = INJECTED


class CapacityFault(Fault):
    """Servers of a type cannot be had in a location: the call is refused, or its action fails. Server types show it meanwhile."""

    hits = "new_server"

    kind: Literal["capacity"] = "capacity"
    location: str = "*"
    server_type: str = "*"
    where: Literal["call", "action"] = "call"
    code: Literal["resource_unavailable", "placement_error"] = "resource_unavailable"
    times: int | None = Field(default=None, ge=1)


class QuotaFault(Fault):
    """A quota is reached: the call that would make one more is refused."""

    hits = "quota"

    kind: Literal["quota"] = "quota"
    resource: Literal["servers", "snapshots", "primary_ips"] = "servers"


class MachineFault(Fault):
    """Hits boots of a server by its name."""

    hits = "boot"

    server: str = "*"


class NoBootFault(MachineFault):
    """The server counts as running, but nothing comes up in it: it can only be powered off."""

    kind: Literal["no_boot"] = "no_boot"


class SshRefusedFault(MachineFault):
    """The server counts as running, but SSH is refused for ``seconds``."""

    kind: Literal["ssh_refused"] = "ssh_refused"
    seconds: Seconds = 5


class DiskFullFault(MachineFault):
    """Once the server is up, nothing more can be written to its disk."""

    kind: Literal["disk_full"] = "disk_full"


KINDS: tuple[type[Fault], ...] = (
    *(ErrorFault, StatusFault, RateLimitFault, ResetFault, SlowFault, MalformedFault),
    *(ActionErrorFault, ActionSlowFault, SnapshotStuckFault, CapacityFault, QuotaFault),
    *(NoBootFault, SshRefusedFault, DiskFullFault),
)
AnyFault = Annotated[
    ErrorFault
    | StatusFault
    | RateLimitFault
    | ResetFault
    | SlowFault
    | MalformedFault
    | ActionErrorFault
    | ActionSlowFault
    | SnapshotStuckFault
    | CapacityFault
    | QuotaFault
    | NoBootFault
    | SshRefusedFault
    | DiskFullFault,
    Field(discriminator="kind"),
]
ADAPTER: TypeAdapter[Fault] = TypeAdapter(AnyFault)


def fault_of(order: Any) -> Fault:
    """An order as it came, checked; without ``kind`` it is an ``error``, or ``action_error``. Raises ValueError."""
    if not isinstance(order, dict):
        raise ValueError("a fault is a JSON object")
    if not order:
        raise ValueError(f"give a kind, one of: {', '.join(map(name_of, KINDS))}")
    kind = "action_error" if "action" in order else "error"
    return ADAPTER.validate_python({"kind": kind, **order})


def name_of(kind: type[Fault]) -> str:
    """As an order names it."""
    return str(kind.model_fields["kind"].default)


def described(kind: type[Fault]) -> dict[str, Any]:
    """What a runner needs to try a kind in all its variants."""
    properties = kind.model_json_schema()["properties"]
    parameters = {name: shown for name, shown in properties.items() if name != "kind"}
    return {
        "kind": name_of(kind),
        "hits": kind.hits,
        "description": (kind.__doc__ or "").strip(),
        "parameters": parameters,
        "variants": variants(kind),
    }


def variants(kind: type[Fault]) -> list[dict[str, Any]]:
    """An order for each combination of the parameters that have a closed set of values."""
    choices = {
        name: get_args(field.annotation)
        for name, field in kind.model_fields.items()
        if get_origin(field.annotation) is Literal
    }
    return [dict(zip(choices, values, strict=True)) for values in product(*choices.values())]
