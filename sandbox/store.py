"""State on disk: JSON documents in SQLite, written through, so that a kill -9 at any moment loses nothing that was answered."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel


class Record(BaseModel):
    """Anything that is kept: it has an id, unique within its kind and never used again."""

    id: int


R = TypeVar("R", bound=Record)

SCHEMA = """
create table if not exists documents (kind text, id integer, body text not null, primary key (kind, id));
create table if not exists counters (kind text primary key, last integer not null);
"""


class Store:
    """The database file. One process at a time writes it (the daemon holds a lock)."""

    prefix = ""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.execute("pragma journal_mode = wal")
        self.db.execute(
            "pragma synchronous = normal"
        )  # safe when the process dies; a power cut may cost the last write
        self.db.executescript(SCHEMA)

    def next_id(self, kind: str) -> int:
        """Count up from the seconds since 1970: an id is not given twice, even after its object was deleted or all was reset.

        Clients keep ids in states of their own, and the real API never uses one again.
        """
        sql = "insert into counters values (?, ?) on conflict (kind) do update set last = last + 1 returning last"
        row: tuple[int] = self.db.execute(sql, (kind, int(time.time()))).fetchone()
        return row[0]

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All writes of the block, or none: also when the process is killed in between. Not to be awaited in."""
        self.db.execute("begin immediate")
        try:
            yield
        except BaseException:
            self.db.execute("rollback")
            raise
        self.db.execute("commit")

    def of(self, project: str) -> Store:
        """The same file for the documents of one project; ids are counted for all projects together."""
        view = copy(self)
        view.prefix = f"{project}/" if project else ""
        return view

    def projects(self) -> set[str]:
        """Those that have documents, without the one that needs no name."""
        rows = self.db.execute("select distinct kind from documents where kind like '%/%'")
        return {kind.partition("/")[0] for (kind,) in rows}

    def close(self) -> None:
        """Fold the write-ahead log into the file."""
        self.db.close()


class Collection(Generic[R]):
    """All records of one kind: read from memory, written through to the store."""

    def __init__(self, store: Store, kind: str, model: type[R]) -> None:
        self.store = store
        self.counter = kind
        self.kind = store.prefix + kind
        rows = store.db.execute("select body from documents where kind = ? order by id", (self.kind,))
        records = [model.model_validate_json(body) for (body,) in rows]
        self.records: dict[int, R] = {record.id: record for record in records}

    def __iter__(self) -> Iterator[R]:
        return iter(list(self.records.values()))

    def __len__(self) -> int:
        return len(self.records)

    def next_id(self) -> int:
        """The id of a record that is about to be saved."""
        return self.store.next_id(self.counter)

    def get(self, record_id: int) -> R | None:
        """The record, or None."""
        return self.records.get(record_id)

    def save(self, record: R) -> R:
        """Insert or update."""
        sql = "insert or replace into documents values (?, ?, ?)"
        self.store.db.execute(sql, (self.kind, record.id, record.model_dump_json()))
        self.records[record.id] = record
        return record

    def remove(self, record: R) -> None:
        """Forget the record; no error when it is gone already."""
        self.store.db.execute("delete from documents where kind = ? and id = ?", (self.kind, record.id))
        self.records.pop(record.id, None)

    def clear(self) -> None:
        """Forget all; ids go on."""
        self.store.db.execute("delete from documents where kind = ?", (self.kind,))
        self.records.clear()
