"""Errors: of the emulated cloud (they reach API clients) and of the sandbox itself (they reach the person at the shell)."""

from __future__ import annotations

from typing import Any


class CloudError(Exception):
    """What the real API would refuse, with its code. Knows no HTTP; ``api.http`` maps codes to statuses."""

    def __init__(self, code: str, message: str, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = details


class SandboxError(Exception):
    """A problem that whoever runs the sandbox can mend: what is wrong, and the remedy."""

    def __init__(self, message: str, remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.message}\n  remedy: {self.remedy}" if self.remedy else self.message


def not_found(kind: str, ref: int | str) -> CloudError:
    """``kind`` is what the API calls the resource, for example ``server``."""
    named = f"ID '{ref}'" if isinstance(ref, int) else f"name '{ref}'"
    return CloudError("not_found", f"{kind} with {named} not found")


def invalid_input(*fields: tuple[str, str]) -> CloudError:
    """One ``(field, message)`` per problem, all in one error as the real API gives them."""
    names = ", ".join(f"'{name}'" for name in dict.fromkeys(name for name, _ in fields))
    by_name: dict[str, list[str]] = {}
    for name, message in fields:
        by_name.setdefault(name, []).append(message)
    details = {"fields": [{"name": name, "messages": messages} for name, messages in by_name.items()]}
    return CloudError("invalid_input", f"invalid input in field{'s' if len(by_name) > 1 else ''} {names}", details)


def not_unique(field: str, message: str) -> CloudError:
    """Another object of the project has the same ``field`` already."""
    return CloudError("uniqueness_error", message, {"fields": [{"name": field}]})
