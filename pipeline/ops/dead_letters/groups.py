"""Dead letters counted by reason, step and event type."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from pipeline.ops.dead_letters.letter import Letter
from pipeline.ops.dead_letters.view import time_text

_GROUP_SAMPLES: Final = 2


@dataclass(slots=True)
class Group:
    """The dead letters of one reason, step and event type; `count` includes copies."""

    reason: str
    step: str
    event_type: str
    count: int = 0
    distinct: int = 0
    redriven: int = 0
    first_ms: int | None = None
    last_ms: int | None = None
    samples: list[str] = field(default_factory=list)

    def add(self, letter: Letter, *, is_redriven: bool) -> None:
        """Count a dead letter that is not a copy."""
        self.distinct += 1
        self.redriven += is_redriven
        if len(self.samples) < _GROUP_SAMPLES:
            self.samples.append(letter.where or letter.place)
        arrival = letter.arrival_ms
        if arrival is not None:
            self.first_ms = arrival if self.first_ms is None else min(self.first_ms, arrival)
            self.last_ms = arrival if self.last_ms is None else max(self.last_ms, arrival)

    def as_dict(self) -> dict[str, Any]:
        """Return the row to print, with times in ISO-8601."""
        return {
            "reason": self.reason,
            "step": self.step,
            "type": self.event_type,
            "count": self.count,
            "distinct": self.distinct,
            "redriven": self.redriven,
            "first": time_text(self.first_ms),
            "last": time_text(self.last_ms),
            "samples": self.samples,
        }


def groups(letters: Iterable[Letter], log: Collection[bytes]) -> list[Group]:
    """Group dead letters, the largest group first; `log` has the digests of redriven ones."""
    grouped: dict[tuple[str, str, str], Group] = {}
    digests: set[bytes] = set()
    for letter in letters:
        key = (letter.reason, letter.step, letter.event_type)
        group = grouped.setdefault(key, Group(*key))
        group.count += 1
        digest = letter.digest
        if digest not in digests:
            digests.add(digest)
            group.add(letter, is_redriven=digest in log)
    return sorted(grouped.values(), key=lambda group: (-group.count, group.reason, group.step))
