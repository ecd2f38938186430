"""Judge index and replicas by the lake, whose rows are judged by the source first."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Final

import pyarrow as pa

from connectors.kinesis import reader as kinesis_stream
from connectors.opensearch.options import index_name
from connectors.sql import literal
from pipeline.config.model import Replica
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import EventType
from pipeline.ops.reconcile.database import paged
from pipeline.ops.reconcile.index import IndexReader
from pipeline.ops.reconcile.position_index import placed
from pipeline.ops.reconcile.record_text import OF_BYTES
from pipeline.ops.reconcile.report import Row
from pipeline.ops.reconcile.sinks import Sink
from pipeline.ops.reconcile.steps import INDEX, REPLICATE, named
from pipeline.ops.reconcile.type_sql import told_of, type_name
from pipeline.ops.reconcile.workspace import Progress, Workspace

_NEW_REPLICA: Final = "CREATE OR REPLACE TABLE replica AS FROM replica LIMIT 0"
_PAGE_RECORDS: Final = 5_000
_DUE_DOCUMENTS: Final = """
CREATE OR REPLACE TABLE waiting AS SELECT DISTINCT part, number FROM letters WHERE step = 'index';
CREATE OR REPLACE VIEW rows_of_type AS
    SELECT * FROM lake WHERE event_type = {event_type} AND id IS NOT NULL;
CREATE OR REPLACE TABLE ids AS SELECT DISTINCT id FROM rows_of_type;
CREATE OR REPLACE TABLE newest AS
    SELECT id, max(version) AS version FROM rows_of_type ANTI JOIN waiting USING (part, number)
    GROUP BY id;
"""
_DOCUMENTS: Final = """
CREATE OR REPLACE TABLE document_rows AS
SELECT d.id, coalesce(d.version < n.version, false) AS stale,
    coalesce(known, false) AS known, coalesce(same, false) AS same
FROM documents AS d LEFT JOIN newest AS n ON n.id = d.id LEFT JOIN (
    SELECT d.id, true AS known, bool_or(r.content IS NOT DISTINCT FROM d.content) AS same
    FROM documents AS d JOIN rows_of_type AS r ON r.id = d.id AND r.version = d.version
    GROUP BY d.id
) AS versions ON versions.id = d.id
"""
_BEHIND: Final = """
CREATE OR REPLACE TABLE behind AS SELECT id FROM newest AS n
WHERE NOT EXISTS (FROM documents AS d WHERE d.id = n.id AND d.version >= n.version)
"""
_DOUBLED: Final = "(SELECT id FROM documents QUALIFY row_number() OVER (PARTITION BY id) > 1)"
_ABSENT: Final = """
(SELECT id, version FROM rows_of_type SEMI JOIN waiting USING (part, number)) AS r
WHERE NOT EXISTS (FROM documents AS d WHERE d.id = r.id AND d.version >= r.version)
"""
_DUE_EVENTS: Final = """
CREATE OR REPLACE TABLE waiting AS SELECT DISTINCT part, number FROM letters
    WHERE step = 'replicate' AND replica = {replica};
CREATE OR REPLACE TABLE exempt AS
    FROM waiting UNION SELECT part, number FROM expected WHERE is_copy;
CREATE OR REPLACE VIEW due AS SELECT * FROM lake WHERE event_type IN ({event_types});
"""
_MISSING_BY_POSITION: Final = """
CREATE OR REPLACE TABLE missing AS
SELECT DISTINCT part, number, sequence FROM due ANTI JOIN replica USING (part, number)
ANTI JOIN exempt USING (part, number)
"""
_MISSING_BY_CONTENT: Final = """
CREATE OR REPLACE TABLE missing AS
SELECT part, number, sequence FROM due ANTI JOIN waiting USING (part, number)
ANTI JOIN replica USING (content)
"""
_IS_MISSING: Final = (
    "EXISTS (FROM missing AS m WHERE m.part = judged.part AND m.number = page.number)"
)
_OTHER_VALUES: Final = """
(EXISTS (FROM due WHERE due.part = r.part AND due.number = r.number) AND NOT EXISTS (
    FROM due WHERE due.part = r.part AND due.number = r.number AND due.content = r.content))
"""
_OTHER_BYTES: Final = """
EXISTS (FROM expected AS e
    WHERE e.part = r.part AND e.number = r.number AND e.digest <> r.digest)
"""
_STRANGE: Final = "events of no row of the lake"


class Downstream:
    """Judges index and replicas; the tables `lake`, `letters` and `expected` must be filled."""

    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._rule = TypeRule.of(ws.config.source)
        self._run = ws.database.run
        self._size = ws.database.size
        self._findings = ws.findings
        # Else a later row of the lake may explain what no row explains now.
        self._whole = ws.options.everything and ws.options.complete

    def rows(self) -> Iterator[Row]:
        """Yield a row for each event type of the index, and for each replica."""
        index = self._ws.config.index
        if index and not self._whole:
            self._ws.notes.append(
                "documents of no row of the lake aren't judged: that takes --complete, no range and"
                " no time"
            )
        if index:
            for event_type in self._ws.types:
                yield self._index_of(index_name(index.prefix, event_type.name), event_type)
        for name, settings in self._ws.config.replicate.items():
            yield self._replica(name, settings)

    def _index_of(self, index: str, event_type: EventType) -> Row:
        self.due_documents(event_type.name)
        reader = IndexReader(self._ws, index, event_type)
        with self._ws.phase("reading the index", "documents") as progress:
            documents = reader.read(progress, whole=self._whole)
        if self._ws.serverless:
            again = partial(reader.read_again, ids="behind")
            self._ws.settle("in the index", self.find_behind, again)
        row = self.documents(event_type.name, whole=self._whole)
        row.figures["documents"] = documents
        return row

    def due_documents(self, event_type: str) -> None:
        """Find what the lake's rows of a type require of the index; put their ids into `ids`."""
        self._run(_DUE_DOCUMENTS.format(event_type=literal(event_type)))

    def find_behind(self) -> int:
        """Fill `behind` with the ids without a document of the newest version; how many."""
        self._run(_BEHIND)
        return self._size("behind")

    def documents(self, event_type: str, *, whole: bool) -> Row:
        """Require of each id one document of its newest version or a newer one, with its values.

        A version in a dead letter of step index may be there or not. If an id has several values
        for one version, any of them is right. Documents without a row are judged only if `whole`.
        """
        self._run(_DOCUMENTS)
        row = Row(named(INDEX, event_type), self._size("newest"), self._size("documents"))
        row.not_judged = ("misplaced",)
        row.figures["waiting_for_redrive"] = self._size(_ABSENT)
        add = self._findings.add_ids
        missing = "newest ANTI JOIN documents USING (id)"
        add(row, "missing", event_type, missing, "ids without a document")
        add(row, "doubled", event_type, _DOUBLED, "ids in several indices of an alias")
        stale = "documents older than the lake's newest row of the id"
        add(row, "wrong", event_type, "document_rows WHERE stale", stale)
        rows = "document_rows WHERE NOT stale AND"
        other = "documents with other values than the lake's row of that version"
        add(row, "wrong", event_type, f"{rows} known AND NOT same", other)
        add(row, "unexpected", event_type, f"{rows} NOT known", "documents of no row of the lake")
        if not whole:
            row.drop("unexpected")
        return row

    def _replica(self, name: str, settings: Replica) -> Row:
        self.due_events(name, settings.event_types or self._ws.types.names)
        by_position = bool(settings.kafka_topic)
        self._read(name, settings, by_position=by_position)
        row = self.replica(
            name,
            by_position=by_position,
            exactly_once=settings.guarantee == "exactly_once",
            values=self._ws.values.compare,
            raw=settings.value == "raw",
        )
        self._limit(row, name, settings)
        return row

    def due_events(self, replica: str, event_types: Iterable[str]) -> None:
        """Find what the lake's rows of these types require of a replica."""
        types = ", ".join(map(literal, event_types))
        self._run(_DUE_EVENTS.format(replica=literal(replica), event_types=types))

    def find_missing(self, *, by_position: bool) -> int:
        """Fill `missing` with what a replica lacks, by position or by values; return the count.

        Events in a dead letter, and redriven copies, may be there or not.
        """
        self._run(_MISSING_BY_POSITION if by_position else _MISSING_BY_CONTENT)
        return self._size("missing")

    def replica(
        self, name: str, *, by_position: bool, exactly_once: bool, values: bool, raw: bool
    ) -> Row:
        """Require each event once, with its `values`, and in a `raw` copy its bytes.

        Without positions, require every row's values and no others. How often isn't judged:
        at-least-once makes copies, and events may be alike.
        """
        due = "due" if not by_position else "(SELECT DISTINCT part, number FROM due)"
        row = Row(named(REPLICATE, name), self._size(due), self._size("replica"))
        row.not_judged = ("misplaced",)
        row.figures["refused"] = self._size("waiting")
        add = self._findings.add
        add(row, "missing", "missing", "in the lake but not in the replica")
        if not by_position:
            add(row, "unexpected", "replica ANTI JOIN due USING (content)", _STRANGE)
            return row
        own = "replica SEMI JOIN due USING (part, number) ANTI JOIN exempt USING (part, number)"
        self._findings.add_doubled(row, own, is_error=exactly_once)
        strange = "replica ANTI JOIN due USING (part, number) ANTI JOIN exempt USING (part, number)"
        add(row, "unexpected", strange, _STRANGE)
        wrong = " OR ".join([_OTHER_VALUES] * values + [_OTHER_BYTES] * raw) or "false"
        meaning = "with other values or bytes than due"
        add(row, "wrong", f"replica AS r WHERE {wrong}", meaning)
        return row

    def _read(self, name: str, settings: Replica, *, by_position: bool) -> None:
        """Read a replica; read again for what is missing there, until it settles."""
        self._run(_NEW_REPLICA)
        sink = Sink(self._ws, settings)
        with self._ws.phase(f"reading the replica {name}", "events") as progress:
            self._take(sink, settings, progress)
        compare = partial(self.find_missing, by_position=by_position)
        if settings.filter:
            compare()
            return
        again = partial(self._take, sink, settings, where=_IS_MISSING)
        self._ws.settle(f"in the replica {name}", compare, again)

    def _take(self, sink: Sink, settings: Replica, progress: Progress, where: str = "true") -> None:
        """Take the events that were not read before; of a stream, take all again."""
        stream, rows = settings.kinesis_stream, 0
        raw = settings.value == "raw"
        pages = self._of_stream(stream) if stream else self._of_topic(sink, where, raw=raw)
        for taken in pages:
            rows += taken
            progress(rows)

    def _of_topic(self, sink: Sink, where: str, *, raw: bool) -> Iterator[int]:
        text = self._ws.text.sql(told_of("event_type", self._rule, self._ws.types))
        for relation, columns in sink.pages():
            self._make_page(
                f"""SELECT {placed(columns)}, arrival_ms, raw,
                TRY_CAST(event_type AS event_type) AS event_type FROM {relation}""",
                "event_type",
                text if raw else OF_BYTES,
            )
            yield self._ws.index.put("replica", "digest, content", where)

    def _of_stream(self, name_or_arn: str) -> Iterator[int]:
        """Read the whole stream, which has no positions, into rows without one.

        Only the JSON itself can name an event's type.
        """
        self._run(_NEW_REPLICA)
        event_type = f"TRY_CAST({type_name(self._rule)} AS event_type)"
        if self._rule.header or self._rule.topics:
            event_type = "NULL::event_type"
        records = kinesis_stream.records(*self._ws.systems.stream(name_or_arn))
        for page in paged(records, _PAGE_RECORDS):
            raws = pa.array([record.data for record in page], pa.binary())
            self._ws.database.present("incoming", pa.table({"raw": raws}))
            self._make_page("FROM incoming", event_type, OF_BYTES)
            yield self._run("INSERT INTO replica SELECT 0, -1, NULL, digest, content FROM page")

    def _make_page(self, rows: str, event_type: str, text: str) -> None:
        values = self._ws.values
        self._run(
            f"""CREATE OR REPLACE TEMP TABLE page AS
            SELECT * EXCLUDE (raw, document, members), hash(raw) AS digest,
                {values.of_json(event_type)} AS content FROM ({values.members(rows, text=text)})"""
        )

    def _limit(self, row: Row, name: str, settings: Replica) -> None:
        """Drop what can't be judged of this replica, and note why."""
        if settings.filter:
            row.drop("missing")
            self._ws.notes.append(
                f"replica {name} has a filter: what is missing there isn't judged"
            )
        if settings.kinesis_stream:
            row.drop("doubled")
            self._ws.notes.append(
                f"replica {name} is a stream, which has no positions: its events are compared by"
                " their values, copies aren't judged"
            )
            unnamed = bool(self._rule.header or self._rule.topics)
            if unnamed or (settings.value == "raw" and self._ws.config.source.avro):
                row.drop("missing")
                row.drop("unexpected")
                self._ws.notes.append(
                    f"replica {name} isn't judged: what is in a stream doesn't name its event type,"
                    " or is Avro"
                )
            if not self._whole:
                row.drop("unexpected")
            if not self._ws.values.compare:
                row.drop("missing")
                row.drop("unexpected")
                self._ws.notes.append(f"replica {name} isn't judged without --values")
