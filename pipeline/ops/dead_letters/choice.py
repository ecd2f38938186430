"""Selects dead letters by step, reason, event type, partition and arrival time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime

from connectors.errors import UserError
from pipeline.decode.reasons import REASONS
from pipeline.decode.timestamps import EPOCH, MILLISECOND
from pipeline.ops.dead_letters.letter import Letter

STEPS = tuple(dict.fromkeys(each.step for each in REASONS.values()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Filters that all apply; an empty one matches everything. Times are epoch milliseconds.

    A dead letter of unknown arrival time is in no interval.
    """

    steps: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether there is no filter."""
        return self == Choice()

    def matches(self, letter: Letter) -> bool:
        """Return whether all filters match a dead letter."""
        return (
            (not self.steps or letter.step in self.steps)
            and (not self.reasons or letter.reason in self.reasons)
            and (not self.event_types or letter.event_type in self.event_types)
            and (not self.partitions or letter.partition in self.partitions)
            and self._arrived(letter.arrival_ms)
        )

    def _arrived(self, arrival_ms: int | None) -> bool:
        if self.since_ms is None and self.until_ms is None:
            return True
        return (
            arrival_ms is not None
            and (self.since_ms is None or self.since_ms <= arrival_ms)
            and (self.until_ms is None or arrival_ms < self.until_ms)
        )


def parse_choice(
    *,
    steps: list[str] | None,
    reasons: list[str] | None,
    event_types: list[str] | None,
    partitions: list[str] | None,
    since: str,
    until: str,
) -> Choice:
    """Return the choice of a command's options; UserError for a value that matches nothing."""
    _check("--step", steps, STEPS)
    _check("--reason", reasons, tuple(REASONS))
    for each in partitions or ():
        if each.count("/") != 1:
            raise UserError(f"--partition {each}: give topic/partition or stream/shard.")
    return Choice(
        steps=tuple(steps or ()),
        reasons=tuple(reasons or ()),
        event_types=tuple(event_types or ()),
        partitions=tuple(partitions or ()),
        since_ms=_millis("--since", since),
        until_ms=_millis("--until", until),
    )


def _check(option: str, values: list[str] | None, allowed: tuple[str, ...]) -> None:
    for value in values or ():
        if value not in allowed:
            raise UserError(f"{option} {value}: unknown; give one of {', '.join(allowed)}.")


def _millis(option: str, text: str) -> int | None:
    """Return an ISO-8601 date or time in epoch milliseconds; UTC unless it has an offset."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            f"{option} {text}: give ISO-8601, such as 2018-01-31 or 2018-01-31T08:00:00Z."
        ) from error
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - EPOCH) // MILLISECOND
