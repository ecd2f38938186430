"""The statements of one job, gathered before any of them runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from connectors.errors import UserError
from connectors.flink import table_environment as flink
from connectors.kinesis import sink as kinesis_sink
from connectors.kinesis.table import Stream
from pipeline.config.model import Config


@dataclass(frozen=True, slots=True)
class Flow:
    """Tables, views and the statements that fill the sinks; nothing runs until it is executed.

    `sinks` are the sinks' names in the order of their statements; `streams` those of them whose
    table is a placeholder for a Kinesis stream.
    """

    tables: Any
    statements: Any
    sinks: list[str] = field(default_factory=list)
    streams: dict[str, Stream] = field(default_factory=dict)

    @classmethod
    def of(cls, tables: Any) -> Flow:
        """A flow of nothing yet."""
        return cls(tables, tables.create_statement_set())

    def attach(self, stream_env: Any, config: Config) -> list[str]:
        """Turn the statements into the stream's operators and name them; all the names."""
        made = {
            name: kinesis_sink.sink(stream, config.kinesis) for name, stream in self.streams.items()
        }
        return flink.name_steps(stream_env, self.statements, self.sinks, made)

    def table(self, create: str) -> None:
        """Make a table."""
        self.tables.execute_sql(create)

    def function(self, name: str, function: Any) -> None:
        """Give a Python function a name."""
        self.tables.create_temporary_function(name, function)

    def view(self, name: str, select: str) -> None:
        """Give a SELECT a name."""
        self.tables.create_temporary_view(name, self.tables.sql_query(select))

    def insert(self, name: str, create: str, select: str, stream: Stream | None = None) -> None:
        """Make a sink's table and fill it."""
        self.table(create)
        self.statements.add_insert_sql(f"INSERT INTO `{name}` {select}")
        self.sinks.append(name)
        if stream:
            self.streams[name] = stream

    def check(self, select: str, key: str, value: str) -> None:
        """See that a query is one; `key` and `value` are what the user wrote of it.

        Raises:
            UserError: it isn't SQL, isn't a condition, or names what the rows do not have.
        """
        try:
            self.tables.sql_query(select)
        except flink.SQL_ERRORS as error:
            raise UserError(f"{key} is {value!r}: {flink.sql_problem(error)}") from error
