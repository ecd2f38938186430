"""The ids of events as numbers: an integer as it is, a text as a hash."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from connectors import checksums as content
from pipeline.events.event_types import EventType

Ids = NDArray[np.int64]

_LONGEST: Final = 18
NO_ID: Final = -1
"""The number of an id that the event type can't have."""


def is_number(event_type: EventType) -> bool:
    """Whether the event type's ids are integers."""
    return event_type.field(event_type.id).kind in ("int32", "int64")


def of_texts(event_type: EventType, texts: Iterable[str]) -> Ids:
    """The ids as the index has them."""
    one = _number if is_number(event_type) else _hash
    return np.fromiter((one(text) for text in texts), dtype=np.int64)


def of_column(event_type: EventType, column: pa.ChunkedArray) -> Ids:
    """The ids as the lake has them."""
    if is_number(event_type) and pa.types.is_integer(column.type):
        return np.asarray(column.fill_null(NO_ID)).astype(np.int64)
    return of_texts(event_type, map(str, column.to_pylist()))


def text_of(number: int) -> str:
    """The id that the index has for a number."""
    return str(number)


def _number(text: str) -> int:
    number = int(text) if text.lstrip("-").isdecimal() and len(text) <= _LONGEST else NO_ID
    return number if str(number) == text else NO_ID


def _hash(text: str) -> int:
    return content.digest(text.encode()) >> 1
