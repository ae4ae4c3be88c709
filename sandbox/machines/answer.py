"""What SSH answers on a machine that runs nothing."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, Field, field_validator


class Answer(BaseModel):
    """Hits commands on servers by name; ``command`` is a regular expression, searched in the command line and its input.

    After ``seconds`` it prints and ends with ``status``, or the connection is lost instead. It counts down ``times``.
    """

    model_config = ConfigDict(extra="forbid")

    server: str = "*"
    command: str = ""
    stdout: str = ""
    stderr: str = ""
    status: int = Field(default=0, ge=0, le=255)
    seconds: float = Field(default=0, ge=0, le=3600)
    lost: bool = False
    times: int | None = Field(default=None, ge=1)

    @field_validator("command")
    @classmethod
    def is_expression(cls, value: str) -> str:
        """Raises ValueError."""
        try:
            re.compile(value)
        except re.error as error:
            raise ValueError(f"'{value}' is not a regular expression: {error}") from error
        return value
