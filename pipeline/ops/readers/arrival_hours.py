"""The hours of arrival that the archive's folders are named after."""

from __future__ import annotations

import re
from typing import Final

import numpy as np

NO_HOUR: Final = -1
"""The hour of an absurd time; the archive has a folder `unknown` for those."""

_ODD: Final = -2
_HOUR_MS: Final = 3_600_000
_FIRST_HOUR: Final = int(np.datetime64("2009-01-01", "h").astype(np.int64))
_END_HOUR: Final = int(np.datetime64("2100-01-01", "h").astype(np.int64))
_PATH: Final = re.compile(r"arrival_date=(\d{4}-\d{2}-\d{2})/arrival_hour=(\d{2})/[^/]+")
_UNKNOWN: Final = re.compile(r"arrival_date=unknown/arrival_hour=unknown/[^/]+")


def hours_sql(arrival: str) -> str:
    """Return DuckDB SQL for the hour since 1970 of an arrival (epoch milliseconds).

    NO_HOUR for an absurd time and for NULL.
    """
    hour = f"({arrival} // {_HOUR_MS})"
    sane = f"{hour} >= {_FIRST_HOUR} AND {hour} < {_END_HOUR}"
    return f"(CASE WHEN {sane} THEN {hour} ELSE {NO_HOUR} END)::INTEGER"


def hour_of_path(path: str) -> int:
    """The hour that a path names, NO_HOUR for the folder of absurd times; no hour if it is odd."""
    if match := _PATH.fullmatch(path):
        return int(np.datetime64(f"{match[1]}T{match[2]}", "h").astype(np.int64))
    return NO_HOUR if _UNKNOWN.fullmatch(path) else _ODD
