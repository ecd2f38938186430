"""A field of every kind, also within others, and rows with their values."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa

from pipeline.decode.arrow_types import arrow_type
from pipeline.events.model import Field, Unit
from tests.made_fields import arrow

ISO = "iso-8601"
UNITS: tuple[Unit, ...] = ("ms", "us", "ns")
LEAVES = (
    Field("yes", "boolean", nullable=True),
    Field("small", "int32", nullable=True),
    Field("large", "int64", nullable=True),
    Field("single", "float", nullable=True),
    Field("twice", "double", nullable=True),
    Field("money", "decimal", nullable=True, precision=38, scale=10, wire="string"),
    Field("cents", "decimal", nullable=True, precision=9, scale=2, wire="number"),
    Field("word", "string", nullable=True),
    Field("blob", "bytes", nullable=True),
    Field("digest", "bytes", nullable=True, size=4),
    Field("day", "date", nullable=True, wire=ISO),
    Field("clock_ms", "time", nullable=True, unit="ms", wire=ISO),
    Field("clock_us", "time", nullable=True, unit="us", wire=ISO),
    *(Field(f"at_{unit}", "timestamp", nullable=True, unit=unit, wire=ISO) for unit in UNITS),
    *(
        Field(f"local_{unit}", "local_timestamp", nullable=True, unit=unit, wire=ISO)
        for unit in UNITS
    ),
)
RECORD = Field("everything", "record", nullable=True, children=LEAVES)
FIELDS = (
    *LEAVES,
    RECORD,
    Field("all_of_it", "array", nullable=True, children=(replace(RECORD, name="item"),)),
    Field("by_key", "map", nullable=True, children=(replace(RECORD, name="value"),)),
    Field(
        "either",
        "union",
        nullable=True,
        children=(Field("long", "int64"), replace(RECORD, nullable=False, name="Everything")),
    ),
)
"""Leaves at the top, and all of them in a record, an array, a map and a union."""

SOME: dict[str, Any] = {
    "yes": True,
    "small": -(2**31),
    "large": 2**53 + 1,
    "single": 0.5,
    "twice": 0.1,
    "money": Decimal("1234567890123456789012345678.0123456789"),
    "cents": Decimal("-0.05"),
    "word": "naïve",
    "blob": b"\x00\xff",
    "digest": b"\x00\x01\x02\x03",
    "day": 17_532,
    "clock_ms": 86_399_999,
    "clock_us": 86_399_999_999,
    "at_ms": 1_514_765_065_001,
    "at_us": 1_514_765_065_001_002,
    "at_ns": 1_514_765_065_001_002_003,
    "local_ms": -1,
    "local_us": -1,
    "local_ns": -1,
}
NONE: dict[str, Any] = dict.fromkeys(SOME)


def row(leaves: dict[str, Any]) -> dict[str, Any]:
    """A row whose records have those leaves."""
    return {
        **leaves,
        "everything": leaves,
        "all_of_it": [leaves, None, NONE],
        "by_key": {"a": leaves, "": None},
        "either": {"Everything": leaves},
    }


ROWS = [
    row(SOME),
    {**row(NONE), "either": {"long": 5}},
    dict.fromkeys(row(SOME)),
    {**row(SOME), "all_of_it": [], "by_key": {}},
]


def columns(rows: list[dict[str, Any]]) -> dict[str, pa.Array]:
    """The rows as the lake's columns."""
    return {
        field.name: pa.array([arrow(field, row[field.name]) for row in rows], arrow_type(field))
        for field in FIELDS
    }
