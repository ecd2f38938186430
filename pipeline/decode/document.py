"""Documents of events: the id and the canonical JSON, which the decoder can read back.

Canonical JSON has the type first, then the schema's order, no white space, timestamps as
2018-01-01T00:21:05.000Z, and no member that equals its default.
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
    """Return the ids as strings, as OpenSearch needs them."""
    return list(map(str, ids))


def documents_of(events: Sequence[Struct], fields: Sequence[Field]) -> list[bytes]:
    """Return the JSON of events of one type; their timestamps must be canonical."""
    for field in fields:
        if field.optional:
            _unset_defaults(events, field)
    return list(map(_ENCODE, events))


def _unset_defaults(events: Sequence[Struct], field: Field) -> None:
    """Remove the field from events in which it has its default: equal events, equal JSON."""
    for event, value in zip(events, values(events, field), strict=True):
        if value == field.default:
            setattr(event, field.name, UNSET)
