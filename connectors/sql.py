"""SQL text of values, and of names and tables in Flink's dialect, with quoting in one place."""

from __future__ import annotations

from collections.abc import Mapping


def literal(value: str) -> str:
    """Quote a string as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Quote a column or table name; reserved words such as `partition` need it."""
    return "`" + name.replace("`", "``") + "`"


def create_table(
    name: str, columns: Mapping[str, str], options: Mapping[str, str], *, partitioned_by: str = ""
) -> str:
    """Return a CREATE TEMPORARY TABLE statement; options with an empty value are left out."""
    fields = ",\n  ".join(f"{identifier(column)} {kind}" for column, kind in columns.items())
    settings = ",\n  ".join(
        f"{literal(key)} = {literal(value)}" for key, value in options.items() if value
    )
    return (
        f"CREATE TEMPORARY TABLE {identifier(name)} (\n  {fields}\n) "
        f"{partitioned_by}WITH (\n  {settings}\n)"
    )


def discard_table(name: str) -> str:
    """Return a CREATE statement of a table that drops all rows."""
    return create_table(name, {"document_id": "STRING"}, {"connector": "blackhole"})
