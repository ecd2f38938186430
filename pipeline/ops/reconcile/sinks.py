"""Read the archive, the lake and the dead letters, wherever they are.

Each reader fills a table. Called again, it takes the rows that are new since, and for which `where`
is true.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from typing import Any, Final

import pyarrow as pa

from connectors.kafka import reader as kafka_topic
from connectors.kafka.headers import OWN_HEADER
from connectors.kinesis import reader as kinesis_stream
from connectors.sql import literal
from pipeline.config.model import Archive, DeadLetters, Lake, Target
from pipeline.decode import redriven
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import EventType
from pipeline.ops.lake.content import home
from pipeline.ops.readers import carried
from pipeline.ops.readers.carried import Carried
from pipeline.ops.reconcile.database import name, paged
from pipeline.ops.reconcile.files import Files, Group
from pipeline.ops.reconcile.identity_sql import document_id, document_version
from pipeline.ops.reconcile.misplaced import bucket_functions, folder_columns, is_placed
from pipeline.ops.reconcile.options import Interval, Part
from pipeline.ops.reconcile.position_index import is_held, ordered, placed
from pipeline.ops.reconcile.records import HOUR_OF_PATH, Records
from pipeline.ops.reconcile.workspace import Progress, Workspace

_PAGE_RECORDS: Final = 5_000
_ABOUT: Final = {
    **{name: name for name in ("topic", "partition", "offset", "stream", "shard")},
    **{name: name for name in ("sequence_number", "arrival_time", "step", "event_type")},
    **{name: name for name in ("reason", "detail")},
}
_INCOMING: Final = """(SELECT *,
    epoch_ms(TRY_CAST(arrival_time AS TIMESTAMPTZ)) AS arrival_ms FROM incoming)"""
_OF_FILES: Final = """(SELECT *, NULL::UBIGINT AS known_digest, false AS is_head,
    epoch_ms(arrival_time) AS arrival_ms FROM {relation})"""
_VERDICT: Final = "redrive_verdict"


def _header(name: str) -> str:
    """Return SQL for an archived header in hex; of several values the last, as in the job."""
    at = f"list_position(list_reverse(header_names), {literal(name)})"
    return f"hex(list_reverse(header_values)[{at}])"


def _header_text(name: str) -> str:
    """Return SQL for an archived header as text; of several values the last, as in the job."""
    at = f"list_position(list_reverse(header_names), {literal(name)})"
    return f"TRY(decode(list_reverse(header_values)[{at}]))"


_REDRIVE: Final = f"""CASE WHEN list_contains(header_names, {literal(redriven.STEP)}) THEN
    CASE WHEN {_header(redriven.STEP)} IS NOT NULL THEN {_VERDICT}(
        {", ".join(f"coalesce({_header(name)}, '')" for name in redriven.HEADERS)},
        coalesce(sha256(raw), sha256(''::BLOB))) END END"""
"""Nested, so that rows without the header cost nothing more."""
_OF_REPLICA: Final = "^replica ([a-z][a-z0-9_]*): "
"""The replica that refused an event: `replica airport: 1234567 bytes`."""
_LAST: Final = """
SELECT {prefix}stream, {prefix}shard, max({ordered}) FROM {relation}
WHERE {prefix}stream IS NOT NULL AND regexp_full_match({prefix}sequence_number, '[0-9]+')
GROUP BY ALL
"""


_LAKE_COLUMNS: Final = "event_type, misplaced, content, unknown, id, version"
_LAKE_PAGE: Final = """
CREATE OR REPLACE TEMP TABLE page AS
SELECT {position}, {arrival} AS arrival_ms, {event_type} AS event_type, {misplaced} AS misplaced,
    {content} AS content, {unknown} AS unknown, {id} AS id, {version} AS version
FROM {files}
"""


class Sink:
    """Files, a topic or a stream; of files and topics, `pages` yields each part once.

    `prefix` precedes the names of our headers.
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
        """Yield what is new: a relation and its columns, a page at a time, valid until the next.

        Besides texts there are raw, arrival_ms, is_head (`raw` is only the record's head) and then
        known_digest, that of the whole; not of files, redrive, see `Source`. `about` is for files,
        see `Files.relation`.
        """
        if self.files:
            for group in self.files.groups():
                relation, columns = self.files.relation(group, about)
                yield _OF_FILES.format(relation=relation), columns
            return
        for page in self._of_topic() if self._settings.kafka_topic else self._of_stream():
            arrays: dict[str, Any] = {
                column: pa.array([record.about.get(key) for record in page], pa.string())
                for column, key in _ABOUT.items()
            }
            arrays["raw"] = pa.array([record.raw for record in page], pa.binary())
            judged = [self._judged(record) for record in page]
            arrays["known_digest"] = pa.array([digest for digest, _ in judged], pa.uint64())
            arrays["redrive"] = pa.array([redrive for _, redrive in judged], pa.string())
            header = f"{OWN_HEADER}{self._systems.config.source.event_type_header}"
            arrays["told"] = pa.array([record.about.get(header) for record in page], pa.string())
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

    def _judged(self, record: Carried) -> tuple[int | None, str | None]:
        """Return a large record's digest, 0 if its pointer is broken, and any record's redrive."""
        if not record.is_large:
            return None, self._redrive(record)
        whole = carried.whole(record, self._systems.store)
        if whole is None:
            return 0, None
        return self._database.count("SELECT hash(?::BLOB)", [whole.raw]), self._redrive(whole)

    def _redrive(self, record: Carried) -> str | None:
        values = (record.about.get(f"{OWN_HEADER}{name}") for name in redriven.HEADERS)
        return redriven.judge(self._systems.config.redrive_key, values, record.raw)


class ArchiveReader:
    """Fills `archive`; `folder_hour` is NULL where the archive has no folders."""

    def __init__(self, ws: Workspace, settings: Archive, records: Records) -> None:
        self._ws = ws
        self._index = ws.index
        self._settings = settings
        self._records = records
        self._sink = Sink(ws, settings, "source.")
        ws.database.function(_VERDICT, _verdict(ws.config.redrive_key))
        self.exactly_once = not settings.kinesis_stream
        self.has_folders = bool(settings.path)

    def read(self, progress: Progress, where: str = "") -> int:
        """Take the records that were not read before and for which `where` is true.

        Without `where`, also put those that the source lacks into `expected`; return how many.
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
        """Yield queries for all records, as `Records.make_page` takes them."""
        return self._queries(Sink(self._ws, self._settings, "source."))

    def _queries(self, sink: Sink) -> Iterator[str]:
        for relation, columns in sink.pages(HOUR_OF_PATH):
            redrive, told, hour = "redrive", "told", "NULL::INTEGER"
            if sink.files:
                has_headers = {"header_names", "header_values"} <= set(columns)
                redrive = _REDRIVE if has_headers else "NULL::VARCHAR"
                header = self._ws.config.source.event_type_header
                told = _header_text(header) if header and has_headers else "NULL::VARCHAR"
                hour = "folder_hour"
            yield f"""SELECT r.*, NOT {is_held()} AS is_new FROM (
                SELECT {placed(columns)}, arrival_ms, raw, {redrive} AS redrive,
                    {told} AS told, known_digest,
                    is_head, false AS aggregated, {hour} AS folder_hour FROM {relation}
                ) AS r LEFT JOIN held AS h USING (source, partition, shard)"""


def _verdict(key: str) -> Callable[..., str]:
    """Return the function that `_REDRIVE` calls, with the headers' values in hex."""

    def verdict(step: str, position: str, replica: str, signature: str, sha256: str) -> str:
        values = map(bytes.fromhex, (step, position, replica, signature))
        mark = redriven.packed(value.decode(errors="replace") for value in values)
        return redriven.verdict(key, mark or "", sha256)

    return verdict


class LettersReader:
    """Fills `letters`; `replica` is the name of the replica that refused the event, or ""."""

    def __init__(self, ws: Workspace, settings: DeadLetters) -> None:
        self._index = ws.index
        self._sink = Sink(ws, settings)
        self.exactly_once = bool(settings.path)

    def read(self, progress: Progress, where: str = "true") -> None:
        """Take the dead letters that were not read before and for which `where` is true."""
        rows = 0
        for relation, columns in self._sink.pages():
            detail, reason = (c if c in columns else "''" for c in ("detail", "reason"))
            self._sink.run(
                f"""CREATE OR REPLACE TEMP TABLE page AS
                SELECT {placed(columns)}, arrival_ms, coalesce(known_digest, hash(raw)) AS digest,
                    coalesce(step, '') AS step, coalesce({reason}, '') AS reason,
                    coalesce(regexp_extract({detail}, {literal(_OF_REPLICA)}, 1), '') AS replica
                FROM {relation}"""
            )
            rows += self._index.put("letters", "digest, step, replica, reason", where)
            progress(rows)


class LakeReader:
    """Fills the table `lake`; `event_type` is NULL for rows in an unknown type's folder.

    `content` and `unknown` (of unknown members) are checksums, NULL and 0 without values. `id` and
    `version` (epoch milliseconds) are NULL unless there is an index.
    """

    def __init__(self, ws: Workspace, settings: Lake) -> None:
        self._ws = ws
        self._with_ids = ws.config.index is not None
        self.files = Files(ws.database, ws.systems.lake(settings.path), settings.path)
        buckets = {each: of for kind in ws.types for each, of in bucket_functions(kind).items()}
        for each, function in buckets.items():
            ws.database.function(each, function)

    def read(self, progress: Progress, where: str = "true") -> None:
        """Take the rows within the bounds, of all files that were not read before."""
        rows = 0
        for group in self.files.groups(_type_of):
            event_type = self._ws.types.get(_type_of(next(iter(group.values()))))
            for files, columns in self._alike(group, event_type):
                self.files.run(self._sql(files, columns, event_type))
                rows += self._ws.index.put("lake", _LAKE_COLUMNS, where)
                progress(rows)

    def _alike(
        self, group: Group, event_type: EventType | None
    ) -> Iterator[tuple[str, dict[str, str]]]:
        """Yield the group, or its files singly if a column has a type that its field can't have.

        Read together, such a column would be text in all files.
        """
        folders = folder_columns(event_type) if event_type else ""
        files, columns = self.files.relation(group, folders)
        if event_type and not self._ws.values.agrees(event_type, columns):
            yield from (self.files.relation({file: path}, folders) for file, path in group.items())
        else:
            yield files, columns

    def _sql(self, files: str, columns: dict[str, str], event_type: EventType | None) -> str:
        def column(field: str, kind: str) -> str:
            return f"TRY_CAST({name(field)} AS {kind})" if field in columns else f"NULL::{kind}"

        sql: dict[str, str] = {
            "files": files,
            "position": placed(columns, "source_"),
            "arrival": f"epoch_ms({column('arrival_time', 'TIMESTAMP')})",
            "event_type": "NULL",
            "misplaced": "true",
            "content": "NULL::UBIGINT",
            "unknown": "0",
            "id": "NULL",
            "version": "NULL",
        }
        if event_type is None:
            return _LAKE_PAGE.format(**sql)
        rule = TypeRule.of(self._ws.config.source)
        has_tag = rule.tag and rule.tag in columns
        told = literal(rule.text(event_type.name))
        of_type = f"{name(rule.tag)} = {told}" if has_tag else "true"
        sql["event_type"] = literal(event_type.name)
        sql["misplaced"] = f"NOT coalesce({is_placed(event_type, column)} AND {of_type}, false)"
        sql["content"] = self._ws.values.of_columns(event_type, columns)
        sql["unknown"] = self._ws.values.unknown_of_columns(columns)
        if self._with_ids:
            sql["id"] = document_id(event_type, column)
            sql["version"] = document_version(event_type, column)
        return _LAKE_PAGE.format(**sql)


def covered_shards(ws: Workspace) -> dict[Part, Interval]:
    """Cover each shard up to its last record in the archive, or without one in the lake."""
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


def _type_of(path: str) -> str:
    return home(path).split("/", 1)[0]
