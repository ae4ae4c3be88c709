"""Faults that tests order: calls that are refused, actions that fail. They count down and are gone with the daemon."""

from __future__ import annotations

from fnmatch import fnmatch
from typing import Any

from pydantic import BaseModel, model_validator

from sandbox.errors import CloudError
from sandbox.resources.actions.models import Action


class Fault(BaseModel):
    """Either a call (``method`` and ``path``, wildcards allowed, and ``body`` fields it must have) or an ``action`` by command.

    ``path`` is below /v1. ``times`` counts down; None: until it is cleared.
    """

    method: str = "*"
    path: str = ""
    body: dict[str, Any] = {}
    action: str = ""
    code: str = "server_error"
    message: str = "injected by the sandbox's control plane"
    times: int | None = 1

    @model_validator(mode="after")
    def one_kind(self) -> Fault:
        """A fault hits calls or actions, not both."""
        if bool(self.path) == bool(self.action):
            raise ValueError("give either path (a call) or action (a command)")
        return self

    def error(self) -> CloudError:
        """What the client gets."""
        return CloudError(self.code, self.message)


class Faults:
    """Those that are ordered and not used up."""

    def __init__(self) -> None:
        self.ordered: list[Fault] = []

    def before_call(self, method: str, path: str, body: object) -> None:
        """Raise the first fault that hits this call."""
        fields = body if isinstance(body, dict) else {}
        for fault in self.ordered:
            if fault.path and hits_call(fault, method, path, fields):
                raise self.use(fault)

    def before_action(self, action: Action) -> None:
        """Raise the first fault that hits this action."""
        for fault in self.ordered:
            if fault.action and fnmatch(action.command, fault.action):
                raise self.use(fault)

    def use(self, fault: Fault) -> CloudError:
        """Count it down."""
        if fault.times is not None:
            fault.times -= 1
            if fault.times < 1:
                self.ordered.remove(fault)
        return fault.error()


def hits_call(fault: Fault, method: str, path: str, body: dict[str, Any]) -> bool:
    """Method, path and every given body field agree."""
    fits = fnmatch(method, fault.method.upper()) and fnmatch(path, fault.path)
    return fits and all(str(body.get(name)) == str(value) for name, value in fault.body.items())
