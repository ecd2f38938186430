"""Event types with partitions of all kinds, and values of their fields."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from pipeline.decode.timestamps import EARLIEST
from pipeline.events.model import EventType, Field, Kind, PartitionField

TIMES = st.integers(EARLIEST, 7_258_118_399_999)


def typed(partition_by: tuple[PartitionField, ...], **kinds: Kind) -> EventType:
    fields = tuple(Field(name, kind, nullable=True) for name, kind in kinds.items())
    return EventType("e", 1, "", fields, ("id",), "t", "t", partition_by)


_TEXTS = st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=40)
_VALUES: dict[Kind, st.SearchStrategy[Any]] = {
    "int32": st.integers(-(2**31), 2**31 - 1),
    "int64": st.integers(-(2**63) + 2**32, 2**63 - 1),
    "string": _TEXTS,
    "boolean": st.booleans(),
    "timestamp": TIMES,
}
_NUMBERS = st.sampled_from(["%d", "%03d", "%012d"])
_WIDTHS = st.integers(1, 999)


def _fields(kind: Kind, name: str) -> st.SearchStrategy[PartitionField]:
    made: dict[str, Callable[..., st.SearchStrategy[PartitionField]]] = {
        "identity": lambda: st.builds(PartitionField, st.just(f"p_{name}"), st.just(name)),
        "number": lambda: st.builds(
            PartitionField, st.just(f"p_{name}"), st.just(name), st.just("identity"), st.just(0),
            _NUMBERS),
        "truncate": lambda: st.builds(
            PartitionField, st.just(f"p_{name}"), st.just(name), st.just("truncate"), _WIDTHS,
            st.just("") if kind == "string" else _NUMBERS),
        "bucket": lambda: st.builds(
            PartitionField, st.just(f"p_{name}"), st.just(name), st.just("bucket"), _WIDTHS,
            _NUMBERS),
        "time": lambda: st.sampled_from([
            PartitionField(f"p_{name}", name, "year", 0, "%Y"),
            PartitionField(f"p_{name}", name, "month", 0, "%m"),
            PartitionField(f"p_{name}", name, "day", 0, "%Y-%m-%d"),
            PartitionField(f"p_{name}", name, "hour", 0, "%Y-%m-%d-%H"),
        ]),
    }  # fmt: skip
    able = {
        "int32": ("number", "truncate", "bucket"),
        "int64": ("number", "truncate", "bucket"),
        "string": ("identity", "truncate", "bucket"),
        "boolean": ("identity",),
        "timestamp": ("time", "bucket"),
    }
    return st.one_of([made[each]() for each in able[kind]])


@st.composite
def events(draw: st.DrawFn) -> tuple[EventType, list[dict[str, Any]]]:
    kinds = draw(st.lists(st.sampled_from(sorted(_VALUES)), min_size=1, max_size=4))
    names = {f"f{number}": kind for number, kind in enumerate(kinds)}
    fields = tuple(draw(_fields(kind, name)) for name, kind in names.items())
    nulls = {name: draw(st.booleans()) for name in names}
    values = {
        name: st.one_of(st.none(), _VALUES[kind]) if nulls[name] else _VALUES[kind]
        for name, kind in names.items()
    }
    rows = draw(st.lists(st.fixed_dictionaries(values), min_size=1, max_size=30))
    event_type = typed(fields, **names)
    fields_of = tuple(replace(field, nullable=nulls[field.name]) for field in event_type.fields)
    return replace(event_type, fields=fields_of), rows
