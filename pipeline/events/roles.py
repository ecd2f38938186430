"""What a role asks of the fields that a schema gives it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from pipeline.events.model import LONGEST_ID_BYTES, LONGEST_TEXT, Field

_PARTS: Final = ("int32", "int64", "string", "boolean", "timestamp")


@dataclass(frozen=True, slots=True)
class Role:
    """What the field must be, in words and as a rule."""

    allowed: str
    fits: Callable[[Field], bool]


def _fits_id(field: Field) -> bool:
    if field.kind == "string":
        short = (field.max_length or 0) <= LONGEST_ID_BYTES or field.max_length == LONGEST_TEXT
        return not field.nullable and short
    return field.kind == "int64" and not field.nullable


def _fits_part_of_id(field: Field) -> bool:
    return field.kind in _PARTS and not field.nullable


def _fits_time(field: Field) -> bool:
    return field.kind == "timestamp" and not field.nullable


ID: Final = Role("int64 or string, neither nullable", _fits_id)
PART_OF_ID: Final = Role(f"{', '.join(_PARTS)}, not nullable", _fits_part_of_id)


def _fits_version(field: Field) -> bool:
    return _fits_time(field) and (field.minimum is None or field.minimum >= 0)


EVENT_TIME: Final = Role("a timestamp, not nullable", _fits_time)
VERSION_TIME: Final = Role("a timestamp, not nullable and not before 1970", _fits_version)
"""OpenSearch takes no version below 0."""
