"""Canonical texts of dates and times, parsed as whole columns: of one length, without a loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.events.instants import DIGITS, FRACTIONS
from pipeline.events.model import Field, Unit

Counts = npt.NDArray[Any]

_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_MONTHS: Final = np.arange(f"{_FIRST_YEAR}-01", f"{_LAST_YEAR + 1}-01", dtype="M8[M]")
_FIRST_DAYS: Final = _MONTHS.astype("M8[D]").astype(np.int64)
_MONTH_DAYS: Final = (_MONTHS + 1).astype("M8[D]").astype(np.int64) - _FIRST_DAYS
_DATE: Final = "0000-00-00"
_SEPARATOR: Final = "T"
_DAY_SECONDS: Final = 86_400
# Of the two-digit numbers of a date (two for the year) and of a time.
_DATE_TENS: Final = (0, 2, 5, 8)
_TIME_TENS: Final = (0, 3, 6)
_DATE_RANGE: Final = ((0, 99), (0, 99), (1, 12), (1, 31))
_TIME_RANGE: Final = ((0, 23), (0, 59), (0, 59))


class Form:
    """The canonical text of a date, a time of day or a timestamp of the years 1970 to 2199.

    `fraction` is how many digits a second has, and `end` what the text ends with.
    """

    def __init__(self, *, date: bool, unit: Unit | None, end: str = "") -> None:
        self._date, self._time = date, unit is not None
        self._fraction = DIGITS[unit] if unit else 0
        self._per_second = FRACTIONS[unit] if unit else 0
        start = len(_DATE) + len(_SEPARATOR) if date and unit else 0
        time = f"00:00:00.{'0' * self._fraction}" if unit else ""
        template = f"{_DATE if date else ''}{_SEPARATOR if start else ''}{time}{end}"
        self.length = len(template)
        self.blank = " " * self.length
        """A text that is no time."""
        self._lowest = np.frombuffer(template.encode(), np.uint8)[:, None]
        highest = template.replace("0", "9").encode()
        self._highest = np.frombuffer(highest, np.uint8)[:, None]
        times = [start + place for place in _TIME_TENS] if unit else []
        tens = [*(_DATE_TENS if date else ()), *times]
        self._tens, self._ones = tens, [place + 1 for place in tens]
        ranges = [*(_DATE_RANGE if date else ()), *(_TIME_RANGE if unit else ())]
        self._least = np.array([least for least, _ in ranges])[:, None]
        self._most = np.array([most for _, most in ranges])[:, None]
        self._at_fraction = start + len("00:00:00.")

    def parse(self, texts: Sequence[str]) -> tuple[Counts, npt.NDArray[np.bool_]]:
        """Return what the texts count since 1970 or midnight, and which of them are canonical.

        Each has this form's length. A text that is not canonical gives 0 and False.

        Raises:
            ValueError: a text has another length.
        """
        joined = "".join(texts)
        if len(joined) != len(texts) * self.length:
            raise ValueError("a text has another length than its form")
        if not joined.isascii():
            joined = "".join(text if text.isascii() else self.blank for text in texts)
        flat = np.frombuffer(joined.encode("ascii"), np.uint8)
        rows = np.ascontiguousarray(flat.reshape(-1, self.length).T)
        good = ((rows >= self._lowest) & (rows <= self._highest)).all(axis=0)
        digits = (rows - np.uint8(ord("0"))).astype(np.int32)
        pairs = digits[self._tens] * 10 + digits[self._ones]
        good &= ((pairs >= self._least) & (pairs <= self._most)).all(axis=0)
        counts: Counts = np.zeros(len(good), np.int64)
        if self._date:
            days, real = _days(pairs[:4], good)
            good &= real
            counts = days
        if self._time:
            hour, minute, second = pairs[-3:]
            seconds = (hour * 60 + minute) * 60 + second
            counts = (counts * _DAY_SECONDS + seconds) * self._per_second
            counts += self._fractions(digits)
        parsed: Counts = np.where(good, counts, 0)
        return parsed, good

    def _fractions(self, digits: Counts) -> Counts:
        found: Counts = digits[self._at_fraction]
        for place in range(self._at_fraction + 1, self._at_fraction + self._fraction):
            found = found * 10 + digits[place]
        return found


def _days(pairs: Counts, good: Counts) -> tuple[Counts, Counts]:
    century, of_century, month, day = pairs
    year = century * 100 + of_century
    real = good & (year >= _FIRST_YEAR) & (year <= _LAST_YEAR)
    at_month = np.where(real, (year - _FIRST_YEAR) * 12 + month - 1, 0)
    real &= day <= _MONTH_DAYS[at_month]
    return _FIRST_DAYS[at_month] + day - 1, real


INSTANT: Final = Form(date=True, unit="ms", end="Z")
"""2018-01-01T00:21:05.000Z"""

_DAY: Final = Form(date=True, unit=None)


def form_of(field: Field) -> Form:
    """Return the canonical form of a date's or time's text."""
    if field.kind == "date":
        return _DAY
    end = "Z" if field.kind == "timestamp" else ""
    return Form(date=field.kind != "time", unit=field.unit, end=end)
