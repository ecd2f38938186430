"""The lake partition of an event: a pure rule, and as numbers for whole columns."""

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


def partition_numbers(places: npt.NDArray[Any], millis: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Return the partition of each event (of 1970 to 2199) as one number."""
    months = millis.astype("M8[ms]").astype("M8[M]").astype(np.int64)
    return places.astype(np.int64) * _MONTHS + months


def partition_of(number: int) -> Partition:
    """Return the partition that has this number."""
    place, months = divmod(number, _MONTHS)
    years, month = divmod(months, 12)
    return Partition(f"{place:03d}", f"{1970 + years:04d}", f"{1 + month:02d}")
