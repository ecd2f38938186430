"""The lake partition of an event: a pure rule, and the same for whole columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from pipeline.decode.timestamps import EPOCH, MILLISECOND

LARGEST_PLACE: Final = 999
_LAST_YEAR: Final = 2199
_MONTHS: Final = (_LAST_YEAR - 1970 + 1) * 12


@dataclass(frozen=True, slots=True)
class Partition:
    """The values of the three partition columns, padded with zeros."""

    pickup_location: str
    year: str
    month: str

    def path(self) -> str:
        """Return the folder below the event type's folder, as Hive and Flink write it."""
        return f"pickup_location={self.pickup_location}/year={self.year}/month={self.month}"


def partition(place: int, millis: int) -> Partition:
    """Return the partition of an event at a place (0..999) and time (epoch ms, UTC)."""
    if not 0 <= place <= LARGEST_PLACE:
        raise ValueError(f"place {place} isn't within 0..{LARGEST_PLACE}")
    moment = EPOCH + millis * MILLISECOND
    return Partition(f"{place:03d}", f"{moment.year:04d}", f"{moment.month:02d}")


_MONTH_STARTS: Final = np.arange(_MONTHS).astype("M8[M]").astype("M8[ms]").astype(np.int64)
_BY_MONTH: Final = [partition(0, start) for start in _MONTH_STARTS.tolist()]
_YEAR_TEXT: Final = np.array([month.year for month in _BY_MONTH], dtype=object)
_MONTH_TEXT: Final = np.array([month.month for month in _BY_MONTH], dtype=object)
_PLACE_TEXT: Final = np.array(
    [partition(place, 0).pickup_location for place in range(LARGEST_PLACE + 1)], dtype=object
)


def partition_numbers(places: npt.NDArray[Any], millis: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the partition of each event (of 1970 to 2199) as one number."""
    months = millis.astype("M8[ms]").astype("M8[M]").astype(np.int64)
    return places.astype(np.int64) * _MONTHS + months


def partition_columns(
    numbers: npt.NDArray[Any],
) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Return partition numbers as the columns pickup_location, year and month."""
    places, months = np.divmod(numbers, _MONTHS)
    return _PLACE_TEXT[places], _YEAR_TEXT[months], _MONTH_TEXT[months]
