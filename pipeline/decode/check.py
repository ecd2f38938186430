"""Check values against the fields of a schema, exactly, with the path of what is wrong."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from pipeline.decode import leaves
from pipeline.decode.bounds import time_range
from pipeline.decode.json_text import Refused, refuse, shown
from pipeline.decode.leaves import Bad
from pipeline.events.avro_types import json_form
from pipeline.events.faults import did_you_mean
from pipeline.events.instants import BadTimestamp
from pipeline.events.model import Field

_PLAIN_KEY: Final = re.compile(r"\w{1,64}", re.ASCII)
_FORMS: Final[Mapping[type, str]] = {
    bool: "boolean",
    int: "number",
    float: "number",
    Decimal: "number",
    str: "text",
    list: "array",
    dict: "object",
}
_NAMES: Final = {
    "int32": "an integer",
    "int64": "an integer",
    "float": "a number",
    "double": "a number",
    "string": "text",
    "boolean": "true or false",
    "bytes": "base64 text",
    "record": "an object",
    "map": "an object",
    "array": "an array",
}


def check_member(content: Mapping[str, Any], field: Field, path: str, now: int) -> None:
    """Check the member of an object that a field is for.

    Raises:
        Refused: it is missing, or not what the field allows.
    """
    below = f"{path}.{field.name}"
    if field.name not in content:
        if not field.optional:
            raise Refused("missing_field", f"{below}: saw nothing; allowed: {_allowed(field)}")
        return
    _check(content[field.name], field, below, now)


def _check(value: Any, field: Field, path: str, now: int) -> None:
    if value is None and field.nullable:
        return
    if not _has_form(value, field):
        refuse("wrong_type", path, value, _allowed(field))
    _CHECKS.get(field.kind, _check_number)(value, field, path, now)


def _has_form(value: Any, field: Field) -> bool:
    if field.kind == "union":
        return any(_has_form(value, branch) for branch in field.children)
    if field.kind in ("float", "double", "decimal"):
        return _FORMS.get(type(value)) == json_form(field)
    return _FORMS.get(type(value)) == json_form(field) and type(value) is not float


def _allowed(field: Field) -> str:
    """Return what a field's values are called."""
    if field.kind == "union":
        name = " or ".join(map(_allowed, field.children))
    elif field.kind == "decimal":
        name = "a decimal number in text" if field.wire == "string" else "a number"
    elif field.wire:
        name = "ISO-8601 text" if field.wire == "iso-8601" else f"an integer ({field.wire})"
    else:
        name = _NAMES[field.kind]
    return f"{name} or null" if field.nullable else name


def _check_number(value: Any, field: Field, path: str, now: int) -> None:
    if field.minimum is not None and field.maximum is not None:
        if not field.minimum <= value <= field.maximum:
            refuse("out_of_range", path, value, f"{field.minimum} to {field.maximum}")
    if field.kind == "float" and leaves.is_lost_in_32_bits(value):
        allowed = "0, or a number that 32 bits do not round to 0"
        refuse("out_of_range", path, value, allowed)


def _check_text(value: Any, field: Field, path: str, now: int) -> None:
    if field.enum and value not in field.enum:
        refuse("out_of_range", path, value, f"one of {', '.join(field.enum)}")
    if field.max_length is not None and len(value) > field.max_length:
        refuse("out_of_range", path, value, f"at most {field.max_length} characters")
    if field.regex is not None and not re.search(field.regex, value):
        refuse("out_of_range", path, value, f"text matching {field.pattern}")


def _check_time(value: Any, field: Field, path: str, now: int) -> None:
    count = leaves.of_time(field, value)
    if isinstance(count, BadTimestamp):
        refuse(count.reason, path, value, count.allowed)
    least, most = time_range(field, now)
    if not least <= count <= most:
        text = leaves.text_of_time(field)
        until = text(most)
        if field.kind == "timestamp" and field.maximum is None:
            until = "one day ahead of the clock"
        refuse("timestamp_out_of_range", path, value, f"{text(least)} until {until}")


def _check_leaf(value: Any, field: Field, path: str, now: int) -> None:
    made = (leaves.of_decimal if field.kind == "decimal" else leaves.of_bytes)(field, value)
    if isinstance(made, Bad):
        refuse(made.reason, path, value, made.allowed)


def _check_record(value: Any, field: Field, path: str, now: int) -> None:
    known = {child.name for child in field.children}
    for name in value:
        if name not in known:
            allowed = f"the schema's fields{did_you_mean(name, known)}"
            refuse("unknown_field", path, name, allowed)
    for child in field.children:
        check_member(value, child, path, now)


def _check_items(value: Any, field: Field, path: str, now: int) -> None:
    for at, item in enumerate(value):
        _check(item, field.children[0], f"{path}[{at}]", now)


def _check_entries(value: Any, field: Field, path: str, now: int) -> None:
    for key, entry in value.items():
        below = key if _PLAIN_KEY.fullmatch(key) else shown(key)
        _check(entry, field.children[0], f"{path}.{below}", now)


def _check_branch(value: Any, field: Field, path: str, now: int) -> None:
    branch = next(each for each in field.children if _has_form(value, each))
    _check(value, branch, path, now)


def _check_nothing(value: Any, field: Field, path: str, now: int) -> None:
    """Accept the value: its form says all."""


_CHECKS: Final[Mapping[str, Callable[[Any, Field, str, int], None]]] = {
    "boolean": _check_nothing,
    "string": _check_text,
    "timestamp": _check_time,
    "local_timestamp": _check_time,
    "date": _check_time,
    "time": _check_time,
    "decimal": _check_leaf,
    "bytes": _check_leaf,
    "record": _check_record,
    "array": _check_items,
    "map": _check_entries,
    "union": _check_branch,
}
