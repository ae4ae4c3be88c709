"""Tokens that were made for a project. Only a digest of each is kept."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import UTC, datetime
from typing import Any

from sandbox.errors import invalid_input, not_found
from sandbox.store import Collection, Record, Store

TOKEN_LENGTH = 64
NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?")


class Token(Record):
    """One token. What was withdrawn is remembered, so that it opens no project of its own."""

    project: str
    read_only: bool
    digest: str
    created: datetime
    revoked: bool = False


class Tokens:
    """All that were made."""

    def __init__(self, store: Store) -> None:
        self.records = Collection(store, "token", Token)
        self.by_digest = {token.digest: token for token in self.records}

    @property
    def valid(self) -> list[Token]:
        """Those that were not withdrawn."""
        return [token for token in self.records if not token.revoked]

    def create(self, project: str, *, read_only: bool) -> tuple[Token, str]:
        """The record, and the token itself, which is told only now. Raises invalid_input."""
        if not NAME.fullmatch(project):
            raise invalid_input(("project", "must be 1 to 40 lower-case letters, digits and dashes"))
        text = secrets.token_hex(TOKEN_LENGTH // 2)
        token = Token(
            id=self.records.next_id(),
            project=project,
            read_only=read_only,
            digest=digest_of(text),
            created=datetime.now(UTC),
        )
        self.by_digest[token.digest] = self.records.save(token)
        return token, text

    def find(self, text: str) -> Token | None:
        """The record of a token, also of one that was withdrawn."""
        return self.by_digest.get(digest_of(text))

    def revoke(self, token_id: int) -> None:
        """Raises not_found."""
        token = self.records.get(token_id)
        if token is None or token.revoked:
            raise not_found("token", token_id)
        token.revoked = True
        self.records.save(token)


def digest_of(text: str) -> str:
    """SHA-256."""
    return hashlib.sha256(text.encode()).hexdigest()


def shape(token: Token) -> dict[str, Any]:
    """For the control plane."""
    return token.model_dump(mode="json", exclude={"digest", "revoked"})
