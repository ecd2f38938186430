"""Make a historical data set of taxi trips: of any size, seeded, and without defects.

Trips follow the hour and the weekday, zones their popularity, and fares the distance.
The same settings always give the same values, as numpy columns, a block of rows at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

SHARES: Final = {"trip": 0.55, "green_trip": 0.15, "fhv_trip": 0.30}
"""The share of each event type; the order is that of its code in a block."""

FIRST_ID: Final = 4_071_000
"""The id of the first trip; the others are consecutive."""

BLOCK: Final = 50_000
ZONES: Final = 265
"""TLC taxi zones are numbered 1 to 265."""

_HOUR_MS: Final = 3_600_000
_SHORTEST_MS: Final = 60_000
# Share of a day's trips by hour of dropoff: the night low, the morning rush, the evening high.
_OF_DAY: Final = (
    (30, 22, 16, 11, 9, 9, 20, 36, 46, 46, 44, 46)  # 0 to 11 hours
    + (48, 48, 50, 48, 43, 50, 60, 62, 57, 55, 52, 42)
)
_OF_WEEK: Final = (88, 95, 98, 102, 108, 110, 92)  # from Monday
_BUSY_ZONES: Final = 18.0
_QUIET_SHARE: Final = 0.0008
AMOUNTS: Final = (
    *("fare_amount", "extra", "mta_tax", "tip_amount", "tolls_amount"),
    "improvement_surcharge",
)
"""The fields whose sum is `total_amount`."""
_BASES: Final = np.array([f"B{number:05d}" for number in range(2500, 2620)], dtype=object)


@dataclass(frozen=True, slots=True)
class Span:
    """Whole months from `first`, such as 2018-01: no pickup is before them, no dropoff after."""

    first: str
    months: int

    @property
    def first_ms(self) -> int:
        """The beginning in epoch milliseconds."""
        return int(np.datetime64(self.first, "ms").astype(np.int64))

    @property
    def end_ms(self) -> int:
        """The end, exclusive, in epoch milliseconds."""
        end = np.datetime64(self.first, "M") + self.months
        return int(end.astype("M8[ms]").astype(np.int64))

    def hour_shares(self) -> Floats:
        """Return the share of all trips that each hour has."""
        first = np.datetime64(self.first, "M")
        hours = np.arange(first, first + self.months, dtype="M8[h]")
        hour_of_day = hours.astype(np.int64) % 24
        weekday = (hours.astype("M8[D]").astype(np.int64) + 3) % 7  # 1970 began on a Thursday.
        weights = np.array(_OF_DAY)[hour_of_day] * np.array(_OF_WEEK)[weekday]
        shares: Floats = weights / weights.sum()
        return shares


WINTER: Final = Span("2017-12", 3)


@dataclass(frozen=True, slots=True)
class Trips:
    """Trips in order of dropoff: the event type of each, and each type's rows as columns."""

    codes: Ints
    of_type: dict[str, Columns]

    def __len__(self) -> int:
        return len(self.codes)


def trips(events: int, seed: int = 2018, span: Span = WINTER) -> Iterator[Trips]:
    """Yield the data set, some ten thousand trips at a time; ids ascend through all types."""
    rng = np.random.default_rng(seed)
    rows = Rows(rng, zone_shares(rng), span)
    edges = np.cumsum(list(SHARES.values()))[:-1]
    done = 0
    for dropoff in dropoffs(rng, events, BLOCK, span):
        codes = np.searchsorted(edges, rng.random(len(dropoff)))
        ids = FIRST_ID + done + np.arange(len(dropoff))
        done += len(dropoff)
        yield Trips(
            codes,
            {
                name: rows.of_type(name, ids[codes == code], dropoff[codes == code])
                for code, name in enumerate(SHARES)
            },
        )


# When and where trips happen.


def dropoffs(
    rng: np.random.Generator, events: int, block: int, span: Span = WINTER
) -> Iterator[Ints]:
    """Yield dropoff times (epoch ms, whole seconds), ascending, about `block` at a time."""
    per_hour = rng.multinomial(events, span.hour_shares())
    before = np.cumsum(per_hour) - per_hour
    for number in range(before[-1] // block + 1):
        chosen = np.flatnonzero(before // block == number)
        if len(chosen) and per_hour[chosen].sum():
            yield _within(rng, chosen, per_hour[chosen], span.first_ms)


def zone_shares(rng: np.random.Generator) -> Floats:
    """Return the share of trips of zones 1 to 265: a few busy ones and a long tail, shuffled.

    As in New York, where some fifty zones have most pickups and most zones nearly none.
    """
    shares = np.exp(-np.arange(ZONES) / _BUSY_ZONES) + _QUIET_SHARE
    shuffled: Floats = rng.permutation(shares / shares.sum())
    return shuffled


def _within(
    rng: np.random.Generator, chosen: NDArray[np.intp], counts: Ints, first_ms: int
) -> Ints:
    starts = first_ms + np.repeat(chosen, counts).astype(np.int64) * _HOUR_MS
    seconds = rng.integers(1, 3600, size=len(starts), dtype=np.int64)
    return np.sort(np.maximum(starts + seconds * 1000, first_ms + _SHORTEST_MS))


# What a trip's fields hold.


class Rows:
    """Draw rows: ids ascend, zones follow `shares`, and the first 265 rows visit every zone."""

    def __init__(self, rng: np.random.Generator, shares: Floats, span: Span = WINTER) -> None:
        self._rng = rng
        self._first_ms = span.first_ms
        self._zones = np.cumsum(shares)
        self._tour = rng.permutation(np.arange(1, ZONES + 1))

    def of_type(self, event_type: str, ids: Ints, dropoff: Ints) -> Columns:
        """Return the columns of rows with these ids and dropoff times (epoch milliseconds)."""
        columns = _MAKERS[event_type](self, ids, dropoff)
        return {**columns, "trip_id": ids, "type": np.full(len(ids), event_type, dtype=object)}

    def zones(self, count: int) -> Ints:
        """Draw zones 1 to 265 by popularity."""
        return self._codes(count, self._zones) + 1

    def pickup_zones(self, ids: Ints) -> Ints:
        """Draw as `zones` does; the rows with the first 265 ids visit every zone once."""
        zones = self.zones(len(ids))
        early = ids - FIRST_ID < ZONES
        zones[early] = self._tour[ids[early] - FIRST_ID]
        return zones

    def pick(self, count: int, values: list[Any], weights: list[float]) -> NDArray[Any]:
        """Draw `count` of `values` by weight; texts come as an object array."""
        kind = object if isinstance(values[0], str) else None
        edges = np.cumsum(np.array(weights) / sum(weights))
        picked: NDArray[Any] = np.array(values, dtype=kind)[self._codes(count, edges)]
        return picked

    def any_base(self, count: int) -> NDArray[Any]:
        """Draw licence numbers of for-hire bases."""
        bases: NDArray[Any] = _BASES[self._rng.integers(0, len(_BASES), count)]
        return bases

    def journey(self, dropoff: Ints) -> tuple[Ints, Floats]:
        """Draw pickup times and miles: log-normal, at city speed, never before the span."""
        count = len(dropoff)
        miles = np.clip(self._rng.lognormal(0.6, 0.85, count), 0.1, 60.0).round(2)
        miles_an_hour = np.clip(self._rng.normal(11.5, 3.5, count), 4.0, 35.0)
        seconds = np.clip(miles / miles_an_hour * 3600, 60, 3 * 3600).astype(np.int64)
        return np.maximum(dropoff - seconds * 1000, self._first_ms), miles

    def _codes(self, count: int, edges: Floats) -> Ints:
        codes = np.searchsorted(edges, self._rng.random(count))
        return np.minimum(codes, len(edges) - 1).astype(np.int64)


def total(columns: Columns) -> Floats:
    """Return what the passenger pays: the sum of all parts, in whole cents."""
    parts = [columns[name] for name in AMOUNTS if name in columns]
    amount: Floats = np.sum(parts, axis=0).round(2)
    return amount


def _meter(rows: Rows, *, pickup: Ints, dropoff: Ints, miles: Floats) -> Columns:
    count = len(miles)
    minutes = (dropoff - pickup) / 60_000
    # TLC's meter of 2018: 2.50 to start, 0.50 for a fifth of a mile or a slow minute.
    fare = 2.5 + 0.5 * np.floor(miles * 4.2 + minutes * 0.25)
    payment = rows.pick(count, [1, 2, 3, 4], [0.69, 0.30, 0.007, 0.003])
    tip_share = rows.pick(count, [0.0, 0.1, 0.15, 0.2, 0.25], [0.06, 0.1, 0.24, 0.5, 0.1])
    tolls = np.where(miles > 9, rows.pick(count, [0.0, 5.76], [0.6, 0.4]), 0.0)
    return {
        "payment_type": payment,
        "fare_amount": fare,
        "extra": rows.pick(count, [0.0, 0.5, 1.0], [0.52, 0.33, 0.15]),
        "mta_tax": np.full(count, 0.5),
        "tip_amount": np.where(payment == 1, fare * tip_share, 0.0).round(2),
        "tolls_amount": tolls,
        "improvement_surcharge": np.full(count, 0.3),
    }


def _taxi(rows: Rows, ids: Ints, dropoff: Ints) -> Columns:
    count = len(ids)
    pickup, miles = rows.journey(dropoff)
    columns: Columns = {
        "vendor_id": rows.pick(count, [1, 2], [0.44, 0.56]),
        "pickup_datetime": pickup,
        "dropoff_datetime": dropoff,
        "passenger_count": rows.pick(count, [1, 2, 3, 4, 5, 6], [71, 15, 4, 2, 5, 3]),
        "trip_distance": miles,
        "ratecode_id": rows.pick(count, [1, 2, 3, 4, 5], [0.975, 0.02, 0.002, 0.001, 0.002]),
        "store_and_fwd_flag": rows.pick(count, ["N", "Y"], [0.995, 0.005]),
        "pickup_location_id": rows.pickup_zones(ids),
        "dropoff_location_id": rows.zones(count),
        **_meter(rows, pickup=pickup, dropoff=dropoff, miles=miles),
    }
    columns["total_amount"] = total(columns)
    return columns


def _green(rows: Rows, ids: Ints, dropoff: Ints) -> Columns:
    kind = rows.pick(len(ids), [1, 2], [0.98, 0.02])
    return {**_taxi(rows, ids, dropoff), "trip_type": kind}


def _for_hire(rows: Rows, ids: Ints, dropoff: Ints) -> Columns:
    pickup, _ = rows.journey(dropoff)
    base = rows.any_base(len(ids))
    affiliated = base.copy()
    affiliated[rows.pick(len(ids), [True, False], [0.4, 0.6])] = None
    return {
        "dispatching_base_num": base,
        "affiliated_base_number": affiliated,
        "pickup_datetime": pickup,
        "dropoff_datetime": dropoff,
        "pickup_location_id": rows.pickup_zones(ids),
        "dropoff_location_id": rows.zones(len(ids)),
    }


_MAKERS: Final[dict[str, Callable[[Rows, Ints, Ints], Columns]]] = {
    "trip": _taxi,
    "green_trip": _green,
    "fhv_trip": _for_hire,
}
