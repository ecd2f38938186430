"""Filters over dead letters: step, reason, event type, time and partition."""

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
    """A dead letter matches if it has one of the values of every filter; an empty filter matches
    all.

    Times are epoch milliseconds. A dead letter of unknown arrival time matches no interval.
    """

    steps: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    event_types: tuple[str, ...] = ()
    partitions: tuple[str, ...] = ()
    since_ms: int | None = None
    until_ms: int | None = None

    @property
    def is_everything(self) -> bool:
        """Whether no filter is set."""
        return self == Choice()

    def takes(self, letter: Letter) -> bool:
        """Return whether the dead letter matches."""
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


def choice(
    *,
    steps: list[str] | None,
    reasons: list[str] | None,
    event_types: list[str] | None,
    partitions: list[str] | None,
    since: str,
    until: str,
) -> Choice:
    """Return the choice of a command's options; UserError for an impossible value."""
    _refuse("--step", steps, STEPS)
    _refuse("--reason", reasons, tuple(REASONS))
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


def _refuse(option: str, given: list[str] | None, allowed: tuple[str, ...]) -> None:
    for each in given or ():
        if each not in allowed:
            raise UserError(f"{option} {each}: there is no such; give one of {', '.join(allowed)}.")


def _millis(option: str, text: str) -> int | None:
    """Parse an ISO-8601 date or time; one without an offset is in UTC."""
    if not text:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise UserError(
            f"{option} {text}: give ISO-8601, such as 2018-01-31 or 2018-01-31T08:00:00Z."
        ) from error
    return ((found if found.tzinfo else found.replace(tzinfo=UTC)) - EPOCH) // MILLISECOND
