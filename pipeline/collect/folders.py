"""The folders of rows, from numbers: made once for each folder, not for each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
import pyarrow as pa

from pipeline.decode.columns import Array

HOUR_MS: Final = 3_600_000
DAY_HOURS: Final = 24
UNKNOWN: Final = -1
"""The number of an absurd arrival time: a Kafka record's may be its producer's."""
_FIRST_MS: Final = 1_230_768_000_000
_END_MS: Final = 4_102_444_800_000
"""From 2009 until before 2100."""


def dictionary(numbers: Array, folder: Callable[[int], str]) -> pa.DictionaryArray:
    """Return the rows' folders; rows of one number are together."""
    starts = np.ones(len(numbers), np.bool_)
    np.not_equal(numbers[1:], numbers[:-1], out=starts[1:])
    codes = np.cumsum(starts, dtype=np.int32) - np.int32(1)
    texts = [folder(number) for number in numbers[starts].tolist()]
    return pa.DictionaryArray.from_arrays(pa.array(codes), pa.array(texts, pa.string()))


def arrival_hours(arrival_ms: Array) -> Array:
    """Return the hours of arrival times since 1970 (UTC), `UNKNOWN` for those beyond reason."""
    sane = (arrival_ms >= _FIRST_MS) & (arrival_ms < _END_MS)
    return np.where(sane, arrival_ms // HOUR_MS, UNKNOWN)


def arrival_days(arrival_ms: Array) -> Array:
    """Return the days of arrival times since 1970 (UTC), `UNKNOWN` for those beyond reason."""
    hours = arrival_hours(arrival_ms)
    return np.where(hours == UNKNOWN, UNKNOWN, hours // DAY_HOURS)


def hour_folder(hour: int) -> str:
    """Return the folder of an hour, such as `arrival_date=2018-01-01/arrival_hour=05`."""
    if hour == UNKNOWN:
        return f"{day_folder(hour)}/arrival_hour=unknown"
    return f"{day_folder(hour // DAY_HOURS)}/arrival_hour={hour % DAY_HOURS:02d}"


def day_folder(day: int) -> str:
    """Return the folder of a day since 1970, such as `arrival_date=2018-01-01`."""
    date = "unknown" if day == UNKNOWN else np.datetime64(day, "D")
    return f"arrival_date={date}"
