"""Dead letters counted by reason, step and event type, for `list`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.decode.timestamps import text
from pipeline.ops.dead_letters.letter import Letter, log_key
from pipeline.ops.dead_letters.redrive_log_stored import StoredLog, log_path
from pipeline.ops.dead_letters.redrive_log_topic import read_log
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
        """Count one dead letter."""
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
        """Return the group for JSON, times as ISO-8601."""
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


def groups(letters: Iterable[Letter], logged: set[bytes]) -> list[Group]:
    """Return the groups, the largest first."""
    found: dict[tuple[str, str, str], Group] = {}
    seen: set[bytes] = set()
    for letter in letters:
        key = (letter.reason, letter.step, letter.event_type)
        group = found.setdefault(key, Group(*key))
        identity = log_key(letter.identity)
        group.add(letter, is_copy=identity in seen, is_redriven=identity in logged)
        seen.add(identity)
    return sorted(found.values(), key=lambda each: (-each.count, each.reason, each.step))


def all_logged(systems: Systems) -> set[bytes]:
    """Return the log keys of everything redriven to a source, or to the index."""
    config, found = systems.config, set[bytes]()
    for topic in config.source.kafka_topics:
        found |= read_log(config.cluster(config.source.kafka_cluster), topic)
    path = log_path(config)
    if config.source.kinesis_streams and path:
        found |= StoredLog(path, systems.environment).read()
    return found
