"""Positions as the columns that sinks and sources have of them."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from connectors.positions import SCHEMA, Position


def table_of(positions: Iterable[Position]) -> pa.Table:
    """Return positions as a table of all six columns."""
    return pa.Table.from_pylist([position._asdict() for position in positions], schema=SCHEMA)
