"""The demo's historical data set: seeded, deterministic, with every defect and repeat in it.

Three months of yellow, green and for-hire trips in order of dropoff; among them watermarks,
defective records (each with the reason it must be rejected with), exact repeats, corrections
(a newer version of an earlier trip) and stale versions that arrive after the newer one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from dev.demo import defects
from dev.demo.made import Made, events_of, rows_of, watermark
from pipeline.ops.generate.trips import (
    FIRST_ID,
    SHARES,
    Columns,
    Ints,
    Rows,
    dropoffs,
    total,
    zone_shares,
)

_BLOCK: Final = 10_000
_MEAN_DELAY: Final = 3_000
_TYPES: Final = tuple(SHARES)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """What to make: `events` valid trips, and the other records as shares of them.

    The same recipe always gives the same bytes in the same order.
    """

    events: int = 200_000
    seed: int = 2018
    defective: float = 0.01
    repeated: float = 0.0025
    corrected: float = 0.0025
    stale: float = 0.002
    watermarks: int = 20


def generate(recipe: Recipe | None = None) -> Iterator[Made]:
    """Yield all records in the order to produce them, some thousand in memory at a time."""
    recipe = recipe or Recipe()
    source = _Source(recipe)
    for dropoff in dropoffs(source.rng, recipe.events, _BLOCK):
        yield from source.block(dropoff)


class _Source:
    def __init__(self, recipe: Recipe) -> None:
        self.rng = np.random.default_rng(recipe.seed)
        self._recipe = recipe
        self._rows = Rows(self.rng, zone_shares(self.rng))
        self._defects = defects.Plan(self.rng, recipe.events, recipe.defective)
        self._done = 0
        self._later: dict[int, list[Made]] = defaultdict(list)
        """Records to send right after the trip with that number."""

    def block(self, dropoff: Ints) -> Iterator[Made]:
        """Yield the trips with these dropoff times, and the other records due among them."""
        first = self._done
        trips = self._trips(dropoff)
        self._plan_defects(dropoff)
        self._plan_watermarks(dropoff)
        self._done += len(dropoff)
        for number, trip in enumerate(trips, first):
            yield trip
            yield from self._later.pop(number, ())

    def _trips(self, dropoff: Ints) -> list[Made]:
        count = len(dropoff)
        codes = np.searchsorted(np.cumsum(list(SHARES.values()))[:-1], self.rng.random(count))
        trips: dict[int, Made] = {}
        for code, event_type in enumerate(_TYPES):
            chosen = np.flatnonzero(codes == code)
            ids = FIRST_ID + self._done + chosen
            columns = self._rows.of_type(event_type, ids, dropoff[chosen])
            good = events_of(event_type, columns)
            trips.update(zip(chosen.tolist(), good, strict=True))
            self._plan_resends(event_type, columns, good)
        return [trips[number] for number in range(count)]

    def _plan_resends(self, event_type: str, columns: Columns, good: list[Made]) -> None:
        recipe, draw = self._recipe, self.rng.random(len(good))
        edges = np.cumsum([recipe.repeated, recipe.corrected, recipe.stale])
        kinds = np.searchsorted(edges, draw, side="right")
        repeated = [good[i] for i in np.flatnonzero(kinds == 0)]
        corrected = events_of(event_type, self._other_version(columns, kinds == 1, later=True))
        stale = events_of(event_type, self._other_version(columns, kinds == 2, later=False))
        for event in (*repeated, *corrected, *stale):
            delay = 1 + int(self.rng.exponential(_MEAN_DELAY))
            number = event.trip_id - FIRST_ID + delay
            self._later[min(number, recipe.events - 1)].append(event)

    def _other_version(
        self, columns: Columns, chosen: NDArray[np.bool_], *, later: bool
    ) -> Columns:
        """Copy the chosen rows, with another dropoff time (so another version) and another fare."""
        other = {name: values[chosen].copy() for name, values in columns.items()}
        count = len(other["trip_id"])
        if later:
            other["dropoff_datetime"] += self.rng.integers(1, 600, count) * 1000
        else:
            seconds = (other["dropoff_datetime"] - other["pickup_datetime"]) // 1000
            earlier = np.maximum(1, seconds * self.rng.uniform(0.1, 0.5, count)).astype(np.int64)
            other["dropoff_datetime"] -= earlier * 1000
        if "fare_amount" in other:
            other["fare_amount"] += 0.5 * self.rng.integers(1, 10, count)
            other["total_amount"] = total(other)
        return other

    def _plan_defects(self, dropoff: Ints) -> None:
        due = self._defects.between(self._done, self._done + len(dropoff))
        for event_type in _TYPES:
            mine = [defect for defect in due if defect.event_type == event_type]
            if not mine:
                continue
            ids = np.array([FIRST_ID + self._recipe.events + d.number for d in mine])
            times = dropoff[[d.after - self._done for d in mine]]
            columns = self._rows.of_type(event_type, ids, times)
            for defect, row in zip(mine, rows_of(columns), strict=True):
                self._later[defect.after].append(defects.make(defect, row))

    def _plan_watermarks(self, dropoff: Ints) -> None:
        if not self._recipe.watermarks:
            return
        every = max(1, self._recipe.events // self._recipe.watermarks)
        for index in range(-(self._done + 1) % every, len(dropoff), every):
            self._later[self._done + index].append(watermark(int(dropoff[index])))
