"""Read the archive and the dead letters, wherever they are.

Each reader fills a table. Called again, it takes of what is new since the rows for which `where`
is true.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from typing import Any, Final

import pyarrow as pa

from connectors.kafka import reader as kafka_topic
from connectors.kinesis import reader as kinesis_stream
from connectors.sql import literal
from pipeline.config.model import Archive, DeadLetters, Target
from pipeline.ops.readers import carried
from pipeline.ops.readers.carried import OWN_HEADER, Carried
from pipeline.ops.reconcile.database import paged
from pipeline.ops.reconcile.files import Files
from pipeline.ops.reconcile.options import Interval, Part
from pipeline.ops.reconcile.position_index import is_held, ordered, placed
from pipeline.ops.reconcile.records import HOUR_OF_PATH, Records
from pipeline.ops.reconcile.source import REDRIVE_STEP
from pipeline.ops.reconcile.workspace import Progress, Workspace

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
_PAGE_RECORDS: Final = 5_000
_ABOUT: Final = {
    **{name: name for name in ("topic", "partition", "offset", "stream", "shard")},
    **{name: name for name in ("sequence_number", "arrival_time", "step", "detail", "event_type")},
    "redrive_step": f"{OWN_HEADER}{REDRIVE_STEP}",
}
_INCOMING: Final = """(SELECT *,
    epoch_ms(TRY_CAST(arrival_time AS TIMESTAMPTZ)) AS arrival_ms FROM incoming)"""
_OF_FILES: Final = """(SELECT *, NULL::UBIGINT AS known_digest, false AS is_head,
    epoch_ms(arrival_time) AS arrival_ms FROM {relation})"""
_OF_REPLICA: Final = "^replica ([a-z][a-z0-9_]*): "
"""The replica that refused an event: `replica airport: 1234567 bytes`."""
_LAST: Final = """
SELECT {prefix}stream, {prefix}shard, max({ordered}) FROM {relation}
WHERE {prefix}stream IS NOT NULL AND regexp_full_match({prefix}sequence_number, '[0-9]+')
GROUP BY ALL
"""


class Sink:
    """Files, a topic or a stream; `pages` gives of files and topics each part once.

    `prefix` stands before the names of our headers.
    """

    def __init__(self, ws: Workspace, settings: Target, prefix: str = "") -> None:
        self._systems = ws.systems
        self._database = ws.database
        self._settings = settings
        self._prefix = prefix
        self._read: dict[int, int] = {}
        path = settings.path if isinstance(settings, Archive | DeadLetters) else ""
        self.files = Files(ws.database, ws.systems.store(path), path) if path else None

    def pages(self, about: str = "") -> Iterator[tuple[str, Collection[str]]]:
        """What is new: a relation and its columns, a page at a time, the last no longer readable.

        Besides texts there are raw, arrival_ms, known_digest (of a record of which `raw` is only
        the head, as `is_head` says). `about` is for files, see `Files.relation`.
        """
        if self.files:
            for group in self.files.groups():
                relation, columns = self.files.relation(group, about)
                yield _OF_FILES.format(relation=relation), columns
            return
        for page in self._of_topic() if self._settings.kafka_topic else self._of_stream():
            arrays: dict[str, Any] = {
                column: pa.array([record.about.get(name) for record in page], pa.string())
                for column, name in _ABOUT.items()
            }
            arrays["raw"] = pa.array([record.raw for record in page], pa.binary())
            arrays["known_digest"] = pa.array(map(self._digest, page), pa.uint64())
            arrays["is_head"] = pa.array([record.is_large for record in page])
            self._database.present("incoming", pa.table(arrays))
            yield _INCOMING, arrays

    def run(self, sql: str) -> None:
        """Run a statement that reads a page."""
        (self.files or self._database).run(sql)

    def _of_topic(self) -> Iterator[list[Carried]]:
        topic = self._settings.kafka_topic
        cluster = self._systems.config.cluster(self._settings.kafka_cluster)
        ends = kafka_topic.ends(cluster, topic)
        spans = {p: (max(low, self._read.get(p, 0)), end) for p, (low, end) in ends.items()}
        for messages in kafka_topic.pages(cluster, topic, spans):
            yield [carried.of_message(message, self._prefix) for message in messages]
        self._read = {partition: end for partition, (_, end) in spans.items()}

    def _of_stream(self) -> Iterator[list[Carried]]:
        records = kinesis_stream.records(*self._systems.stream(self._settings.kinesis_stream))
        return paged(map(carried.of_envelope, records), _PAGE_RECORDS)

    def _digest(self, record: Carried) -> int | None:
        """The digest of a large record, at which its pointer leads; 0, if it leads astray."""
        if not record.is_large:
            return None
        whole = carried.whole(record, self._systems.store)
        return 0 if whole is None else self._database.count("SELECT hash(?::BLOB)", [whole])


class ArchiveReader:
    """Fills `archive`, whose folder_hour is NULL where the archive has no folders."""

    def __init__(self, ws: Workspace, settings: Archive, records: Records) -> None:
        self._ws = ws
        self._index = ws.index
        self._settings = settings
        self._records = records
        self._sink = Sink(ws, settings, "source.")
        self.exactly_once = not settings.kinesis_stream
        self.has_folders = bool(settings.path)
        ws.database.run(ARCHIVE)

    def read(self, progress: Progress, where: str = "") -> int:
        """Take the records that were not read before, and for which `where` is true.

        Without `where`, those that the source doesn't hold go into `expected` too; return how many.
        """
        rows = unheld = 0
        for sql in self._queries(self._sink):
            self._records.make_page(sql, self._sink.run)
            if not where:
                unheld += self._records.add_page("is_new")
            rows += self._index.put("archive", "digest, folder_hour", where or "true")
            progress(rows)
        return unheld

    def all(self) -> Iterator[str]:
        """Queries for all records there are, as `Records.make_page` takes them."""
        return self._queries(Sink(self._ws, self._settings, "source."))

    def _queries(self, sink: Sink) -> Iterator[str]:
        for relation, columns in sink.pages(HOUR_OF_PATH):
            step, hour = "encode(redrive_step)", "NULL::INTEGER"
            if sink.files:
                has_headers = {"header_names", "header_values"} <= set(columns)
                at = f"list_position(header_names, {literal(REDRIVE_STEP)})"
                step = f"header_values[{at}]" if has_headers else "NULL::BLOB"
                hour = "folder_hour"
            yield f"""SELECT r.*, NOT {is_held()} AS is_new FROM (
                SELECT {placed(columns)}, arrival_ms, raw, {step} AS redrive_step, known_digest,
                    is_head, false AS aggregated, {hour} AS folder_hour FROM {relation}
                ) AS r LEFT JOIN held AS h USING (source, partition, shard)"""


class LettersReader:
    """Fills `letters`, whose `replica` is the name of the replica that refused the event, or ""."""

    def __init__(self, ws: Workspace, settings: DeadLetters) -> None:
        self._index = ws.index
        self._sink = Sink(ws, settings)
        self.exactly_once = bool(settings.path)

    def read(self, progress: Progress, where: str = "true") -> None:
        """Take the dead letters that were not read before, and for which `where` is true."""
        rows = 0
        for relation, columns in self._sink.pages():
            detail = "detail" if "detail" in columns else "''"
            self._sink.run(
                f"""CREATE OR REPLACE TEMP TABLE page AS
                SELECT {placed(columns)}, arrival_ms, coalesce(known_digest, hash(raw)) AS digest,
                    coalesce(step, '') AS step,
                    coalesce(regexp_extract({detail}, {literal(_OF_REPLICA)}, 1), '') AS replica
                FROM {relation}"""
            )
            rows += self._index.put("letters", "digest, step, replica", where)
            progress(rows)


def covered_shards(ws: Workspace) -> dict[Part, Interval]:
    """Each shard up to its last record in the archive, or without one in the lake."""
    last: dict[Part, int] = {}
    prefix = "" if ws.config.archive else "source_"
    for relation, columns in _archived(ws):
        if {f"{prefix}stream", f"{prefix}shard", f"{prefix}sequence_number"} <= set(columns):
            sequence = ordered(f"{prefix}sequence_number")
            sql = _LAST.format(prefix=prefix, ordered=sequence, relation=relation)
            for stream, shard, number in ws.database.rows(sql):
                part = (stream, -1, shard)
                last[part] = max(last.get(part, 0), int(number))
    return {part: (0, number) for part, number in last.items()}


def _archived(ws: Workspace) -> Iterator[tuple[str, Collection[str]]]:
    if ws.config.archive:
        return Sink(ws, ws.config.archive, "source.").pages()
    if not ws.config.lake:
        return iter(())
    path = ws.config.lake.path
    files = Files(ws.database, ws.systems.lake(path), path)
    return map(files.relation, files.groups())
