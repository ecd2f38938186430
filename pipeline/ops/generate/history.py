"""A historical data set to replay: as large as wanted, seeded, without a fault in it.

Trips follow the beat of the day and of the week, zones their popularity, and fares the distance.
The same settings always give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from pipeline.ops.generate.rhythm import WINTER, Span, dropoffs, zone_shares
from pipeline.ops.generate.trips import FIRST_ID, SHARES, Columns, Ints, Rows

BLOCK: Final = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How many trips, of which months, drawn from which seed."""

    events: int
    seed: int = 2018
    span: Span = WINTER


@dataclass(frozen=True, slots=True)
class Trips:
    """Trips in order of dropoff: which event type each is of, and each type's rows as columns."""

    codes: Ints
    of_type: dict[str, Columns]

    def __len__(self) -> int:
        return len(self.codes)


def trips(settings: Settings) -> Iterator[Trips]:
    """The data set, some ten thousand trips at a time; ids ascend through all types."""
    rng = np.random.default_rng(settings.seed)
    rows = Rows(rng, zone_shares(rng), settings.span)
    edges = np.cumsum(list(SHARES.values()))[:-1]
    done = 0
    for dropoff in dropoffs(rng, settings.events, BLOCK, settings.span):
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
