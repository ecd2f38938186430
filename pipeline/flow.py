"""The statements of one job, collected before any of them runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

from connectors import sql
from connectors.errors import UserError
from connectors.flink import files
from connectors.flink import table_environment as flink
from connectors.flink.filesystem import parquet_table
from connectors.kafka.headers import create_functions
from connectors.kinesis import sink as kinesis_sink
from connectors.kinesis.table import Stream
from pipeline.collect import buckets
from pipeline.collect.buckets import Target
from pipeline.config.model import Config
from pipeline.decode.records import names, strings
from pipeline.operators.collect import OUT, CollectFunction


class Sink(NamedTuple):
    """A sink's CREATE TABLE, the columns to select into it, and a placeholder's Kinesis stream."""

    create: str
    select: str
    stream: Stream | None = None

    @classmethod
    def files(
        cls, name: str, columns: Mapping[str, str], path: str, partition: Mapping[str, str]
    ) -> Sink:
        """Return a table of Parquet files; `partition` gives each partition column's expression."""
        keys = tuple(partition)
        create = parquet_table(name, {**columns, **strings(keys)}, path, keys)
        return cls(create, ", ".join([names(columns), *partition.values()]))


@dataclass(frozen=True, slots=True)
class Flow:
    """Tables, views and the statements that fill the sinks; nothing runs until it is executed.

    `targets` are the steps that write files. `sinks` are the sinks' names in the order of their
    statements, `streams` those of them whose table is a placeholder for a Kinesis stream, and
    `cells` the selects of the batches for files. `shared` are statements for the planner alone.
    """

    tables: Any
    statements: Any
    targets: Mapping[str, Target]
    sinks: list[str] = field(default_factory=list)
    streams: dict[str, Stream] = field(default_factory=dict)
    cells: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, stream_env: Any, tables: Any, config: Config) -> Flow:
        """Return an empty flow, with the functions of headers."""
        for create in create_functions():
            tables.execute_sql(create)
        key_group = files.key_group(config.job.max_parallelism)
        targets = buckets.targets(config, stream_env.get_parallelism(), key_group)
        return cls(tables, tables.create_statement_set(), targets)

    def keys(self, step: str) -> tuple[str, ...]:
        """Return the keys that collect a step's files; empty if it writes none."""
        return self.targets[step].keys if step in self.targets else ()

    def attach(self, stream_env: Any, config: Config) -> list[str]:
        """Compile the statements into the stream and name the operators; return all names."""
        largest = max((replica.max_bytes for replica in config.replicate.values()), default=0)
        placeholders: dict[str, flink.Replace] = {
            name: partial(
                kinesis_sink.replace_placeholder,
                name=name,
                sink=kinesis_sink.sink(stream, config.kinesis, largest),
            )
            for name, stream in self.streams.items()
        }
        placeholders |= dict.fromkeys(self.shared, flink.remove)
        placeholders[files.COLLECT] = partial(
            files.replace_placeholder,
            function=CollectFunction(self.targets),
            out_type=OUT,
            steps=[
                files.FileStep(
                    step,
                    getattr(config, step).path,
                    success_file=bool(step == "lake" and config.lake and config.lake.success_file),
                )
                for step in self.targets
            ],
        )
        return flink.name_steps(stream_env, self.statements, self.sinks, placeholders)

    def table(self, create: str) -> None:
        """Create a table."""
        self.tables.execute_sql(create)

    def function(self, name: str, function: Any) -> None:
        """Register a Python function."""
        self.tables.create_temporary_function(name, function)

    def view(self, name: str, select: str) -> None:
        """Create a view."""
        self.tables.create_temporary_view(name, self.tables.sql_query(select))

    def union(self, name: str, selects: Sequence[str]) -> None:
        """Create a view of a UNION ALL, planned once, with all that reads it behind it.

        Else the planner would move a reader, such as decode, into each part of the UNION ALL. What
        two statements read is planned by itself: the second one is for that alone, and is removed
        before the job runs. findings/flink_union_runs_python_function_per_branch.sh shows it.
        """
        self.view(name, " UNION ALL ".join(selects))
        if len(selects) > 1:
            shared = f"{name}_shared"
            self.insert(shared, Sink(sql.discard_table(shared), "CAST(NULL AS STRING)"), name)
            self.shared.append(shared)

    def insert(self, name: str, sink: Sink, view: str) -> None:
        """Create a sink's table and fill it with the sink's columns of `view`."""
        self.table(sink.create)
        self.statements.add_insert_sql(f"INSERT INTO `{name}` SELECT {sink.select} FROM {view}")
        self.sinks.append(name)
        if sink.stream:
            self.streams[name] = sink.stream

    def collect(self, select: str) -> None:
        """Add a query of batches, in the column `files`, to those that are collected into files."""
        self.cells.append(select)

    def insert_collected(self) -> None:
        """Give all batches for files to the collector, if there are any."""
        if self.cells:
            sink = Sink(files.placeholder_table(), "files")
            self.insert(files.COLLECT, sink, f"({' UNION ALL '.join(self.cells)})")

    def check(self, select: str, key: str, value: str) -> None:
        """Check that a query which contains a user's condition is valid.

        Raises:
            UserError: the configuration's `key` is not a condition, or names an unknown column.
        """
        try:
            self.tables.sql_query(select)
        except flink.JAVA_ERRORS as error:
            raise UserError(f"{key} is {value!r}: {flink.sql_problem(error)}") from error
