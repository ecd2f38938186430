"""The command `streaming-etl query`."""

from __future__ import annotations

import json
import shutil
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from connectors.errors import UserError
from pipeline.options import LOCAL, ConfigOption, JsonOption
from pipeline.progress import Steps

if TYPE_CHECKING:
    from pipeline.ops.query.database import Result
    from pipeline.ops.query.tables import Columns
    from pipeline.ops.systems import Systems

_TABLE_ROWS = 100


def add_to(main: typer.Typer) -> None:
    """Add the command to the main program."""
    main.command(
        epilog='Example: streaming-etl query "SELECT year, month, count(*) FROM trip'
        ' GROUP BY ALL ORDER BY ALL" --csv'
    )(query)


def query(
    sql: Annotated[
        str | None,
        typer.Argument(help="One SELECT of DuckDB, in quotes; without it, list the tables."),
    ] = None,
    config: ConfigOption = LOCAL,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print all rows as CSV.")] = False,
    as_json: JsonOption = False,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            help=f"Print so many rows at most; a table has {_TABLE_ROWS} without it.",
            metavar="N",
        ),
    ] = None,
) -> None:
    """Ask the lake in SQL: each event type is a table, of the files that count now.

    Runs in this process, in DuckDB, which can read the lake and nothing else. Times are UTC;
    partition columns, such as year, are text.
    """
    from pipeline.ops.query.database import LakeDatabase
    from pipeline.ops.query.tables import schema_columns
    from pipeline.ops.systems import systems

    if as_csv and as_json:
        raise UserError("give --csv or --json, not both.")
    if sql is None and as_csv:
        raise UserError("--csv needs SQL to run; the list of tables has --json.")
    if sql is None and limit is not None:
        raise UserError("--limit needs SQL to run; the list of tables is printed whole.")
    configured = systems(config)
    path = configured.lake_path
    tables = schema_columns(configured.config, configured.types)
    if sql is None:
        _list(configured, tables, as_json=as_json)
        return
    steps = Steps(Console(stderr=True))
    with LakeDatabase(configured.lake(path), path, tables, steps) as database:
        _print(database.query(sql), limit, as_csv=as_csv, as_json=as_json)


def _list(configured: Systems, tables: Mapping[str, Columns], *, as_json: bool) -> None:
    """Print the tables: their files, and their columns by the schema."""
    lake = configured.lake(configured.lake_path)
    rows = []
    for table, columns in tables.items():
        current = [stored for each in lake.partitions(table) for stored in each.current()]
        size = sum(stored.size for stored in current)
        rows.append({"table": table, "files": len(current), "bytes": size, "columns": columns})
    if as_json:
        print(json.dumps(rows))
        return
    wide = max(len(column) for columns in tables.values() for column in columns)
    for row in rows:
        print(f"{row['table']}  ({row['files']:,} files, {row['bytes']:,} bytes)")
        for column, kind in tables[str(row["table"])].items():
            print(f"  {column:<{wide}}  {kind}")


def _print(result: Result, limit: int | None, *, as_csv: bool, as_json: bool) -> None:
    from pipeline.ops.query.output import csv_lines, json_lines, table_lines
    from pipeline.terminal import printable

    if as_csv:
        on_terminal = sys.stdout.isatty()
        for line in csv_lines(result.names, islice(result.rows, limit)):
            print(printable(line) if on_terminal else line)
    elif as_json:
        _refuse_repeated(result.names)
        for line in json_lines(result.names, islice(result.rows, limit)):
            print(line)
    else:
        shown = list(islice(result.rows, limit or _TABLE_ROWS))
        more = next(result.rows, None) is not None
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        for line in table_lines(result.names, shown, width):
            print(line)
        count = f"{len(shown):,} row{'' if len(shown) == 1 else 's'}"
        print(f"({count}, and there are more: --limit N, --csv, --json)" if more else f"({count})")


def _refuse_repeated(names: Iterable[str]) -> None:
    from pipeline.terminal import printable

    repeated = [printable(name) for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise UserError(
            f"--json: several columns are called {', '.join(repeated)}; give each a name with AS."
        )
