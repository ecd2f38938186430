"""From columns to the bytes on the wire, with the ledger's facts of each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from connectors import checksums as content
from dev.demo.made import CONTROL, EVENT, Made
from pipeline.ops.generate.trips import Columns

_encoder = msgspec.json.Encoder()


def rows(columns: Columns) -> Iterator[dict[str, Any]]:
    """Each row as the object that goes on the wire: instants as text."""
    names = list(columns)
    return (dict(zip(names, row, strict=True)) for row in zip(*_wire(columns), strict=True))


def events(event_type: str, columns: Columns) -> list[Made]:
    """Each row as a valid event of that type."""
    facts = zip(
        columns["trip_id"].tolist(),
        columns["dropoff_datetime"].tolist(),
        columns["pickup_location_id"].tolist(),
        columns["pickup_datetime"].tolist(),
        content.of_arrays(columns).tolist(),
        strict=True,
    )
    return [
        Made(encode(row), key(fact[0]), EVENT, event_type, *fact)
        for row, fact in zip(rows(columns), facts, strict=True)
    ]


def watermark(time_ms: int) -> Made:
    """The control event of the original's replay tool."""
    return Made(
        encode({"watermark": _texts(np.array([time_ms]))[0], "type": "watermark"}), None, CONTROL
    )


def encode(row: Any) -> bytes:
    """Compact JSON."""
    return _encoder.encode(row)


def key(trip_id: int) -> bytes:
    """Events are keyed by id, so that all versions of one id keep their order in one partition."""
    return str(trip_id).encode()


def _wire(columns: Columns) -> list[list[Any]]:
    return [
        _texts(values) if name.endswith(content.TIME_SUFFIX) else values.tolist()
        for name, values in columns.items()
    ]


def _texts(epoch_ms: Any) -> list[str]:
    times = epoch_ms.astype("datetime64[ms]")
    texts: list[str] = np.datetime_as_string(times, unit="ms", timezone="UTC").tolist()
    return texts
