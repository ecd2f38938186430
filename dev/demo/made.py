"""What the generator makes: one record, with everything that must become of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
import numpy as np

from pipeline.ops.generate.trips import Columns

EVENT: Final = "event"
CONTROL: Final = "control"
_TIME_SUFFIX: Final = "_datetime"


class Made(msgspec.Struct, frozen=True, gc=False):
    """One record as produced, and its expected outcome.

    `expect` is "event", "control" or the reason code it must be rejected with. The fields after
    it are meaningful for events only (0 and "" otherwise). Times are epoch milliseconds, UTC.
    """

    raw: bytes | None
    key: bytes | None
    expect: str
    event_type: str = ""
    trip_id: int = 0
    version_ms: int = 0
    pickup_location_id: int = 0
    pickup_ms: int = 0

    @property
    def is_reject(self) -> bool:
        """Tell whether the record must become a dead letter of the step decode."""
        return self.expect not in (EVENT, CONTROL)


encode: Final = msgspec.json.Encoder().encode
"""Encode a row as compact JSON."""


def rows_of(columns: Columns) -> Iterator[dict[str, Any]]:
    """Yield each row as the object that goes on the wire: instants as text."""
    names = list(columns)
    wire = [
        _texts(values) if name.endswith(_TIME_SUFFIX) else values.tolist()
        for name, values in columns.items()
    ]
    return (dict(zip(names, row, strict=True)) for row in zip(*wire, strict=True))


def events_of(event_type: str, columns: Columns) -> list[Made]:
    """Make each row a valid event of that type."""
    facts = zip(
        columns["trip_id"].tolist(),
        columns["dropoff_datetime"].tolist(),
        columns["pickup_location_id"].tolist(),
        columns["pickup_datetime"].tolist(),
        strict=True,
    )
    return [
        Made(encode(row), key_of(fact[0]), EVENT, event_type, *fact)
        for row, fact in zip(rows_of(columns), facts, strict=True)
    ]


def watermark(time_ms: int) -> Made:
    """Make the control event of the original's replay tool."""
    text = _texts(np.array([time_ms]))[0]
    return Made(encode({"watermark": text, "type": "watermark"}), None, CONTROL)


def key_of(trip_id: int) -> bytes:
    """Return the record key: the id, so that all versions of it keep their order."""
    return str(trip_id).encode()


def _texts(epoch_ms: Any) -> list[str]:
    times = epoch_ms.astype("datetime64[ms]")
    texts: list[str] = np.datetime_as_string(times, unit="ms", timezone="UTC").tolist()
    return texts
