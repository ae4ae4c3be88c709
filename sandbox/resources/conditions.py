"""Under which conditions this project is kept: quotas, capacity, rate limit, prices. Kept like all else."""

from __future__ import annotations

from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from sandbox.store import Collection, Record, Store


class Part(BaseModel):
    """A part of the conditions; unknown names are mistakes."""

    model_config = ConfigDict(extra="forbid")


class Quotas(Part):
    """How many a project may have; null: any number. Primary IPs: those of IPv4."""

    servers: int | None = Field(default=None, ge=0)
    snapshots: int | None = Field(default=None, ge=0)
    primary_ips: int | None = Field(default=None, ge=0)


class Rate(Part):
    """Requests an hour, and how many come back a second. ``enforced``: null means at realistic speed only."""

    limit: int = Field(default=3600, ge=1)
    per_second: float = Field(default=1.0, gt=0)
    enforced: bool | None = None


class Place(Part):
    """A server type in a location, with wildcards."""

    location: str = "*"
    server_type: str = "*"


class Conditions(Part):
    """All of it. ``prices``: EUR a month without VAT by server type; ``image_gb``, ``primary_ipv4``."""

    quotas: Quotas = Quotas()
    rate: Rate = Rate()
    sold_out: list[Place] = []
    prices: dict[str, float] = {}

    def out_of_stock(self, location: str, server_type: str) -> bool:
        """Whether there is no capacity."""
        return any(
            fnmatchcase(location, place.location) and fnmatchcase(server_type, place.server_type)
            for place in self.sold_out
        )

    def changed(self, parts: Any) -> Conditions:
        """With the parts that are given replaced, as a whole each. Raises ValueError."""
        if not isinstance(parts, dict):
            raise ValueError("conditions are a JSON object")
        return Conditions.model_validate({**self.model_dump(), **parts})


class Kept(Record):
    """The one record."""

    conditions: Conditions


class ConditionsStore:
    """The conditions now; those given at the start win over what was kept."""

    def __init__(self, store: Store, given: Conditions | None) -> None:
        self.records = Collection(store, "conditions", Kept)
        kept = self.records.get(1)
        self.now = given or (kept.conditions if kept else Conditions())
        self.at_start = given or Conditions()
        if given:
            self.set(given)

    def set(self, conditions: Conditions) -> None:
        """From now on."""
        self.now = conditions
        self.records.save(Kept(id=1, conditions=conditions))

    def reset(self) -> None:
        """As at the start."""
        self.set(self.at_start)
