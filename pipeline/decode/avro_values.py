"""Single values of Avro as the JSON of a field has them: exactly, or so that it is rejected.

A value becomes what JSON's senders write: text, a number, or text of a time in the field's form.
The JSON decoder then judges it. What it could take for another value is refused here.
"""

from __future__ import annotations

import math
import struct
import uuid
from base64 import b64encode
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

import msgspec

from pipeline.decode.avro_binary import Malformed, Source
from pipeline.events.avro_types import LOGICAL_TIMES, json_form
from pipeline.events.instants import FRACTIONS, date_text, text, time_text
from pipeline.events.limits import EPOCH_FRACTIONS
from pipeline.events.model import TIME_KINDS, Field, Kind, Unit

Read = Callable[[Source], Any]
"""Reads a value and returns what `msgspec.json.encode` makes its JSON of."""

_NUMBERS: Final = ("int32", "int64", "double", "float")
_MOST_DECIMAL_BYTES: Final = 256  # 616 digits; a schema's decimals have 38 at most
_MOST_SCALE: Final = 1_000
_DAY: Final = 86_400
_LEAST: Final = -(2**63)  # numpy's NaT
_FLOAT: Final = struct.Struct("<f")
_NOT_FINITE: Final = {"nan": b"NaN", "inf": b"Infinity", "-inf": b"-Infinity"}


def reader(node: Mapping[str, Any], field: Field | None, where: str) -> Read:
    """Return the reader of a type that is no record, array, map or union.

    `field` is the field of ours that the value is for; None if there is none.
    """
    kind, logical = node["type"], node.get("logicalType")
    if kind in ("int", "long"):
        found = LOGICAL_TIMES.get((kind, logical)) if isinstance(logical, str) else None
        number = Source.int32 if kind == "int" else Source.int64
        return _time(number, *found, field) if found else number
    if kind in ("float", "double"):
        return _double(kind, field, where)
    if kind in ("bytes", "fixed"):
        return _bytes(node, field, where)
    if kind == "enum":
        return _enum(tuple(node["symbols"]), field, where)
    if kind == "string":
        return _text_as_bytes if field and field.kind == "bytes" else Source.text
    return Source.boolean if kind == "boolean" else _null


def refused(read: Read, where: str, saw: str, field: Field) -> Read:
    """Return a reader that refuses what it reads."""
    allowed: str = field.kind
    if field.kind == "union":
        allowed = ", ".join(f"{child.name} ({child.kind})" for child in field.children)

    def refuse(source: Source) -> Any:
        read(source)
        raise Malformed(f"{where}: saw {saw} of the writer's schema; allowed: {allowed}")

    return refuse


def branch_of(node: Mapping[str, Any], field: Field) -> Field | None:
    """Return the branch of a union of ours that a type of the writer's is for."""
    children: dict[str, Field] = {child.kind: child for child in field.children}
    by_form = {json_form(child): child for child in field.children}
    kind, logical = node["type"], node.get("logicalType")
    if kind in ("int", "long"):
        found = LOGICAL_TIMES.get((kind, logical)) if isinstance(logical, str) else None
        if found and found[0] in children:
            return children[found[0]]
        number = by_form.get("number")
        return None if found and number and number.kind not in _NUMBERS else number
    if kind in ("float", "double"):
        return by_form.get("number")
    if kind in ("bytes", "fixed"):
        wanted = "decimal" if logical == "decimal" else "bytes"
        return children.get(wanted, children.get("bytes", children.get("string")))
    if kind in ("string", "enum"):
        return by_form.get("text")
    return children.get("record" if kind == "error" else kind)


def _null(source: Source) -> None:
    return None


def _text_as_bytes(source: Source) -> str:
    return _base64(source.text().encode())


def _base64(raw: bytes) -> str:
    return b64encode(raw).decode("ascii")


def _enum(symbols: tuple[str, ...], field: Field | None, where: str) -> Read:
    def read(source: Source) -> str:
        return symbols[source.index(len(symbols), "symbol")]

    return refused(read, where, "an enum", field) if field and field.kind == "bytes" else read


def _double(kind: str, field: Field | None, where: str) -> Read:
    number = Source.float32 if kind == "float" else Source.float64

    def read(source: Source) -> Any:
        value = number(source)
        return value if math.isfinite(value) else msgspec.Raw(_NOT_FINITE[str(value)])

    def as_decimal(source: Source) -> Any:
        value = read(source)
        # All its digits: 0.1 of a double is not 0.1.
        return msgspec.Raw(f"{Decimal(value):f}".encode()) if isinstance(value, float) else value

    def as_float(source: Source) -> Any:
        value = read(source)
        if isinstance(value, float) and not _is_float(value):
            raise Malformed(f"{where}: saw {value!r}; allowed: a number that a float holds")
        return value

    if field and field.kind == "decimal":
        return as_decimal
    return as_float if field and field.kind == "float" and kind == "double" else read


def _is_float(value: float) -> bool:
    try:
        return bool(_FLOAT.unpack(_FLOAT.pack(value))[0] == value)
    except OverflowError:
        return False


def _bytes(node: Mapping[str, Any], field: Field | None, where: str) -> Read:
    size, kind = node.get("size", 0), field.kind if field else None
    scale = _scale(node)

    def raw(source: Source) -> bytes:
        return source.fixed(size) if node["type"] == "fixed" else source.data()

    def as_base64(source: Source) -> str:
        return _base64(raw(source))

    def as_number(source: Source) -> msgspec.Raw:
        return msgspec.Raw(_decimal(raw(source), scale or 0, where).encode())

    def as_decimal_text(source: Source) -> str:
        return _decimal(raw(source), scale or 0, where)

    if kind == "bytes":
        return as_base64
    if scale is not None:
        if kind is None or kind == "decimal":
            return as_decimal_text if field and field.wire == "string" else as_number
        assert field is not None
        return refused(raw, where, "a decimal", field)
    if kind in (None, "string") and node.get("logicalType") == "uuid" and size == 16:
        return lambda source: str(uuid.UUID(bytes=source.fixed(16)))
    if kind is None:
        return as_base64
    if kind == "string" and node["type"] == "bytes":
        return Source.text  # Avro's promotion
    assert field is not None
    return refused(raw, where, f"{node['type']} that are no decimal", field)


def _scale(node: Mapping[str, Any]) -> int | None:
    if node.get("logicalType") != "decimal":
        return None
    scale = node.get("scale", 0)
    return scale if type(scale) is int and 0 <= scale <= _MOST_SCALE else None


def _decimal(raw: bytes, scale: int, where: str) -> str:
    if len(raw) > _MOST_DECIMAL_BYTES:
        allowed = f"at most {_MOST_DECIMAL_BYTES}"
        raise Malformed(f"{where}: saw a decimal of {len(raw)} bytes; allowed: {allowed}")
    unscaled = int.from_bytes(raw, "big", signed=True)
    digits = str(abs(unscaled)).rjust(scale + 1, "0")
    sign, whole = "-" if unscaled < 0 else "", len(digits) - scale
    return f"{sign}{digits[:whole]}.{digits[whole:]}" if scale else f"{sign}{digits}"


def _time(number: Callable[[Source], int], kind: Kind, unit: Unit, field: Field | None) -> Read:
    """Return the reader of a time: in the field's form, else in one that the field refuses."""

    def as_text(source: Source) -> str | int:
        count = number(source)
        if count == _LEAST or (kind == "time" and not 0 <= count < _DAY * FRACTIONS[unit]):
            return count
        if kind == "date":
            return date_text(count)
        local = kind == "local_timestamp"
        return time_text(count, unit) if kind == "time" else text(count, unit, local=local)

    if field is None or field.wire in ("iso-8601", "number", "string"):
        return as_text
    if field.kind not in TIME_KINDS:
        return number  # as Avro says: of other types only the number is meant
    if field.kind != kind:
        return as_text
    if kind == "date":
        return number
    wanted = EPOCH_FRACTIONS.get(field.wire, FRACTIONS[field.unit])
    return _scaled(number, FRACTIONS[unit], wanted, as_text)


def _scaled(number: Callable[[Source], int], unit: int, wanted: int, as_text: Read) -> Read:
    """Return the reader of a count of 1/`unit` seconds as one of 1/`wanted`."""
    if unit == wanted:
        return number
    if unit < wanted:
        return lambda source: number(source) * (wanted // unit)
    factor = unit // wanted

    def read(source: Source) -> Any:
        start = source.at
        whole, rest = divmod(number(source), factor)
        if not rest:
            return whole
        source.at = start
        return as_text(source)  # finer than the field's numbers; the decoder refuses a text

    return read
