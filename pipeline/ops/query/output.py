"""A query's rows as a table for people, as CSV, and as JSON; text from the lake is escaped.

Instants are ISO-8601 in UTC with a `Z`, as in events; times without a time zone have none.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, Final

from rich.cells import cell_len

from pipeline.terminal import printable

Row = tuple[Any, ...]
_GAP: Final = "  "
_QUOTED: Final = frozenset('",\r\n')
_NUMBERS: Final = (int, float, Decimal)


def text(value: object) -> str:
    """Return a value as text; NULL for None, bytes as hexadecimal digits."""
    match value:
        case None:
            return "NULL"
        case bool():
            return str(value).lower()
        case datetime():
            return _instant(value)
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case list() | tuple() | dict():
            return json_text(value)
        case _:
            return str(value)


def json_text(value: object) -> str:
    """Return a value as JSON: numbers with all their digits; NaN and infinity as strings."""
    match value:
        case None | bool() | int() | str():
            # JSON's own escapes leave only this control character as it is.
            return json.dumps(value).replace("\x7f", "\\u007f")
        case float() if math.isfinite(value):
            return repr(value)
        case Decimal() if value.is_finite():
            return format(value, "f")
        case list() | tuple():
            return f"[{', '.join(map(json_text, value))}]"
        case dict():
            members = (f"{json_text(text(key))}: {json_text(at)}" for key, at in value.items())
            return f"{{{', '.join(members)}}}"
        case _:
            return json.dumps(text(value))


def csv_lines(names: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Yield the header and the rows; a NULL is an empty field, an empty text is `""`."""
    yield ",".join(map(_field, names))
    for row in rows:
        yield ",".join("" if value is None else _field(text(value)) for value in row)


def json_lines(names: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """Yield the lines of one JSON list with an object a row; `names` are distinct."""
    keys = [json_text(name) for name in names]
    before = "["
    for row in rows:
        pairs = zip(keys, row, strict=True)
        yield before + "{" + ", ".join(f"{key}: {json_text(value)}" for key, value in pairs) + "}"
        before = ","
    yield "]" if before == "," else "[]"


def table_lines(names: Sequence[str], rows: Sequence[Row], width: int | None) -> Iterator[str]:
    """Yield an aligned table, numbers to the right; nothing is cut.

    A table wider than `width` becomes a block of lines for each row, with a column a line.
    """
    headers = [printable(name) for name in names]
    cells = [[printable(text(value)) for value in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headers, *cells, strict=True)]
    if width is not None and sum(widths) + len(_GAP) * (len(widths) - 1) > width:
        yield from _blocks(headers, cells)
        return
    right = [
        any(isinstance(row[at], _NUMBERS) and not isinstance(row[at], bool) for row in rows)
        for at in range(len(headers))
    ]
    for line in (headers, ["-" * wide for wide in widths], *cells):
        aligned = map(_aligned, line, widths, right)
        yield _GAP.join(aligned).rstrip()


def _blocks(headers: list[str], cells: list[list[str]]) -> Iterator[str]:
    wide = max(map(cell_len, headers))
    for number, row in enumerate(cells, 1):
        yield f"row {number}"
        for header, cell in zip(headers, row, strict=True):
            yield f"{_GAP}{_aligned(header, wide, False)}{_GAP}{cell}".rstrip()


def _aligned(cell: str, width: int, right: bool) -> str:
    padding = " " * (width - cell_len(cell))
    return padding + cell if right else cell + padding


def _instant(value: datetime) -> str:
    precision = "microseconds" if value.microsecond % 1000 else "milliseconds"
    if value.tzinfo is None:
        return value.isoformat(timespec=precision)
    return value.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z")


def _field(value: str) -> str:
    if value and not _QUOTED & set(value):
        return value
    return '"' + value.replace('"', '""') + '"'
