"""What a scenario is: data alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Order = Mapping[str, Any]
"""A fault, as the sandbox's control plane takes it."""


@dataclass(frozen=True)
class Act:
    """Something that happens during a run, by its name in `acts.ACTS`: at a boundary between resources, or at a time.

    A boundary is an event of the engine that says that it begins or has ended an operation on a resource, counted from 1.
    """

    name: str
    boundary: int = 0
    seconds: float = 0


@dataclass(frozen=True)
class Scenario:
    """One disturbed run of the engine, and a second one in peace.

    `built`: an image is there before. `before` are acts ahead of the disturbed run, `remedy` between it and the one in peace.
    `ends`: how the disturbed run has to end, and `says` what it has to say; both open unless given. `stack` are keys of the
    stack file for the disturbed run and the one after it. `creates`: whether the disturbed run may create anything at all.
    `seconds`: how long a run may take.
    `clock_hours`: how far the clock of the program is off in the disturbed run.
    """

    name: str
    faults: tuple[Order, ...] = ()
    before: tuple[str, ...] = ()
    during: tuple[Act, ...] = ()
    remedy: tuple[str, ...] = ()
    built: bool = False
    stack: Mapping[str, Any] = field(default_factory=dict)
    conditions: Mapping[str, Any] = field(default_factory=dict)
    ends: Literal["", "well", "badly"] = ""
    says: str = ""
    creates: bool = True
    seconds: float = 240
    clock_hours: float = 0

    @property
    def group(self) -> str:
        """What stands before the colon of its name."""
        return self.name.partition(":")[0]
