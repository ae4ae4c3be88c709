"""Collections of what belongs to a server: what a server has is found without a look at all of them."""

from __future__ import annotations

from typing import Generic, TypeVar

from sandbox.store import Collection, Record, Store


class Belonging(Record):
    """Something that a server may have. ``server`` is its id."""

    server: int | None = None


B = TypeVar("B", bound=Belonging)


class Owned(Collection[B], Generic[B]):
    """As a collection, with an index by server."""

    def __init__(self, store: Store, kind: str, model: type[B]) -> None:
        super().__init__(store, kind, model)
        self.owner: dict[int, int] = {}
        self.owned: dict[int, set[int]] = {}
        for record in self:
            self.index(record.id, record.server)

    def of(self, server_id: int) -> list[B]:
        """What the server has, the oldest first."""
        return [self.records[number] for number in sorted(self.owned.get(server_id, ()))]

    def save(self, record: B) -> B:
        """Insert or update."""
        super().save(record)
        self.index(record.id, record.server)
        return record

    def remove(self, record: B) -> None:
        """Forget the record; no error when it is gone already."""
        super().remove(record)
        self.index(record.id, None)

    def clear(self) -> None:
        """Forget all."""
        super().clear()
        self.owner.clear()
        self.owned.clear()

    def index(self, record_id: int, server_id: int | None) -> None:
        """Note to whom it belongs now."""
        before = self.owner.pop(record_id, None)
        if before is not None:
            self.owned[before].discard(record_id)
            if not self.owned[before]:
                del self.owned[before]
        if server_id is not None:
            self.owner[record_id] = server_id
            self.owned.setdefault(server_id, set()).add(record_id)
