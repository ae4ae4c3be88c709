"""SSH keys: name and key are unique in the project; the fingerprint is computed from the key."""

from __future__ import annotations

import base64
import binascii
import hashlib
from datetime import UTC, datetime

from sandbox.errors import invalid_input, not_found, not_unique
from sandbox.store import Collection, Record, Store

KEY_TYPES = ("ssh-rsa", "ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521")


class SshKey(Record):
    """One public key."""

    name: str
    public_key: str
    fingerprint: str
    labels: dict[str, str] = {}
    created: datetime


class SshKeys:
    """The keys of the project."""

    def __init__(self, store: Store) -> None:
        self.all = Collection(store, "ssh_key", SshKey)

    def get(self, key_id: int) -> SshKey:
        """Raises not_found."""
        if key := self.all.get(key_id):
            return key
        raise not_found("ssh_key", key_id)

    def find(self, ref: int | str) -> SshKey:
        """By id or name, as a server names its keys."""
        for key in self.all:
            if ref in (key.id, key.name, str(key.id)):
                return key
        raise not_found("ssh_key", ref)

    def create(self, name: str, public_key: str, labels: dict[str, str]) -> SshKey:
        """Raises invalid_input for what is no key, uniqueness_error for a name or key that is there."""
        mark = fingerprint(public_key)
        self.require_free_name(name)
        if any(key.fingerprint == mark for key in self.all):
            raise not_unique("public_key", "SSH key not unique")
        key = SshKey(
            id=self.all.next_id(),
            name=name,
            public_key=public_key,
            fingerprint=mark,
            labels=labels,
            created=datetime.now(UTC),
        )
        return self.all.save(key)

    def update(self, key: SshKey, name: str | None, labels: dict[str, str] | None) -> SshKey:
        """Change what is given."""
        if name is not None and name != key.name:
            self.require_free_name(name)
            key.name = name
        key.labels = key.labels if labels is None else labels
        return self.all.save(key)

    def require_free_name(self, name: str) -> None:
        """Raises uniqueness_error."""
        if any(key.name == name for key in self.all):
            raise not_unique("name", "SSH key name is already used")


def fingerprint(public_key: str) -> str:
    """MD5 of the key, in pairs of digits: ``b7:2f:...``. Raises invalid_input."""
    parts = public_key.split()
    try:
        if len(parts) < 2 or parts[0] not in KEY_TYPES:
            raise ValueError
        blob = base64.b64decode(parts[1], validate=True)
        if not blob[4:].startswith(parts[0].encode()):
            raise ValueError
    except (ValueError, binascii.Error) as error:
        raise invalid_input(("public_key", "is not a valid SSH public key")) from error
    digest = hashlib.md5(blob, usedforsecurity=False).hexdigest()
    return ":".join(digest[i : i + 2] for i in range(0, len(digest), 2))
