"""Reports for people and for programs: figures, and rows. No value is ever cut."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipeline.terminal import printable

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = Mapping[str, Any]
"""A record to print: its values by their names. All rows of a report have the same names."""

Style = Callable[[str, Any], str | None]
"""The style of a value on a terminal, from its name and itself."""


def print_report(report: Mapping[str, Any], *, as_json: bool) -> None:
    """Print to stdout: one line of JSON, or one `name: value` a line."""
    if as_json:
        print(json.dumps(report))
        return
    for name, text in lines(report):
        print(f"{name}: {printable(text)}")


def print_rows(
    rows: Sequence[Row], *, as_json: bool, none: str, style: Style | None = None
) -> None:
    """Print to stdout: a list in JSON, or as `show_rows`; `none` is said if there is no row."""
    from rich.console import Console

    if as_json:
        print(json.dumps(rows))
    elif rows:
        show_rows(rows, Console(), style=style)
    else:
        print(none)


def show_rows(rows: Sequence[Row], console: Console, *, style: Style | None = None) -> None:
    """Print a table where the terminal is wide enough for it, and blocks where it is not.

    Elsewhere than on a terminal, a row is a line of its values, separated by tabs.
    """
    if not console.is_terminal:
        for row in rows:
            print("\t".join(printable(_plain(value)) for value in row.values()), file=console.file)
        return
    table = _table(rows, style or _unstyled)
    if fits(table, console):
        console.print(table)
    else:
        # Not the console's own print: it breaks lines at the width, and a copy of them is broken.
        print(blocks(rows), file=console.file)


def fits(table: Table, console: Console) -> bool:
    """Return whether a table can be printed without a break or cut in any cell."""
    from rich.measure import Measurement

    unlimited = console.options.update(width=1_000_000)
    return Measurement.get(console, unlimited, table).maximum <= console.width


def blocks(rows: Sequence[Row]) -> str:
    """Return each row as lines of name and value, an empty line between two rows.

    A value that is None or empty has no line.
    """
    return "\n\n".join(map(_block, rows))


def lines(report: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield each figure's name and text; a nested figure's name is `outer.inner`."""
    for name, value in report.items():
        if isinstance(value, Mapping):
            yield from lines({f"{name}.{inner}": number for inner, number in value.items()})
        else:
            yield name, "not looked at" if value is None else _text(value)


def _block(row: Row) -> str:
    width = max(map(len, row))
    texts = {name: printable(_text(value)) for name, value in row.items()}
    return "\n".join(f"{name:<{width}}  {text}" for name, text in texts.items() if text)


def _table(rows: Sequence[Row], style: Style) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in rows[0]:
        has_numbers = any(_is_number(row[name]) for row in rows)
        table.add_column(name, justify="right" if has_numbers else "left", no_wrap=True)
    for row in rows:
        cells = ((name, value, printable(_text(value))) for name, value in row.items())
        table.add_row(*(Text(text, style=style(name, value) or "") for name, value, text in cells))
    return table


def _unstyled(name: str, value: Any) -> None:
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _plain(value: Any) -> str:
    """Return a value for a line that programs split: numbers without separators."""
    return str(value) if _is_number(value) else _text(value)


def _text(value: Any) -> str:
    """Format a value: thousands separated, one decimal, lists and mappings in JSON, None empty."""
    if value is None:
        return ""
    if not _is_number(value):
        return json.dumps(value) if isinstance(value, list | tuple | dict) else str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.1f}"
