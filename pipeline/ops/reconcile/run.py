"""Run a reconciliation: read coverage, sinks and source, in that order, then apply the rules."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

import duckdb

from connectors.errors import UserError
from pipeline.decode.avro_input import RecordDecoder
from pipeline.decode.decoder import Control, Event
from pipeline.decode.origins import of_record
from pipeline.ops.reconcile import coverage
from pipeline.ops.reconcile.database import Database, ahead
from pipeline.ops.reconcile.downstream import Downstream
from pipeline.ops.reconcile.inventory import inventory
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.position_index import is_held
from pipeline.ops.reconcile.records import Records
from pipeline.ops.reconcile.report import SHOWN, Rejects, Report, Row, peak_rss_bytes
from pipeline.ops.reconcile.rules import CONTROL, EVENT, REJECT, Rules
from pipeline.ops.reconcile.sinks import ArchiveReader, LakeReader, LettersReader, covered_shards
from pipeline.ops.reconcile.source import Source
from pipeline.ops.reconcile.steps import SOURCE
from pipeline.ops.reconcile.workspace import Progress, Workspace
from pipeline.ops.systems import Systems
from pipeline.progress import Steps

_MOST: Final = 10_000
_CLOSE: Final = 50_000
"""Lost offsets with at most this gap are read together: a new consumer costs as much."""
_IN_TABLE: Final = (
    "EXISTS (FROM {table} AS w WHERE w.part = judged.part AND w.number = page.number)"
)
_WANTED: Final = f"""
CREATE OR REPLACE TABLE wanted AS
SELECT l.part, number, source, partition, shard, {is_held()} AS is_held
FROM (FROM lost ORDER BY part, number {{limit}}) AS l JOIN parts USING (part)
LEFT JOIN held AS h USING (source, partition, shard)
"""
_RUNS: Final = f"""
SELECT source, partition, min(number), max(number) FROM (
    SELECT *, sum(starts::INTEGER) OVER (PARTITION BY part ORDER BY number) AS run FROM (
        SELECT *, coalesce(number - lag(number) OVER (PARTITION BY part ORDER BY number), 0)
            > {_CLOSE} AS starts
        FROM wanted WHERE is_held AND shard = ''
    )
)
GROUP BY source, partition, run ORDER BY ALL
"""
_DROP_UNHELD: Final = f"""
DELETE FROM {{table}} WHERE part <> 0 AND rowid NOT IN (
    SELECT t.rowid FROM {{table}} AS t JOIN parts USING (part)
    JOIN held AS h USING (source, partition, shard) WHERE {is_held()}
)
"""

_REJECTS: Final = """
SELECT step, reason, count(*) AS records
FROM (SELECT DISTINCT step, replica, reason, part, number, sequence FROM letters)
GROUP BY step, reason ORDER BY records DESC, step, reason
"""


def reconcile(systems: Systems, options: Options, steps: Steps) -> Report:
    """Compare every sink of a configuration with its source, without the job's code.

    It only reads. Memory is bounded; some 65 bytes a record go to a temporary folder, which is
    deleted with the report, or when the process ends.

    Raises:
        UserError: a system can't be read, or no checkpoint covers anything yet.
    """
    if systems.config.source.archived_from:
        raise UserError(
            "source.archived_from: the records' positions are those of another source; reconcile"
            " with the configuration of the job that reads that one."
        )
    database = Database()
    try:
        return _Run(Workspace(systems, options, steps, database)).report()
    except OSError as error:
        raise UserError(f"cannot read one of the systems: {error}") from error
    except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
        raise UserError(
            f"the temporary database in {database.folder} failed: {str(error).splitlines()[0]}. It"
            " takes some 65 bytes a record on disk; TMPDIR says where."
        ) from error


class _Run:
    def __init__(self, ws: Workspace) -> None:
        self._ws = ws
        self._source = Source(ws.systems)
        with ws.phase("reading the bounds"):
            shards = partial(covered_shards, ws)
            self._coverage = coverage.read(ws.systems, ws.options, shards)
            self._bounds = coverage.bounds(self._coverage, ws.options, self._source.names)
        ws.index.judge(self._bounds)
        self._pending = self._coverage.pending
        self._records = Records(ws)
        archive, lake, letters = ws.config.archive, ws.config.lake, ws.config.dead_letters
        if ws.options.from_archive and not archive:
            raise UserError("--from-archive: the configuration has no archive")
        self._archive = ArchiveReader(ws, archive, self._records) if archive else None
        self._lake = LakeReader(ws, lake) if lake else None
        if not lake:
            ws.notes.append(
                "there is no lake, so neither events nor the index and replicas are judged"
            )
        self._letters = LettersReader(ws, letters) if letters else None
        if not letters:
            ws.notes.append("there are no dead letters: rejects are only in the archive")
        self._rules = Rules(ws.database, ws.findings, with_values=ws.options.values)

    def report(self) -> Report:
        """Read everything, in order, and apply the rules."""
        ws = self._ws
        if self._letters:
            with ws.phase("reading the dead letters", "letters") as progress:
                self._letters.read(progress)
        if self._lake:
            with ws.phase("reading the lake", "rows") as progress:
                self._lake.read(progress)
        self._read_source()
        if self._archive:
            self._read_archive(self._archive)
        else:
            self._drop_unheld()
        if not ws.database.size("expected"):
            self._refuse_uncovered()
        ws.settle("for what is missing", self._compare, self._look_again)
        self._note_open()
        rows = self._rows()
        rejects = self._rejects() if self._letters else None
        for table in ("expected", "archive", "lake", "letters", "documents", "replica"):
            ws.database.run(f"DROP TABLE {table}")
        return Report(
            rows,
            self._bounds.texts(),
            ws.notes,
            ws.seconds,
            peak_rss_bytes(),
            ws.database,
            rejects,
            inventory(self._lake.files.listing()) if self._lake else None,
        )

    def _read_source(self) -> None:
        if self._ws.options.from_archive:
            return
        records = 0
        with self._ws.phase("reading the source", "records") as progress:
            for page in ahead(self._source.pages(self._bounds)):
                judged = self._records.add(page)
                if self._ws.options.everything:  # Of a topic, only judged offsets are read.
                    self._pending += page.num_rows - judged
                records += judged
                progress(records)
        self._ws.index.note_retained(self._source.retained)

    def _read_archive(self, archive: ArchiveReader) -> None:
        start = self._ws.database.size("expected")
        with self._ws.phase("reading the archive", "records") as progress:
            unheld = archive.read(progress)
        if unheld:
            self._ws.notes.append(
                f"{unheld:,} records are no longer in the source (or weren't requested there); what"
                " was there is taken from the archive"
            )
            self._records.drop_copies(start)

    def _drop_unheld(self) -> None:
        """Drop rows of records before the source's beginning, of which nothing else is known."""
        run = self._ws.database.run
        dropped = sum(run(_DROP_UNHELD.format(table=table)) for table in ("letters", "lake"))
        if dropped:
            self._ws.notes.append(
                f"{dropped:,} rows and dead letters are of records that the source no longer holds"
                " and no archive has: they aren't judged"
            )

    def _refuse_uncovered(self) -> None:
        """Raise UserError if there may be records, but none that a checkpoint covers."""
        source = self._ws.config.source
        known = any(shard for _, _, shard in self._coverage.parts or ())
        all_known = self._ws.options.complete or known or not source.kinesis_streams
        if not self._pending and all_known:
            return
        topics = ", ".join(self._coverage.uncommitted)
        group = f"the group {source.kafka_group_id} has committed nothing of {topics}; "
        raise UserError(
            f"nothing to judge: {group if topics else ''}no completed checkpoint covers any record"
            " requested. Wait for a checkpoint, or give --complete for a job that is stopped or"
            " drained."
        )

    def _compare(self) -> int:
        """Return how many records no sink has, or the archive lacks."""
        with self._ws.phase("comparing"):
            lost = self._rules.compare_lake() if self._lake else 0
            return lost + (self._rules.compare_archive() if self._archive else 0)

    def _note_open(self) -> None:
        """Say where rows that are missing may be, if files are made of collected rows."""
        missing = ("lost", self._lake), ("archive_missing", self._archive)
        size = self._ws.database.size
        if self._ws.config.file_sinks and any(size(t) for t, sink in missing if sink):
            self._ws.notes.append(
                "what is missing at the end may be in open files of the job's savepoint, if it was"
                " stopped without --drain: start the job, or stop it with --drain"
            )

    def _look_again(self, progress: Progress) -> None:
        """Read what has become visible of the missing records."""
        size = self._ws.database.size
        if self._lake and size("lost"):
            self._lake.read(progress, _IN_TABLE.format(table="lost"))
            if self._letters:
                self._letters.read(progress, _IN_TABLE.format(table="lost"))
        if self._archive and size("archive_missing"):
            self._archive.read(progress, _IN_TABLE.format(table="archive_missing"))

    def _rows(self) -> list[Row]:
        with self._ws.phase("judging"):
            rows = self._rows_of_source()
        return [*rows, *Downstream(self._ws).rows()] if self._lake else rows

    def _rows_of_source(self) -> list[Row]:
        if self._lake:
            self._attribute()
            source = self._rules.source()
        else:
            records = self._ws.database.size("expected")
            source = Row(SOURCE, records, records, not_judged=("missing",))
        source.figures |= {"forged_redrives": self._note_forged(), "pending": self._pending}
        rows = [source]
        if self._archive:
            once, folders = self._archive.exactly_once, self._archive.has_folders
            rows.append(self._rules.archive(exactly_once=once, has_folders=folders))
        if self._letters:
            rows.append(self._rules.letters(exactly_once=self._letters.exactly_once))
        if self._lake:
            row = self._rules.lake()
            row.figures |= {"files": self._lake.files.read, "bytes": self._lake.files.bytes}
            rows.append(row)
        return rows

    def _rejects(self) -> list[Rejects]:
        """Count the dead letters by step and reason, the most frequent first."""
        return [Rejects(*row) for row in self._ws.database.rows(_REJECTS)]

    def _note_forged(self) -> int:
        """Name the records whose redrive headers the job ignored; return how many there are."""
        ws = self._ws
        forged = ws.database.size("expected WHERE is_forged")
        if forged:
            why = "" if ws.config.redrive_key else " (dead_letters.redrive_key is not set)"
            names = ws.index.names("FROM expected WHERE is_forged", SHOWN + 1)
            more = ", ..." if len(names) > SHOWN else ""
            ws.notes.append(
                f"{forged:,} records have redrive headers without a valid signature{why}; they are"
                f" judged like any other: {', '.join(names[:SHOWN])}{more}"
            )
        return forged

    def _attribute(self) -> None:
        """Name the sink that lacks a lost record: the lake or the dead letters.

        This calls the job's own decoder, so it is no evidence, only a hint where to look.
        """
        ws = self._ws
        lost = ws.database.size("lost")
        if not lost:
            return
        if self._letters and lost > _MOST:
            ws.notes.append(
                f"{lost:,} records are missing; which sink lacks them is reported for the first"
                f" {_MOST:,} only"
            )
        now = 0
        decoder = RecordDecoder(ws.config, ws.types, now=lambda: now)
        rule = decoder.rule
        with ws.phase("attributing what is missing"):
            for part, number, raw, arrival_ms, place, header in self._lost():
                now = arrival_ms
                headers = {rule.header: header} if header is not None else {}
                origins = of_record(rule, place=place, headers=headers, position="", version=0)
                outcome = decoder.decode(raw, origins)
                if isinstance(outcome, Event):
                    self._rules.attribute(part, number, EVENT, outcome.event_type)
                elif isinstance(outcome, Control) or self._letters is None:
                    # Without dead letters no sink has rejects, as with watermarks.
                    self._rules.attribute(part, number, CONTROL, "")
                else:
                    self._rules.attribute(part, number, REJECT, outcome.reason)

    def _lost(self) -> Iterator[tuple[int, int, bytes | None, int, str, str | None]]:
        """Yield the lost records, from the source if it retains them, else from the archive."""
        ws, records, source = self._ws, self._records, self._source
        ws.database.run(_WANTED.format(limit=f"LIMIT {_MOST}" if self._letters else ""))
        for topic, partition, first, last in ws.database.rows(_RUNS):
            for page in source.of_topic(topic, {partition: (first, last)}):
                yield from records.raws(records.incoming(page))
        if ws.database.size("wanted WHERE is_held AND shard <> ''"):
            for page in source.of_streams():
                yield from records.raws(records.incoming(page))
        ws.database.run("DELETE FROM wanted WHERE is_held")
        if self._archive and ws.database.size("wanted"):
            for rows in self._archive.all():
                yield from records.raws(rows)
