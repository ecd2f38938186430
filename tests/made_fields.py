"""Random fields of all kinds, their values as Arrow takes them, and the JSON that says the same."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from decimal import Context, Decimal
from typing import Any, Final

import numpy as np
from hypothesis import strategies as st

from pipeline.events import instants
from pipeline.events.avro_types import json_form
from pipeline.events.limits import EPOCH_FRACTIONS, wire_forms
from pipeline.events.model import Field, Kind, Unit

ABSENT: Final = object()
"""An optional member that JSON lacks."""
LEAVES: Final[tuple[Kind, ...]] = (
    "boolean",
    "int32",
    "int64",
    "float",
    "double",
    "decimal",
    "string",
    "bytes",
    "date",
    "time",
    "timestamp",
    "local_timestamp",
)
_INTEGERS: Final[Mapping[Kind, int]] = {"int32": 2**31, "int64": 2**63}
_FIRST_SECOND: Final = instants.parse("0001-01-01T00:00:00Z", "ms") // 1000  # type: ignore[operator]
_LAST_SECOND: Final = instants.parse("9999-12-31T23:59:59Z", "ms") // 1000  # type: ignore[operator]
_DAYS: Final = (-719_162, 2_932_896)
_EXACT: Final = Context(prec=80)
_TEXTS: Final = st.text(st.characters(blacklist_categories=["Cs"]), max_size=6) | st.sampled_from(
    ["", "null", "5", '"', "\\", ">", "<>", "<x>", "\x00", "é\u0301", "\n", "true", "2018-01-01"]
)


@st.composite
def fields(draw: st.DrawFn, name: str = "value", depth: int = 4) -> Field:
    """A field of any kind, with at most so many levels."""
    nested: tuple[Kind, ...] = ("record", "array", "map", "union") if depth > 1 else ()
    made = Field(name, draw(st.sampled_from((*nested, *LEAVES))), nullable=draw(st.booleans()))
    if made.kind in LEAVES:
        return draw(_leaf(made))
    if made.kind == "record":
        names = draw(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True))
        children = [draw(_with_default(draw(fields(each, depth - 1)))) for each in names]
    elif made.kind == "union":
        children = draw(_branches(depth - 1))
    else:
        children = [draw(fields("item" if made.kind == "array" else "value", depth - 1))]
    return replace(made, children=tuple(children))


@st.composite
def _leaf(draw: st.DrawFn, made: Field) -> Field:
    units: dict[Kind, tuple[Unit, ...]] = {"time": ("ms", "us")}
    if made.kind in ("time", "timestamp", "local_timestamp"):
        made = replace(made, unit=draw(st.sampled_from(units.get(made.kind, ("ms", "us", "ns")))))
    if made.kind == "decimal":
        precision = draw(st.integers(1, 38))
        made = replace(made, precision=precision, scale=draw(st.integers(0, precision)))
    if made.kind == "bytes":
        made = replace(made, size=draw(st.sampled_from((0, 0, 3))))
    if made.kind in ("decimal", "date", "time", "timestamp", "local_timestamp"):
        made = replace(made, wire=draw(st.sampled_from(wire_forms(made))))
    return made


@st.composite
def _with_default(draw: st.DrawFn, made: Field) -> Field:
    if not draw(st.booleans()):
        return made
    if made.kind in ("array", "map"):
        return replace(made, optional=True, default=())
    if made.kind in ("boolean", "int32", "int64", "float", "double", "string"):
        value = draw(values(replace(made, nullable=False)))
        return replace(made, optional=True, default=value)
    return replace(made, optional=True, nullable=True)


@st.composite
def _branches(draw: st.DrawFn, depth: int) -> list[Field]:
    made = [replace(draw(fields("x", depth)), nullable=False) for _ in range(5)]
    by_form = {json_form(each): each for each in made if each.kind != "union"}
    other = {form: _OTHERS[form] for form in ("number", "text") if form not in by_form}
    chosen = list({**by_form, **other}.items())[: draw(st.integers(2, 5))]
    return [replace(each, name=f"of_{form}") for form, each in chosen]


_OTHERS: Final = {"number": Field("x", "int64"), "text": Field("x", "string")}


def values(made: Field) -> st.SearchStrategy[Any]:
    """Values of a field, as Arrow takes them but for `ABSENT` members."""
    strategy = _values(made)
    return st.none() | strategy if made.nullable else strategy


def _values(made: Field) -> st.SearchStrategy[Any]:
    match made.kind:
        case "boolean":
            return st.booleans()
        case "int32" | "int64":
            end = _INTEGERS[made.kind]
            return st.integers(-end, end - 1)
        case "float":
            return st.floats(allow_nan=False, allow_infinity=False, width=32)
        case "double":
            return st.floats(allow_nan=False, allow_infinity=False)
        case "decimal":
            end = 10**made.precision - 1
            return st.integers(-end, end).map(lambda n: Decimal(n).scaleb(-made.scale, _EXACT))
        case "string":
            return _TEXTS
        case "bytes":
            return st.binary(min_size=made.size, max_size=made.size or 5)
        case "date":
            return st.integers(*_DAYS)
        case "time":
            return st.integers(0, 86_400 * instants.FRACTIONS[made.unit] - 1)
        case "timestamp" | "local_timestamp":
            return _instants(made)
        case "array":
            return st.lists(values(made.children[0]), max_size=3)
        case "map":
            return st.dictionaries(_TEXTS, values(made.children[0]), max_size=3)
        case "record":
            return st.fixed_dictionaries({each.name: _member(each) for each in made.children})
    return st.one_of([st.fixed_dictionaries({each.name: values(each)}) for each in made.children])


def _instants(made: Field) -> st.SearchStrategy[int]:
    a_second = instants.FRACTIONS[made.unit]
    least, most = _FIRST_SECOND * a_second, _LAST_SECOND * a_second
    if made.unit == "ns":
        least, most = -(2**63) + 1, 2**63 - 1
    counted = EPOCH_FRACTIONS.get(made.wire, a_second)
    step = a_second // counted
    return st.integers(-(-least // step), most // step).map(lambda count: count * step)


def _member(made: Field) -> st.SearchStrategy[Any]:
    return values(made) | st.just(ABSENT) if made.optional else values(made)


def arrow(made: Field, value: Any) -> Any:
    """The value as pyarrow takes it for `arrow_type`."""
    if value is ABSENT:
        return [] if made.default == () else made.default
    if value is None:
        return None
    match made.kind:
        case "array":
            return [arrow(made.children[0], each) for each in value]
        case "map":
            return [(key, arrow(made.children[0], each)) for key, each in value.items()]
        case "record":
            return {each.name: arrow(each, value[each.name]) for each in made.children}
        case "union":
            return {each.name: arrow(each, value.get(each.name)) for each in made.children}
    return value


def comparable(made: Field, value: Any) -> Any:
    """Something that is equal exactly if two values of the field are."""
    if value is None:
        return None
    match made.kind:
        case "array":
            return [comparable(made.children[0], each) for each in value]
        case "map":
            return {key: comparable(made.children[0], each) for key, each in value}
        case "record" | "union":
            return {each.name: comparable(each, value[each.name]) for each in made.children}
    return value


def text(made: Field, value: Any, chance: random.Random) -> str:
    """The value as JSON, by its wire form and in one of the ways to write it."""
    if value is None:
        return "null"
    match made.kind:
        case "array":
            return f"[{', '.join(text(made.children[0], each, chance) for each in value)}]"
        case "map":
            members = [(key, made.children[0], each) for key, each in value.items()]
            return _object(members, chance)
        case "record":
            of = [(each.name, each, value[each.name]) for each in made.children]
            return _object([each for each in of if each[2] is not ABSENT], chance)
        case "union":
            ((name, chosen),) = value.items()
            return text(next(each for each in made.children if each.name == name), chosen, chance)
        case "decimal":
            number = _decimal_text(value, chance)
            return json.dumps(number) if made.wire == "string" else number
        case "bytes":
            return json.dumps(base64.b64encode(value).decode())
        case "date" | "time" | "timestamp" | "local_timestamp":
            return _time_text(made, value, chance)
    return json.dumps(value, ensure_ascii=chance.random() < 0.5)


def _object(members: list[tuple[str, Field, Any]], chance: random.Random) -> str:
    chance.shuffle(members)
    texts = [
        f"{json.dumps(key, ensure_ascii=chance.random() < 0.5)} : {text(made, value, chance)}"
        for key, made, value in members
    ]
    return f"{{{', '.join(texts)}}}"


def _decimal_text(value: Decimal, chance: random.Random) -> str:
    plain = format(value, "f")
    if "." in plain and chance.random() < 0.3:
        return plain + "0" * chance.randrange(60)
    if chance.random() < 0.3:
        return f"{value:e}"
    return plain


def _time_text(made: Field, value: int, chance: random.Random) -> str:
    if made.wire == "epoch-days" or made.wire.endswith("-of-day"):
        return str(value)
    if made.wire != "iso-8601":
        return str(value // (instants.FRACTIONS[made.unit] // EPOCH_FRACTIONS[made.wire]))
    if made.kind == "date":
        return json.dumps(instants.date_text(value))
    if made.kind == "time":
        return json.dumps(_fraction(instants.time_text(value, made.unit), chance))
    local = made.kind == "local_timestamp"
    written = instants.text(value, made.unit, local=local)
    at, zone = _fraction(written.rstrip("Z"), chance), "" if local else "Z"
    if not local and chance.random() < 0.3:
        zone = chance.choice(["+00:00", "-00:00"])
    return json.dumps(at + zone)


def _fraction(written: str, chance: random.Random) -> str:
    if chance.random() < 0.5:
        return written.rstrip("0").rstrip(".") if "." in written else written
    return written + "0" * chance.randrange(4)


def changed(made: Field, value: Any, chance: random.Random) -> Any:
    """The value with one leaf, length or branch changed, a little."""
    if value is ABSENT or value is None:
        return value
    match made.kind:
        case "boolean":
            return not value
        case "float":
            return float(np.float32(value / 2 if abs(value) > 1 else value + 1.0))
        case "double":
            return value / 2 if abs(value) > 1 else value + 1.0
        case "decimal":
            step = Decimal(1).scaleb(-made.scale)
            return _EXACT.add(value, -step if value > 0 else step)
        case "string":
            return value + chance.choice(["x", " ", "\x00", "0"])
        case "bytes":
            return bytes([value[0] ^ 1]) + value[1:] if value else (b"" if made.size else b"\x00")
        case "array" if value:
            at = chance.randrange(len(value))
            return [*value[:at], changed(made.children[0], value[at], chance), *value[at + 1 :]]
        case "map" if value:
            key = chance.choice(list(value))
            return {**value, key: changed(made.children[0], value[key], chance)}
        case "record" | "union":
            each = chance.choice([child for child in made.children if child.name in value])
            return {**value, each.name: changed(each, value[each.name], chance)}
        case "array" | "map":
            return value
        case "timestamp" | "local_timestamp" if made.wire != "iso-8601":
            one = instants.FRACTIONS[made.unit] // EPOCH_FRACTIONS[made.wire]
            return value - one if value > 0 else value + one
    return value - 1 if value > 0 else value + 1
