"""What `list` shows: dead letters counted by reason, step and event type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.decode.timestamps import text
from pipeline.ops.dead_letters.letter import Letter, mark_of
from pipeline.ops.dead_letters.marks_stored import StoredMarks, marks_path
from pipeline.ops.dead_letters.marks_topic import read_marks
from pipeline.ops.systems import Systems

_SAMPLES = 2


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

    def add(self, letter: Letter, *, is_copy: bool, is_redriven: bool) -> None:
        """Count one."""
        self.count += 1
        if is_copy:
            return
        self.distinct += 1
        self.redriven += is_redriven
        if len(self.samples) < _SAMPLES:
            self.samples.append(letter.where or letter.place)
        at = letter.arrival_ms
        if at is not None:
            self.first_ms = at if self.first_ms is None else min(self.first_ms, at)
            self.last_ms = at if self.last_ms is None else max(self.last_ms, at)

    def as_dict(self) -> dict[str, Any]:
        """For JSON, times as ISO-8601."""
        return {
            "reason": self.reason,
            "step": self.step,
            "type": self.event_type,
            "count": self.count,
            "distinct": self.distinct,
            "redriven": self.redriven,
            "first": "" if self.first_ms is None else text(self.first_ms),
            "last": "" if self.last_ms is None else text(self.last_ms),
            "samples": self.samples,
        }


def groups(letters: Iterable[Letter], marks: set[bytes]) -> list[Group]:
    """The largest group first."""
    found: dict[tuple[str, str, str], Group] = {}
    seen: set[bytes] = set()
    for letter in letters:
        key = (letter.reason, letter.step, letter.event_type)
        group = found.setdefault(key, Group(*key))
        mark = mark_of(letter.identity)
        group.add(letter, is_copy=mark in seen, is_redriven=mark in marks)
        seen.add(mark)
    return sorted(found.values(), key=lambda each: (-each.count, each.reason, each.step))


def all_marks(systems: Systems) -> set[bytes]:
    """What was redriven to any source of this configuration, or to its index."""
    config, found = systems.config, set[bytes]()
    for topic in config.source.kafka_topics:
        found |= read_marks(config.cluster(config.source.kafka_cluster), topic)
    path = marks_path(config)
    if config.source.kinesis_streams and path:
        found |= StoredMarks(path, systems.environment).read()
    return found
