"""Schemas of all of Avro's types, with JSON of events and the values of their columns."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Context, Decimal
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
from hypothesis import strategies as st

from pipeline.events.model import EventType
from pipeline.events.schema_files import event_type_of

Pair = tuple[Any, Any]
"""A value as JSON has it, and as its Arrow column does: times as numbers, unions as structs."""


@dataclass(frozen=True)
class Typed:
    """An Avro type, the properties of a field that has it, and its values."""

    avro: Any
    values: st.SearchStrategy[Pair]
    properties: tuple[tuple[str, Any], ...] = ()


_TEXT: Final = st.text(st.characters(exclude_categories=["C"]), max_size=12)
_FIRST, _LAST = 1_230_768_000, 1_500_000_000
_UNITS: Final = {"millis": 10**3, "micros": 10**6, "nanos": 10**9}
_NUMPY: Final = {"millis": "ms", "micros": "us", "nanos": "ns"}
_NAMES: Final = ("a", "b_1", "from", "camelCase", "x9")


def _same(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Pair]:
    return values.map(lambda value: (value, value))


def _simple() -> st.SearchStrategy[Typed]:
    return st.sampled_from(
        [
            Typed("boolean", _same(st.booleans())),
            Typed("int", _same(st.integers(-(2**31), 2**31 - 1))),
            Typed("long", _same(st.integers(-(2**63), 2**63 - 1))),
            Typed("double", _same(st.floats(-(2.0**53), 2.0**53, allow_subnormal=False))),
            Typed("float", _same(st.floats(-(2.0**24), 2.0**24, width=32, allow_subnormal=False))),
            Typed("string", _same(_TEXT)),
            Typed({"type": "string", "logicalType": "uuid"}, _same(st.uuids().map(str))),
            Typed("bytes", st.binary(max_size=9).map(_base64)),
        ]
    )


def _base64(data: bytes) -> Pair:
    return b64encode(data).decode(), data


@st.composite
def _fixed(draw: st.DrawFn, names: Any) -> Typed:
    size = draw(st.integers(1, 5))
    avro = {"type": "fixed", "name": next(names), "size": size}
    return Typed(avro, st.binary(min_size=size, max_size=size).map(_base64))


@st.composite
def _enum(draw: st.DrawFn, names: Any) -> Typed:
    symbols = draw(st.lists(st.sampled_from(["A", "B2", "c_d", "E"]), min_size=1, unique=True))
    avro = {"type": "enum", "name": next(names), "symbols": symbols}
    return Typed(avro, _same(st.sampled_from(symbols)))


@st.composite
def _decimal(draw: st.DrawFn) -> Typed:
    precision = draw(st.integers(1, 38))
    scale = draw(st.integers(0, precision))
    wire = draw(st.sampled_from(["number", "string"]))
    avro = {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}

    def pair(unscaled: int) -> Pair:
        number = Decimal(unscaled).scaleb(-scale, Context(prec=60))
        return (f"{number:f}" if wire == "string" else number), number

    most = 10**precision - 1
    return Typed(avro, st.integers(-most, most).map(pair), (("wire", wire),))


@st.composite
def _instant(draw: st.DrawFn) -> Typed:
    unit = draw(st.sampled_from(sorted(_UNITS)))
    local = draw(st.booleans())
    logical = f"{'local-' if local else ''}timestamp-{unit}"
    fits = [f"epoch-{each}" for each in _UNITS if _UNITS[each] <= _UNITS[unit]]
    wire = draw(st.sampled_from(["iso-8601", "epoch-seconds", *fits]))
    factor = _UNITS[unit] // _UNITS.get(wire.removeprefix("epoch-"), 1)

    def pair(number: int) -> Pair:
        count = number % ((_LAST - _FIRST) * _UNITS[unit]) + _FIRST * _UNITS[unit]
        if wire == "iso-8601":
            return f"{np.datetime64(count, _NUMPY[unit])}{'' if local else 'Z'}", count
        return count // factor, count // factor * factor

    avro = {"type": "long", "logicalType": logical}
    return Typed(avro, st.integers(0, 2**62).map(pair), (("wire", wire),))


@st.composite
def _day(draw: st.DrawFn) -> Typed:
    wire = draw(st.sampled_from(["iso-8601", "epoch-days"]))

    def pair(days: int) -> Pair:
        return str(date(1970, 1, 1) + timedelta(days)) if wire == "iso-8601" else days, days

    avro = {"type": "int", "logicalType": "date"}
    return Typed(avro, st.integers(-700_000, 2_000_000).map(pair), (("wire", wire),))


@st.composite
def _time(draw: st.DrawFn) -> Typed:
    unit = draw(st.sampled_from(["millis", "micros"]))
    wire = draw(st.sampled_from(["iso-8601", f"{unit}-of-day"]))

    def pair(count: int) -> Pair:
        text = str(np.datetime64(count, _NUMPY[unit])).partition("T")[2]
        return text if wire == "iso-8601" else count, count

    avro = {"type": "int" if unit == "millis" else "long", "logicalType": f"time-{unit}"}
    return Typed(avro, st.integers(0, 86_400 * _UNITS[unit] - 1).map(pair), (("wire", wire),))


def _leaf(names: Any) -> st.SearchStrategy[Typed]:
    return st.one_of(
        _simple(), _fixed(names), _enum(names), _decimal(), _instant(), _day(), _time()
    )


def _inline(typed: Typed) -> Any:
    """Return the type with its properties, as it stands in an array, map or union."""
    if not typed.properties:
        return typed.avro
    avro = typed.avro if isinstance(typed.avro, dict) else {"type": typed.avro}
    return {**avro, **dict(typed.properties)}


def _or_null(typed: Typed, *, nullable: bool) -> Typed:
    if not nullable:
        return typed
    values = st.one_of(st.just((None, None)), typed.values)
    if isinstance(typed.avro, list):
        return Typed(["null", *typed.avro], values)
    return Typed(["null", _inline(typed)], values)


@st.composite
def _nested(draw: st.DrawFn, names: Any, depth: int) -> Typed:
    kind = draw(st.sampled_from(["record", "array", "map", "union"]))
    if kind == "record":
        fields = draw(_fields(names, depth - 1, 3))
        avro = {"type": "record", "name": next(names), "fields": [each for each, _ in fields]}
        return Typed(avro, _objects(fields))
    if kind == "union":
        return draw(_union(names))
    below = _or_null(draw(_typed(names, depth - 1)), nullable=draw(st.booleans()))
    if kind == "array":
        pairs = st.lists(below.values, max_size=3)
        return Typed(
            {"type": "array", "items": _inline(below)},
            pairs.map(lambda found: ([one for one, _ in found], [other for _, other in found])),
        )
    entries = st.dictionaries(_TEXT, below.values, max_size=3)
    return Typed(
        {"type": "map", "values": _inline(below)},
        entries.map(
            lambda found: (
                {key: one for key, (one, _) in found.items()},
                [(key, other) for key, (_, other) in found.items()],
            )
        ),
    )


@st.composite
def _union(draw: st.DrawFn, names: Any) -> Typed:
    number = Typed("long", _same(st.integers(-(2**63), 2**63 - 1)))
    texts = Typed("string", _same(_TEXT))
    lists = Typed({"type": "array", "items": "int"}, _same(st.lists(st.integers(0, 9), max_size=2)))
    flags = Typed("boolean", _same(st.booleans()))
    able = {"long": number, "string": texts, "array": lists, "boolean": flags}
    chosen = draw(st.lists(st.sampled_from(sorted(able)), min_size=2, unique=True))
    values = [able[name].values.map(_branch(name)) for name in chosen]
    return Typed([able[name].avro for name in chosen], st.one_of(values))


def _branch(name: str) -> Callable[[Pair], Pair]:
    return lambda pair: (pair[0], {name: pair[1]})


def _typed(names: Any, depth: int) -> st.SearchStrategy[Typed]:
    return st.one_of(_leaf(names), _nested(names, depth)) if depth else _leaf(names)


Declared = tuple[dict[str, Any], st.SearchStrategy[Pair | None]]
"""A field as in a schema, and its values, None where it is left out."""


@st.composite
def _fields(draw: st.DrawFn, names: Any, depth: int, most: int) -> list[Declared]:
    fields: list[Declared] = []
    for name in draw(st.lists(st.sampled_from(_NAMES), min_size=1, max_size=most, unique=True)):
        form = draw(st.sampled_from(["plain", "nullable", "optional"]))
        typed = _or_null(draw(_typed(names, depth)), nullable=form != "plain")
        declared = {"name": name, "type": typed.avro, "doc": "x", **dict(typed.properties)}
        values: st.SearchStrategy[Pair | None] = typed.values
        if form == "optional":
            declared["default"] = None
            values = st.one_of(st.none(), values)
        fields.append((declared, values))
    return fields


def _objects(fields: list[Declared]) -> st.SearchStrategy[Pair]:
    def pair(found: dict[str, Pair | None]) -> Pair:
        given = {name: each[0] for name, each in found.items() if each is not None}
        return given, {name: each[1] if each else None for name, each in found.items()}

    return st.fixed_dictionaries({each["name"]: values for each, values in fields}).map(pair)


def _names() -> Any:
    return (f"N{number}" for number in range(1_000_000))


TIME: Final = {"type": "long", "logicalType": "timestamp-millis"}


@st.composite
def schemas(draw: st.DrawFn) -> tuple[EventType, st.SearchStrategy[Pair]]:
    """Return an event type and its events, JSON and columns."""
    fields = draw(_fields(_names(), 3, 4))
    record = {
        "type": "record", "name": "Event", "doc": "x", "eventType": "event", "version": 1,
        "id": "id", "eventTime": "t",
        "partitionBy": [{"name": "day", "from": "t", "transform": "day"}],
        "fields": [
            {"name": "id", "type": "long", "doc": "x"},
            {"name": "t", "type": TIME, "doc": "x"},
            *(each for each, _ in fields),
        ],
    }  # fmt: skip
    event_type = event_type_of(Path("event.avsc"), record)
    assert isinstance(event_type, EventType)
    own = _objects(fields).map(
        lambda pair: (
            {"id": 1, "t": "2018-01-01T00:00:00.000Z", **pair[0]},
            {"id": 1, "t": 1_514_764_800_000, **pair[1]},
        )
    )
    return event_type, own


def encoded(event: Any) -> bytes:
    """Return an event as JSON, decimals as numbers with all their digits."""
    return msgspec.json.Encoder(decimal_format="number").encode(event)
