"""Columns of ISO-8601 texts to epoch milliseconds (UTC), exactly, and the bounds of instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from pipeline.decode.forms import INSTANT
from pipeline.events.instants import EPOCH, MILLISECOND, BadTimestamp, parse, text

__all__ = ["EPOCH", "MILLISECOND", "BadTimestamp", "parse", "text"]

EARLIEST: Final = (datetime(2009, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND
"""By default no event is earlier: TLC's public records begin in 2009."""
AHEAD: Final = timedelta(days=1) // MILLISECOND
"""How far (ms) an event's time may be ahead of the clock."""

CANONICAL_LENGTH: Final = INSTANT.length
parse_canonical: Final = INSTANT.parse
"""Parses texts of that length: epoch milliseconds (int64), and which of them are canonical."""


def canonical(timestamp: str) -> str:
    """Return the instant's canonical text in milliseconds; blanks if `timestamp` is no instant.

    Texts of the canonical length are returned unchanged: `parse_canonical` checks them.
    """
    if len(timestamp) == CANONICAL_LENGTH:
        return timestamp
    if len(timestamp) == CANONICAL_LENGTH - 4 and timestamp[-1] == "Z":
        return f"{timestamp[:-1]}.000Z"
    millis = parse(timestamp)
    made = "" if isinstance(millis, BadTimestamp) else text(millis)
    return made if len(made) == CANONICAL_LENGTH else INSTANT.blank  # the year 10000
