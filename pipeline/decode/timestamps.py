"""Columns of ISO-8601 texts to epoch milliseconds (UTC), exactly, and the bounds of instants."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.events.instants import EPOCH, MILLISECOND, BadTimestamp, parse, text

__all__ = ["EPOCH", "MILLISECOND", "BadTimestamp", "parse", "text"]

EARLIEST: Final = (datetime(2009, 1, 1, tzinfo=UTC) - EPOCH) // MILLISECOND
"""By default no event is earlier: TLC's public records begin in 2009."""
AHEAD: Final = timedelta(days=1) // MILLISECOND
"""How far (ms) an event's time may be ahead of the clock."""

CANONICAL_LENGTH: Final = len("2018-01-01T00:21:05.000Z")
_BLANKS: Final = " " * CANONICAL_LENGTH
_FIRST_YEAR, _LAST_YEAR = 1970, 2199
# The canonical text: the lowest and highest byte at each position, the positions of its two-digit
# numbers (two for the year, one for tenths and hundredths), and the range of each number.
_LOWEST: Final = np.frombuffer(b"0000-00-00T00:00:00.000Z", np.uint8)[:, None]
_HIGHEST: Final = np.frombuffer(b"9999-99-99T99:99:99.999Z", np.uint8)[:, None]
_TENS: Final = [0, 2, 5, 8, 11, 14, 17, 20]
_ONES: Final = [1, 3, 6, 9, 12, 15, 18, 21]
_LEAST: Final = np.array([0, 0, 1, 1, 0, 0, 0, 0])[:, None]
_MOST: Final = np.array([99, 99, 12, 31, 23, 59, 59, 99])[:, None]
_MONTHS: Final = np.arange(f"{_FIRST_YEAR}-01", f"{_LAST_YEAR + 1}-01", dtype="M8[M]")
_FIRST_DAYS: Final = _MONTHS.astype("M8[D]").astype(np.int64)
_MONTH_DAYS: Final = (_MONTHS + 1).astype("M8[D]").astype(np.int64) - _FIRST_DAYS


def canonical(timestamp: str) -> str:
    """Return the instant's canonical text in milliseconds; blanks if `timestamp` is no instant.

    Texts of the canonical length are returned unchanged: `parse_canonical` checks them.
    """
    if len(timestamp) == CANONICAL_LENGTH:
        return timestamp
    if len(timestamp) == CANONICAL_LENGTH - 4 and timestamp[-1] == "Z":
        return f"{timestamp[:-1]}.000Z"
    millis = parse(timestamp)
    return _BLANKS if isinstance(millis, BadTimestamp) else text(millis)


def parse_canonical(texts: Sequence[str]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    """Parse texts of the canonical length: epoch milliseconds (int64), and which are canonical.

    A text that is no timestamp, or not of the years 1970 to 2199, gives 0 and False.
    """
    joined = "".join(texts)
    if not joined.isascii():
        joined = "".join(text if text.isascii() else _BLANKS for text in texts)
    return _parse_rows(np.frombuffer(joined.encode("ascii"), np.uint8))


def _parse_rows(flat: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
    rows = np.ascontiguousarray(flat.reshape(-1, CANONICAL_LENGTH).T)
    good = ((rows >= _LOWEST) & (rows <= _HIGHEST)).all(axis=0)
    digits = (rows - np.uint8(ord("0"))).astype(np.int32)
    pairs = digits[_TENS] * 10 + digits[_ONES]
    good &= ((pairs >= _LEAST) & (pairs <= _MOST)).all(axis=0)
    century, of_century, month, day, hour, minute, second, centis = pairs
    year = century * 100 + of_century
    good &= (year >= _FIRST_YEAR) & (year <= _LAST_YEAR)
    at_month = np.where(good, (year - _FIRST_YEAR) * 12 + month - 1, 0)
    good &= day <= _MONTH_DAYS[at_month]
    days = _FIRST_DAYS[at_month] + day - 1
    of_day = ((hour * 60 + minute) * 60 + second) * 1000 + centis * 10 + digits[22]
    return np.where(good, days * 86_400_000 + of_day, 0), good
