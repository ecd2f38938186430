"""Rules of one field of a schema: its own limits, and what a role asks of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from connectors.text_files import cut
from pipeline.events.model import LONGEST_ID_BYTES, Field, Kind


def broken_limit(field: Field, value: Any) -> str:
    """Return the limit of the field that refuses a value of its kind; empty if none does."""
    if field.enum and value not in field.enum:
        return f"enum {cut(', '.join(field.enum))}"
    if field.max_length is not None and len(value) > field.max_length:
        return f"maxLength {field.max_length}"
    if field.regex is not None and not re.search(field.regex, value):
        return f"pattern {cut(str(field.pattern))}"
    if field.minimum is not None and value < field.minimum:
        return f"minimum {field.minimum}"
    if field.maximum is not None and value > field.maximum:
        return f"maximum {field.maximum}"
    return ""


def has_kind(value: object, kind: Kind) -> bool:
    """Return whether a value of JSON is of that kind, or null."""
    if value is None:
        return True
    if kind == "timestamp":
        return False
    expected = {"string": (str,), "boolean": (bool,), "double": (int, float)}.get(kind, (int,))
    return type(value) in expected


def _fits_id(field: Field) -> bool:
    if field.kind == "string":
        return not field.nullable and (field.max_length or 0) <= LONGEST_ID_BYTES
    return field.kind == "int64" and not field.nullable


def _fits_time(field: Field) -> bool:
    return field.kind == "timestamp" and not field.nullable


ROLES: Final[Mapping[str, tuple[str, Callable[[Field], bool]]]] = {
    "id": ("int64 or string, neither nullable", _fits_id),
    "eventTime": ("a timestamp-millis", _fits_time),
    "versionTime": ("a timestamp-millis", _fits_time),
}
"""What the field that a role names must be, in words and as a rule."""
