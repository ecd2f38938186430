"""Read the archive, the dead letters and replicas, wherever they are.

Each reader fills a table. Called again, it takes of what is new since the rows for which `where`
is true.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import islice
from typing import Final

import pyarrow as pa

from connectors.kinesis import reader as kinesis_stream
from connectors.sql import literal
from pipeline.config.model import Archive, DeadLetters, Lake, Replica
from pipeline.ops.readers.arrival_hours import hour_of_path
from pipeline.ops.reconcile.coverage import Interval, Shard
from pipeline.ops.reconcile.envelopes import Envelopes
from pipeline.ops.reconcile.files import Files, Local
from pipeline.ops.reconcile.position_index import ordered, placed
from pipeline.ops.reconcile.records import Records
from pipeline.ops.reconcile.source import REDRIVE_STEP
from pipeline.ops.reconcile.workspace import Workspace

Progress = Callable[[int], None]
Found = tuple[str, Collection[str], list[Local]]
"""A relation with raw, arrival_ms, known_digest and is_head, its columns, the files it reads."""

ARCHIVE: Final = """
CREATE TABLE archive (
    part INTEGER, number BIGINT, sequence VARCHAR, digest UBIGINT, folder_hour INTEGER
);
"""
LETTERS: Final = """
CREATE TABLE letters (
    part INTEGER, number BIGINT, sequence VARCHAR, digest UBIGINT, step VARCHAR, replica VARCHAR
);
"""
REPLICA: Final = """
CREATE OR REPLACE TABLE replica (
    part INTEGER, number BIGINT, sequence VARCHAR, digest UBIGINT, content UBIGINT
);
"""
_PAGE_RECORDS: Final = 5_000
_HOURS: Final = pa.schema({"filename": pa.string(), "folder_hour": pa.int32()})
_OF_REPLICA: Final = "^replica ([a-z][a-z0-9_]*): "
"""The replica that refused an event: `replica airport: 1234567 bytes`."""
_LAST: Final = """
SELECT {prefix}stream, {prefix}shard, max({ordered}) FROM {relation}
WHERE {prefix}stream IS NOT NULL AND regexp_full_match({prefix}sequence_number, '[0-9]+')
GROUP BY ALL
"""


class _Sink:
    """Files, a topic or a stream, each part of which is read once."""

    def __init__(self, ws: Workspace, settings: Archive | DeadLetters, prefix: str = "") -> None:
        self._prefix = prefix
        store = ws.systems.store(settings.path) if settings.path else None
        self.files = Files(ws.database, store, settings.path) if store else None
        self._envelopes = Envelopes(ws.systems, ws.database, settings)

    def new(self) -> Iterator[Found]:
        """What was not there before, a page at a time."""
        if self.files is None:
            for relation, columns in self._envelopes.pages(self._prefix):
                yield relation, columns, []
            return
        for group in self.files.groups():
            relation, columns = self.files.relation(group)
            yield (
                f"""(SELECT *, NULL::UBIGINT AS known_digest, false AS is_head,
                epoch_ms(arrival_time) AS arrival_ms FROM {relation})""",
                columns,
                group,
            )


class ArchiveReader:
    """Fills `archive`, whose folder_hour is NULL where the archive has no folders."""

    def __init__(self, ws: Workspace, settings: Archive, records: Records) -> None:
        self._ws = ws
        self._settings = settings
        self._records = records
        self._sink = _Sink(ws, settings, "source.")
        self.exactly_once = not settings.kinesis_stream
        self.has_folders = bool(settings.path)
        ws.database.run(ARCHIVE)

    def read(self, progress: Progress) -> int:
        """Take all records, into `expected` too where the source doesn't hold them: how many."""
        rows = unheld = 0
        for sql, files in self._queries(self._sink):
            self._records.page(self._records.unheld(sql), files, self._sink.files)
            unheld += self._records.add_unheld()
            rows += self._ws.index.put("archive", "digest, folder_hour")
            progress(rows)
        return unheld

    def again(self, where: str) -> None:
        """Take of what is new the rows for which `where` is true."""
        for sql, files in self._queries(self._sink):
            rows = f"SELECT *, false AS is_new FROM ({sql})"
            self._records.page(rows, files, self._sink.files)
            self._ws.index.put("archive", "digest, folder_hour", where)

    def all(self) -> Iterator[str]:
        """Queries for all records there are, as `Records.page` takes them, without is_new."""
        return (sql for sql, _ in self._queries(_Sink(self._ws, self._settings, "source.")))

    def _queries(self, sink: _Sink) -> Iterator[tuple[str, list[Local]]]:
        for relation, columns, group in sink.new():
            step, hour = "encode(redrive_step)", "NULL::INTEGER"
            if group:
                hours = [hour_of_path(one.stored.path) for one in group]
                table = pa.table([[one.path for one in group], hours], schema=_HOURS)
                self._ws.database.present("hours", table)
                relation, hour = f"{relation} JOIN hours USING (filename)", "folder_hour"
                has_headers = {"header_names", "header_values"} <= set(columns)
                at = f"list_position(header_names, {literal(REDRIVE_STEP)})"
                step = f"header_values[{at}]" if has_headers else "NULL::BLOB"
            yield (
                f"""SELECT {placed(columns)}, arrival_ms, raw, {step} AS redrive_step, known_digest,
                is_head, false AS aggregated, {hour} AS folder_hour FROM {relation}""",
                group,
            )


class LettersReader:
    """Fills `letters`, whose `replica` is the name of the replica that refused the event, or ""."""

    def __init__(self, ws: Workspace, settings: DeadLetters) -> None:
        self._ws = ws
        self._sink = _Sink(ws, settings)
        self.exactly_once = bool(settings.path)

    def read(self, progress: Progress, where: str = "true") -> None:
        """Take the dead letters that were not read before, and for which `where` is true."""
        rows = 0
        for relation, columns, group in self._sink.new():
            detail = "detail" if "detail" in columns else "''"
            replica = f"coalesce(regexp_extract({detail}, {literal(_OF_REPLICA)}, 1), '')"
            sql = f"""
                CREATE OR REPLACE TEMP TABLE page AS
                SELECT {placed(columns)}, arrival_ms, coalesce(known_digest, hash(raw)) AS digest,
                    coalesce(step, '') AS step, {replica} AS replica
                FROM {relation}"""
            if self._sink.files:
                self._sink.files.run(sql, group)
            else:
                self._ws.database.run(sql)
            rows += self._ws.index.put("letters", "digest, step, replica", where)
            progress(rows)


class ReplicaReader:
    """Fills `replica`. A stream has no positions, so every row of it stands nowhere."""

    def __init__(self, ws: Workspace, settings: Replica) -> None:
        self._ws = ws
        self._settings = settings
        self._envelopes = Envelopes(ws.systems, ws.database, settings)
        self.has_positions = bool(settings.kafka_topic)
        self.exactly_once = self.has_positions and settings.guarantee == "exactly_once"
        ws.database.run(REPLICA)

    def read(self, progress: Progress, where: str = "true") -> None:
        """Take the events that were not read before; of a stream all of them anew."""
        if not self.has_positions:
            self._read_stream(progress)
            return
        rows = 0
        for relation, columns in self._envelopes.pages():
            self._make_page(
                f"""SELECT {placed(columns)}, arrival_ms, raw,
                TRY_CAST(event_type AS event_type) AS event_type FROM {relation}""",
                "event_type",
            )
            rows += self._ws.index.put("replica", "digest, content", where)
            progress(rows)

    def _read_stream(self, progress: Progress) -> None:
        database, rows = self._ws.database, 0
        database.run(REPLICA)
        client, stream = self._ws.systems.stream(self._settings.kinesis_stream)
        records = kinesis_stream.records(client, stream)
        while page := list(islice(records, _PAGE_RECORDS)):
            raws = pa.array([record.data for record in page], pa.binary())
            database.present("incoming", pa.table({"raw": raws}))
            # Such an event names its type only in the JSON itself.
            self._make_page("FROM incoming", "TRY_CAST(members.type ->> '$' AS event_type)")
            into = "INSERT INTO replica SELECT 0, -1, NULL, digest, content FROM page"
            rows += database.run(into)
            progress(rows)

    def _make_page(self, rows: str, event_type: str) -> None:
        content, values = "NULL::UBIGINT", self._ws.values
        if values:
            content, rows = values.of_json(event_type), values.members(rows)
        self._ws.database.run(
            f"""CREATE OR REPLACE TEMP TABLE page AS
            SELECT *, hash(raw) AS digest, {content} AS content FROM ({rows})"""
        )


def covered_shards(ws: Workspace) -> dict[Shard, Interval]:
    """Each shard up to its last record in the archive, or without one in the lake."""
    last: dict[Shard, int] = {}
    archive, lake = ws.config.archive, ws.config.lake
    prefix = "" if archive else "source_"
    for relation, columns in _archived(ws, archive, lake):
        if {f"{prefix}stream", f"{prefix}shard", f"{prefix}sequence_number"} <= set(columns):
            sequence = ordered(f"{prefix}sequence_number")
            sql = _LAST.format(prefix=prefix, ordered=sequence, relation=relation)
            for stream, shard, number in ws.database.rows(sql):
                last[stream, shard] = max(last.get((stream, shard), 0), int(number))
    return {shard: (0, number) for shard, number in last.items()}


def _archived(
    ws: Workspace, archive: Archive | None, lake: Lake | None
) -> Iterator[tuple[str, Collection[str]]]:
    if archive:
        for relation, columns, _ in _Sink(ws, archive, "source.").new():
            yield relation, columns
    elif lake:
        files = Files(ws.database, ws.systems.lake(lake.path), lake.path)
        for group in files.groups():
            yield files.relation(group)
