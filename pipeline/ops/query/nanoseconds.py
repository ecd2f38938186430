"""Times in nanoseconds as texts: DuckDB's Python client returns them in microseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from connectors.sql import literal

_VIEW: Final = '"times in nanoseconds"'
_FORMATS: Final = {
    "timestamptz_ns": "%Y-%m-%dT%H:%M:%S.%nZ",
    "timestamp_ns": "%Y-%m-%dT%H:%M:%S.%n",
}


def has_nanoseconds(kind: Any) -> bool:
    """Return whether a DuckDB type is a time in nanoseconds, or has one in it."""
    return kind.id in _FORMATS or any(has_nanoseconds(child) for _, child in _children(kind))


def as_view(query: str, kinds: Sequence[Any]) -> tuple[str, str]:
    """Return the CREATE statement of a view of a query, and SQL for the same rows in its order.

    The query's columns have the types `kinds`. Times in nanoseconds are ISO-8601 texts.
    """
    names = [f"c{number}" for number in range(len(kinds))]
    shown = ", ".join(
        _shown(name, kind, 0) if has_nanoseconds(kind) else name
        for name, kind in zip(names, kinds, strict=True)
    )
    # A view takes the query's text with any semicolon or comment at its end.
    create = f"CREATE OR REPLACE TEMP VIEW {_VIEW}({', '.join(names)}) AS {query}"
    return create, f"SELECT {shown} FROM {_VIEW}"


def _children(kind: Any) -> list[tuple[str, Any]]:
    return list(kind.children) if kind.id in ("struct", "list", "map") else []


def _shown(value: str, kind: Any, level: int) -> str:
    if kind.id in _FORMATS:
        return f"strftime({value}, {literal(_FORMATS[kind.id])})"
    children, each = dict(_children(kind)), f"v{level}"
    if kind.id == "list":
        return (
            f"list_transform({value}, lambda {each}: {_shown(each, children['child'], level + 1)})"
        )
    if kind.id == "struct":
        parts = ", ".join(
            f"{literal(name)}: {_shown(f'struct_extract({value}, {literal(name)})', child, level)}"
            for name, child in children.items()
        )
        return f"CASE WHEN {value} IS NOT NULL THEN {{{parts}}} END"
    if kind.id == "map":
        key, item = (
            _shown(f"{each}.{part}", children[part], level + 1) for part in ("key", "value")
        )
        entry = f"lambda {each}: {{'key': {key}, 'value': {item}}}"
        return f"map_from_entries(list_transform(map_entries({value}), {entry}))"
    return value
