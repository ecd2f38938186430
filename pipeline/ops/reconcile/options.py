"""Parse from the command line what to reconcile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from connectors.errors import UserError
from pipeline.config.model import Config
from pipeline.decode.timestamps import parse

Part = tuple[str, int, str]
"""Source, partition and shard: a shard has the partition -1, a partition the shard ""."""
Interval = tuple[int, int]
"""First and last offset or sequence number, both included."""

DIGITS: Final = 57
"""Decimal digits reserved for a sequence number; AWS documents no length, 56 are common."""
END: Final = 10**DIGITS - 1
"""The last position of an open interval."""

_CHECKPOINT_SECONDS: Final = 60.0
"""Assumed where the cluster decides the checkpoint interval; the managed service's default."""
_COMMIT_SECONDS: Final = 30.0
"""How long after a checkpoint its files may become visible."""
_RANGE: Final = re.compile(r"([^/@\s]+)/([^/@\s]+)@(?:(\d+)|(\d*)\.\.(\d*))")
_ALLOWED: Final = (
    "TOPIC/PARTITION@FIRST..LAST or STREAM/SHARD@FIRST..LAST, FIRST not after LAST, either end may"
    " be open"
)


@dataclass(frozen=True, slots=True)
class Span:
    """Positions of one partition or shard, both ends included; None is an open end."""

    place: str
    part: str
    first: int | None
    last: int | None

    @property
    def key(self) -> Part:
        """The partition or shard: a partition is a number, a shard isn't."""
        is_partition = self.part.isdecimal()
        return (self.place, int(self.part), "") if is_partition else (self.place, -1, self.part)

    @property
    def interval(self) -> Interval:
        """The positions as numbers."""
        return self.first or 0, END if self.last is None else self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """`since` and `until` (exclusive) are epoch milliseconds of arrival; no span means all.

    `values` compares the values of rows, not only their positions. `settle_seconds` is how long to
    look again for what is missing: rows are in files some time after their offsets are committed.
    None: as long as that can take, `settle_for`.
    """

    spans: tuple[Span, ...] = ()
    since: int | None = None
    until: int | None = None
    complete: bool = False
    from_archive: bool = False
    values: bool = True
    settle_seconds: float | None = None

    @property
    def everything(self) -> bool:
        """Whether all positions of all times are requested."""
        return not self.spans and self.since is None and self.until is None

    def sentence(self) -> str:
        """Say what is judged."""
        end = "to the end" if self.complete else "up to the last completed checkpoint"
        since = "" if self.since is None else f", arrived from {_text(self.since)} on"
        until = "" if self.until is None else f", arrived before {_text(self.until)}"
        truth = ", compared with the archive" if self.from_archive else ""
        values = "" if self.values else ", without values"
        return f"{end}{since}{until}{truth}{values}"


def settle_for(config: Config) -> float:
    """Return for how long rows that a checkpoint covers may be in no visible file.

    They stay in a bucket for `file_seconds`; its file is visible after the next checkpoint, which
    may be one that has to wait for a running one.
    """
    checkpoint = config.job.checkpoint_seconds or _CHECKPOINT_SECONDS
    collected = (section.file_seconds for section in config.file_sinks.values())
    return max(collected, default=0.0) + 2 * checkpoint + _COMMIT_SECONDS


def span(text: str) -> Span:
    """Parse `trips/0@100..200`, `trips/0@100..`, `trips/0@..200`, `trips/0@..` or `trips/0@100`."""
    if match := _RANGE.fullmatch(text):
        place, part, only, first, last = match.groups()
        first, last = (int(end) if end else None for end in (only or first, only or last))
        parsed = Span(place, part, first, last)
        if parsed.interval[0] <= parsed.interval[1]:
            return parsed
    raise UserError(f"--range {text!r} is no range of positions: give {_ALLOWED}")


def instant(option: str, text: str | None) -> int | None:
    """Return the epoch milliseconds of an ISO-8601 text with an offset."""
    if text is None:
        return None
    moment = parse(text)
    if not isinstance(moment, int):
        raise UserError(f"{option} {text!r}: allowed is {moment.allowed}")
    return moment


def _text(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
