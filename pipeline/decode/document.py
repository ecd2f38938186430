"""Event -> document: its id and its canonical JSON, which the decoder reads back.

Canonical: the type first, then the schema's order, no white space, timestamps as
2018-01-01T00:21:05.000Z, and no member that says no more than its default.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct

from pipeline.decode.columns import values
from pipeline.events.model import Field

_ENCODE: Final = msgspec.json.Encoder().encode


def document_ids(ids: Sequence[Any]) -> list[str]:
    """The ids as the index wants them: text."""
    return list(map(str, ids))


def documents_of(events: Sequence[Struct], fields: Sequence[Field]) -> list[bytes]:
    """The JSON of events of one type, whose timestamps are canonical already."""
    for field in fields:
        if field.optional:
            _unset_defaults(events, field)
    return list(map(_ENCODE, events))


def _unset_defaults(events: Sequence[Struct], field: Field) -> None:
    """Leaves the field out of events in which it has its default, so that equal means equal."""
    for event, value in zip(events, values(events, field), strict=True):
        if value == field.default:
            setattr(event, field.name, UNSET)
