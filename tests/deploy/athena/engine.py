"""Runs a query of Athena in DuckDB, over exactly the files of the partitions that it looks into.

The SQL is Athena's, which is Trino's. It is not changed: what DuckDB names differently is defined
as a macro, and each table is a view with the columns and types that Glue declares.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import ge, gt, le, lt
from pathlib import Path
from typing import Any, Final

import duckdb

from connectors.sql import literal
from tests.deploy.athena.files import listed
from tests.deploy.athena.glue_types import glue_type
from tests.deploy.athena.projection import Condition, ProjectedTable, equal

DATABASE: Final = "streaming_etl"
# Trino's from_utf8 puts U+FFFD for wrong bytes and its json_extract_scalar is null for wrong JSON.
_MACROS: Final = """
CREATE MACRO from_utf8(bytes) AS try(decode(bytes));
CREATE MACRO json_extract_scalar(json, path) AS
  CASE WHEN json_valid(json) THEN json_extract_string(json, path) END;
"""
_COMPARISONS: Final = {
    "COMPARE_LESSTHAN": lt,
    "COMPARE_LESSTHANOREQUALTO": le,
    "COMPARE_GREATERTHAN": gt,
    "COMPARE_GREATERTHANOREQUALTO": ge,
}
Node = Mapping[str, Any]


@dataclass(frozen=True)
class Answer:
    """The rows of a query, and what it looked into."""

    rows: list[tuple[Any, ...]]
    partitions: int
    files: list[str]


class Engine:
    """Answers queries over the bucket in a folder."""

    def __init__(self, root: Path, keys: Sequence[str], tables: Mapping[str, ProjectedTable]):
        self._root = root
        self.keys = keys
        self._tables = tables

    def query(self, sql: str) -> Answer:
        """Answer one SELECT over one table of the database."""
        statement = _statement(sql)
        table = self._tables[_table_name(statement)]
        conditions = list(_conditions(statement.get("where_clause"), table.keys))
        partitions = list(table.partitions(conditions))
        found = [(partition, listed(self.keys, partition)) for partition in partitions]
        with duckdb.connect() as database:
            database.execute("SET TimeZone = 'UTC'")
            database.execute(_MACROS)
            database.execute(f"CREATE SCHEMA {DATABASE}")
            database.execute(f"CREATE TABLE places ({_columns(table.keys, 'file')})")
            rows = [
                [str(self._root / file), *partition.values]
                for partition, files in found
                for file in files
            ]
            if rows:
                places = f"INSERT INTO places VALUES ({', '.join('?' * len(rows[0]))})"
                database.executemany(places, rows)
            database.execute(
                f"CREATE VIEW {DATABASE}.{table.name} AS"
                f" {relation(table, [row[0] for row in rows], database)}"
            )
            answer = database.execute(sql).fetchall()
        return Answer(answer, len(partitions), [file for _, files in found for file in files])


def relation(
    table: ProjectedTable, files: Sequence[str], database: duckdb.DuckDBPyConnection
) -> str:
    """SQL of the files with the declared columns by name and type; null is what a file lacks.

    The table `places` has the files' partitions.
    """
    kinds = {name: glue_type(text).duckdb() for name, text in table.columns.items()}
    if not files:
        nulls = [f'NULL::{kind} AS "{name}"' for name, kind in kinds.items()]
        return f"SELECT {', '.join([*nulls, *_quoted(table.keys)])} FROM places"
    source = (
        f"read_parquet([{', '.join(map(literal, files))}], union_by_name = true,"
        " hive_partitioning = false, filename = true)"
    )
    there = {
        str(name).lower()
        for name, *_ in database.execute(f"DESCRIBE SELECT * FROM {source}").fetchall()
    }
    selected = [
        f'CAST("{name}" AS {kind}) AS "{name}"' if name in there else f'NULL::{kind} AS "{name}"'
        for name, kind in kinds.items()
    ]
    columns = ", ".join([*selected, *_quoted(table.keys)])
    return f"SELECT {columns} FROM {source} JOIN places ON filename = file"


def _quoted(names: Sequence[str]) -> list[str]:
    return [f'"{name}"' for name in names]


def _columns(keys: Sequence[str], *before: str) -> str:
    return ", ".join(f'"{name}" VARCHAR' for name in (*before, *keys))


def _statement(sql: str) -> Node:
    """DuckDB's syntax tree of a SELECT."""
    (text,) = duckdb.execute("SELECT json_serialize_sql(?)", [sql.rstrip().rstrip(";")]).fetchall()
    tree = json.loads(text[0])
    assert not tree["error"], tree
    (statement,) = tree["statements"]
    node: Node = statement["node"]
    assert node["type"] == "SELECT_NODE"
    return node


def _table_name(statement: Node) -> str:
    table = statement["from_table"]
    assert (table["type"], table["schema_name"]) == ("BASE_TABLE", DATABASE)
    name: str = table["table_name"]
    return name


def _conditions(where: Node | None, keys: Sequence[str]) -> Iterator[Condition]:
    """The conditions of a WHERE that all hold, as far as they are of partition columns."""
    if where is None:
        return
    if where["type"] == "CONJUNCTION_AND":
        for child in where["children"]:
            yield from _conditions(child, keys)
    elif found := _condition(where):
        if found.column in keys:
            yield found
    else:
        text = json.dumps(where)
        assert not any(f'["{key}"]' in text for key in keys), f"not interpreted: {text}"


def _condition(node: Node) -> Condition | None:
    """The condition that a comparison of a column with texts is, if it is one."""
    kind = node["type"]
    if kind == "COMPARE_EQUAL" or kind in _COMPARISONS:
        column, value = _column(node["left"]), _text(node["right"])
        if column and value is not None:
            if kind == "COMPARE_EQUAL":
                return equal(column, value)
            compare = _COMPARISONS[kind]
            return Condition(column, lambda other: bool(compare(other, value)))
    if kind == "COMPARE_IN":
        column = _column(node["children"][0])
        values = [_text(child) for child in node["children"][1:]]
        if column and None not in values:
            return Condition(column, values.__contains__, values[0] if len(values) == 1 else None)
    if kind == "COMPARE_BETWEEN":
        column = _column(node["input"])
        lower, upper = _text(node["lower"]), _text(node["upper"])
        if column and lower is not None and upper is not None:
            return Condition(column, lambda other: lower <= other <= upper)
    return None


def _column(node: Node) -> str:
    names = node.get("column_names", ())
    return str(names[0]) if len(names) == 1 else ""


def _text(node: Node) -> str | None:
    value = node.get("literal")
    return str(value["text"]) if value and value["kind"] == "STRING" else None
