"""What decode needs of records beside their bytes: names of types, and where they came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pipeline.decode.fault import Fault
from pipeline.decode.type_rule import TypeRule


@dataclass(frozen=True, slots=True)
class Origins:
    """One value a row; None where no event type of the decoder asks for it.

    `names` are what headers or topics say of the type, None where they say nothing. `ids` are
    positions as text, and `versions` numbers in the order of arrival. `places` are topics or
    streams, for Avro. `faults` are of records that could not be brought to JSON.
    """

    names: Sequence[str | None] | None = None
    ids: Sequence[str] | None = None
    versions: Any = None  # an array of int64
    places: Sequence[str | None] | None = None
    faults: Mapping[int, Fault] = field(default_factory=dict)

    def part(self, start: int, stop: int) -> Origins:
        """Return the origins of some of the rows."""
        rows = slice(start, stop)
        names = None if self.names is None else self.names[rows]
        ids = None if self.ids is None else self.ids[rows]
        versions = None if self.versions is None else self.versions[rows]
        places = None if self.places is None else self.places[rows]
        faults = {row - start: fault for row, fault in self.faults.items() if start <= row < stop}
        return Origins(names, ids, versions, places, faults)

    def of(self, rows: Sequence[int]) -> Origins:
        """Return what tells the types of some of the rows."""
        names = None if self.names is None else [self.names[row] for row in rows]
        faults = self.faults
        if faults:
            faults = {at: faults[row] for at, row in enumerate(rows) if row in faults}
        return Origins(names, faults=faults)


NONE = Origins()


def of_record(
    rule: TypeRule,
    *,
    place: str,
    headers: Mapping[str, str],
    position: str,
    version: int,
) -> Origins:
    """Return the origins of one record of the topic or stream `place`."""
    names = None
    if rule.header:
        names = [headers.get(rule.header)]
    elif rule.topics:
        names = [rule.topics.get(place)]
    return Origins(names, [position], np.array([version], np.int64), [place])
