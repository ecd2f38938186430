"""The little that turns our values into Flink SQL text, quoted in one place."""

from __future__ import annotations

from collections.abc import Mapping


def literal(value: str) -> str:
    """A text as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """A column or table name, so that `partition` and `year` need no care."""
    return "`" + name.replace("`", "``") + "`"


def create_table(
    name: str, columns: Mapping[str, str], options: Mapping[str, str], *, partitioned_by: str = ""
) -> str:
    """A CREATE TEMPORARY TABLE statement; options with an empty value are left out."""
    fields = ",\n  ".join(f"{identifier(column)} {kind}" for column, kind in columns.items())
    settings = ",\n  ".join(
        f"{literal(key)} = {literal(value)}" for key, value in options.items() if value
    )
    return (
        f"CREATE TEMPORARY TABLE {identifier(name)} (\n  {fields}\n) "
        f"{partitioned_by}WITH (\n  {settings}\n)"
    )


def discard_table(name: str) -> str:
    """A table that forgets what is written to it."""
    return create_table(name, {"document_id": "STRING"}, {"connector": "blackhole"})
