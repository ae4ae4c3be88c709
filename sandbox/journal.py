"""Every request that reached the sandbox, with what became of it: for tests to assert on. Kept like all else, but bounded."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from sandbox.store import Store

KEPT = 20_000
PRUNE_EVERY = 500
SHOWN_LENGTH = 100
SECRETS = ("user_data", "root_password", "password", "token", "private_key")
SCHEMA = "create table if not exists requests (id integer primary key autoincrement, entry text not null)"


class Entry(BaseModel):
    """One request. ``status`` is None while it has no answer, and where the connection was reset instead.

    ``effect``: whether it changed anything, whatever the client was told. ``made``: ids of what the true answer shows.
    """

    id: int = 0
    at: datetime
    project: str = ""
    client: str
    method: str
    path: str
    query: str = ""
    route: str
    body: dict[str, Any] = {}
    status: int | None = None
    code: str | None = None
    fault: str | None = None
    fault_id: int | None = None
    effect: bool = False
    made: dict[str, int] = {}
    seconds: float | None = None


class Journal:
    """The last requests, oldest first. An entry is on record before its request has any effect."""

    def __init__(self, store: Store) -> None:
        self.db = store.db
        self.db.execute(SCHEMA)

    def begin(self, entry: Entry) -> Entry:
        """Note that it arrived."""
        self.db.execute("insert into requests (entry) values (?)", (entry.model_dump_json(),))
        entry.id = self.db.execute("select last_insert_rowid()").fetchone()[0]
        if entry.id % PRUNE_EVERY == 0:
            self.db.execute("delete from requests where id <= ?", (entry.id - KEPT,))
        return entry

    def end(self, entry: Entry) -> None:
        """Note what became of it; nothing when it has been cleared meanwhile."""
        self.db.execute("update requests set entry = ? where id = ?", (entry.model_dump_json(), entry.id))

    def entries(self, since: int = 0) -> list[Entry]:
        """Those with a higher id."""
        rows = self.db.execute("select id, entry from requests where id > ? order by id", (since,))
        return [Entry.model_validate_json(entry).model_copy(update={"id": number}) for number, entry in rows]

    def clear(self) -> None:
        """Forget all; ids go on."""
        self.db.execute("delete from requests")


def summary(body: Any) -> dict[str, Any]:
    """A body for the record: no secret, nothing long."""
    return {name: brief(name, value) for name, value in body.items()} if isinstance(body, dict) else {}


def brief(name: str, value: Any) -> Any:
    """One value."""
    if isinstance(value, dict):
        return summary(value)
    if isinstance(value, list):
        return [brief(name, item) for item in value]
    if isinstance(value, str) and (name in SECRETS or len(value) > SHOWN_LENGTH):
        return f"<{len(value)} characters>"
    return value
