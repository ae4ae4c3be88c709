"""What SSH answers on instant machines: rules that tests set, kept like all else, and a record of what was asked."""

from __future__ import annotations

import re
from collections import deque
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

from pydantic import BaseModel

from sandbox.machines.answer import Answer
from sandbox.store import Collection, Record, Store

ASKED_KEPT = 10_000


class Rule(Record):
    """An answer that was set."""

    answer: Answer
    used: int = 0


class Asked(BaseModel):
    """A command that came."""

    at: datetime
    server: str
    command: str
    input: str
    status: int | None


class Answers:
    """The rules: of those that fit, the one that was set last counts. Without one, a command succeeds and says nothing."""

    def __init__(self, store: Store) -> None:
        self.rules = Collection(store, "answer", Rule)
        self.asked: deque[Asked] = deque(maxlen=ASKED_KEPT)

    def set(self, answer: Answer) -> Rule:
        """One more."""
        return self.rules.save(Rule(id=self.rules.next_id(), answer=answer))

    def clear(self) -> None:
        """Forget the rules and what was asked."""
        self.asked.clear()
        self.rules.clear()

    def to(self, server: str, command: str, given: str) -> Answer:
        """The answer to a command with its input."""
        answer = self.rule_for(server, f"{command}\n{given}")
        status = None if answer.lost else answer.status
        self.asked.append(Asked(at=datetime.now(UTC), server=server, command=command, input=given, status=status))
        return answer

    def rule_for(self, server: str, text: str) -> Answer:
        """The last that fits and is not used up."""
        for rule in reversed(list(self.rules)):
            answer = rule.answer
            left = answer.times is None or rule.used < answer.times
            if left and fnmatchcase(server, answer.server) and re.search(answer.command, text):
                rule.used += 1
                self.rules.save(rule)
                return answer
        return Answer()


def shape(rule: Rule) -> dict[str, Any]:
    """For the control plane."""
    return {"id": rule.id, "used": rule.used, **rule.answer.model_dump(mode="json")}
