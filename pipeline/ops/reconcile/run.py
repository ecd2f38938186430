"""The whole of a reconciliation: bounds, then the sinks, then the source, then the verdict."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

import numpy as np
from botocore.exceptions import BotoCoreError, ClientError
from confluent_kafka import KafkaException

from connectors.errors import UserError
from connectors.positions import Positions
from pipeline.config.model import Config
from pipeline.ops.reconcile import judge, read_letters
from pipeline.ops.reconcile.attribute import MOST, Attributed, attribute
from pipeline.ops.reconcile.bounds import Bounds, Covered, bounds
from pipeline.ops.reconcile.checks import Checks
from pipeline.ops.reconcile.covered import covered
from pipeline.ops.reconcile.downstream import Downstream
from pipeline.ops.reconcile.options import Options
from pipeline.ops.reconcile.places import Places
from pipeline.ops.reconcile.read_archive import Archived, ArchiveReader
from pipeline.ops.reconcile.read_lake import LakeReader
from pipeline.ops.reconcile.read_letters import LettersReader
from pipeline.ops.reconcile.report import Report, Row, peak_rss_bytes
from pipeline.ops.reconcile.seen import ArchiveRows, LakeRows, Letters
from pipeline.ops.reconcile.source import AGGREGATED, HEAD, VALUED, Records, Source, stream_names
from pipeline.ops.reconcile.truth import Gathering, Truth, values_of
from pipeline.ops.reconcile.values import Values
from pipeline.ops.systems import Systems
from pipeline.progress import Steps

_POLL_SECONDS: Final = 1.0


def reconcile(systems: Systems, options: Options, steps: Steps) -> Report:
    """Compares every sink of a configuration with its source, without the job's code.

    Reads only. Memory: about 110 bytes a record, and some hundred megabytes.
    Raises UserError where a system can't be read, or where nothing is covered by a checkpoint yet.
    """
    if systems.config.source.archived_from:
        raise UserError(
            "source.archived_from: the records' positions are those of another source; reconcile"
            " with the configuration of the job that reads that one."
        )
    try:
        return _Run(systems, options, steps).report()
    except (KafkaException, BotoCoreError, ClientError, OSError) as error:
        raise UserError(f"cannot read one of the systems: {error}") from error


class _Run:
    def __init__(self, systems: Systems, options: Options, steps: Steps) -> None:
        self._systems = systems
        self._options = options
        self._steps = steps
        self._seconds: dict[str, float] = {}
        self._notes: list[str] = []
        config = systems.config
        self._places = Places(config.source.kafka_topics)
        keep = config.decode.unknown_fields == "keep"
        self._values = Values(systems.types, keep_unknown=keep) if options.values else None
        self._source = Source(systems, self._places)
        with self._phase("reading the bounds"):
            self._covered = covered(
                systems, complete=options.complete, from_archive=options.from_archive
            )
            self._bounds = self._within(config, self._covered)
            self._pending = self._covered.pending
        self._archive_reader = self._archive_of(config)
        self._lake_reader = self._lake_of(config)
        self._letters_reader = self._letters_of(config)

    def report(self) -> Report:
        """All of it, in order."""
        letters = self._letters()
        lake = self._lake()
        truth, archive = self._truth(lake, letters)
        lake, letters = self._still_held(lake, letters)
        if not len(truth) and self._is_uncovered():
            raise UserError(self._nothing_covered())
        lake, letters, archive = self._settled(truth, lake, letters, archive)
        rows = self._rows(truth, lake, letters, archive)
        judged = self._bounds.texts()
        return Report(rows, judged, self._notes, self._seconds, peak_rss_bytes())

    @contextmanager
    def _phase(
        self, what: str, *, unit: str = "", total: int | None = None
    ) -> Iterator[Callable[[int], None]]:
        started = time.monotonic()
        with self._steps.step(what, unit=unit, total=total) as progress:
            yield progress
        took = time.monotonic() - started
        self._seconds[what] = round(self._seconds.get(what, 0.0) + took, 3)

    def _within(self, config: Config, found: Covered) -> Bounds:
        sources = [*config.source.kafka_topics, *stream_names(self._systems)]
        return bounds(self._places, found, self._options, sources)

    def _archive_of(self, config: Config) -> ArchiveReader | None:
        if config.archive is None:
            if self._options.from_archive:
                raise UserError("--from-archive: the configuration has no archive")
            return None
        return ArchiveReader(self._systems, config.archive, self._places, self._bounds)

    def _lake_of(self, config: Config) -> LakeReader | None:
        if config.lake is None:
            self._notes.append(
                "there is no lake, so neither events nor the index and replicas are judged"
            )
            return None
        store = self._systems.lake(config.lake.path)
        return LakeReader(
            store,
            self._places,
            self._bounds,
            self._systems.types,
            self._values,
            with_ids=config.index is not None,
        )

    def _letters_of(self, config: Config) -> LettersReader | None:
        if config.dead_letters is None:
            self._notes.append("there are no dead letters: rejects are only in the archive")
            return None
        return LettersReader(self._systems, config.dead_letters, self._places, self._bounds)

    def _letters(self) -> Letters:
        if self._letters_reader is None:
            return read_letters.none()
        with self._phase("reading the dead letters", unit="letters") as progress:
            return self._letters_reader.read(progress)

    def _lake(self) -> LakeRows | None:
        if self._lake_reader is None:
            return None
        with self._phase("reading the lake", unit="rows") as progress:
            return self._lake_reader.read(progress)

    def _truth(self, lake: LakeRows | None, letters: Letters) -> tuple[Truth, ArchiveRows | None]:
        gathering = Gathering(lake, letters, self._values)
        if not self._options.from_archive:
            with self._phase("reading the source", unit="records") as progress:
                for page in self._source.read(self._bounds):
                    within = self._bounds.within(page.numbers, page.arrival)
                    if self._options.everything:  # Of a topic nothing else is read.
                        self._pending += int((~within).sum())
                    gathering.add(page.only(within))
                    progress(gathering.records)
        held = gathering.records
        archive = self._archive(gathering)
        if gathering.records > held:
            self._notes.append(
                f"{gathering.records - held:,} records are no longer in the source (or weren't"
                " asked for there); what was there is taken from the archive"
            )
        with self._phase("sorting"):
            return gathering.done(), archive

    def _archive(self, gathering: Gathering) -> ArchiveRows | None:
        if self._archive_reader is None:
            return None
        seen = 0
        with self._phase("reading the archive", unit="records") as progress:

            def each(page: Archived) -> None:
                nonlocal seen
                gone = ~self._source.held.rows(page.records.numbers)
                if gone.any():
                    gathering.add(page.records.only(gone), page.digests[gone])
                seen += len(page.records)
                progress(seen)

            return self._archive_reader.read(each)

    def _still_held(
        self, lake: LakeRows | None, letters: Letters
    ) -> tuple[LakeRows | None, Letters]:
        """Without an archive nobody knows what was before the source's beginning."""
        if self._archive_reader is not None:
            return lake, letters
        kept = self._source.held.rows(letters.positions) | (letters.positions == -1)
        dropped = int((~kept).sum())
        letters = Letters.of(
            letters.positions[kept], letters.digests[kept], letters.steps[kept],
            letters.replicas[kept],
        )  # fmt: skip
        if lake is not None:
            rows = self._source.held.rows(lake.positions) | (lake.positions == -1)
            dropped += int((~rows).sum())
            lake = lake.only(rows)
        if dropped:
            self._notes.append(
                f"{dropped:,} rows and dead letters are of records that the source no longer holds"
                " and no archive has: they aren't judged"
            )
        return lake, letters

    def _is_uncovered(self) -> bool:
        """Whether there may be records, but none that a checkpoint covers."""
        streams = bool(self._systems.config.source.kinesis_streams)
        unknown = streams and not self._options.complete and not self._covered.shards
        return self._pending > 0 or unknown

    def _nothing_covered(self) -> str:
        group = self._systems.config.source.kafka_group_id
        none = ", ".join(self._covered.uncommitted)
        committed = f"the group {group} has committed nothing of {none}; " if none else ""
        return (
            f"nothing to judge: {committed}no completed checkpoint covers any record asked for."
            " Wait for a checkpoint, or give --complete for a job that is stopped or drained."
        )

    def _settled(
        self, truth: Truth, lake: LakeRows | None, letters: Letters, archive: ArchiveRows | None
    ) -> tuple[LakeRows | None, Letters, ArchiveRows | None]:
        """Looks again, for a while, for what is missing, for files come after offsets."""
        deadline = time.monotonic() + self._options.settle_seconds
        while True:
            lost = _lost(truth, lake, letters)
            absent = _absent(truth, archive)
            if not len(lost) and not len(absent) or time.monotonic() >= deadline:
                break
            with self._phase("looking again for what is missing"):
                time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
                if len(lost) and lake is not None and self._lake_reader:
                    lake = self._lake_reader.again(lake, lost)
                if len(lost) and self._letters_reader:
                    letters = self._letters_reader.again(letters, lost)
                if len(absent) and archive is not None and self._archive_reader:
                    archive = self._archive_reader.again(archive, absent)
        if lake is not None and self._values:
            self._value_late(truth, lake, self._values)
        return lake, letters, archive

    def _value_late(self, truth: Truth, lake: LakeRows, values: Values) -> None:
        """Compares the values of rows that weren't there yet when the source was read."""
        in_lake = lake.lines(truth.positions) >= 0
        late = truth.positions[in_lake & ~truth.has(VALUED | HEAD | AGGREGATED)]
        if not len(late):
            return
        with self._phase("comparing late rows"):
            for page in self._fetch(late):
                types = lake.types[lake.lines(page.numbers)]
                truth.put_values(page.numbers, values_of(values, types, page.raws))

    def _fetch(self, wanted: Positions) -> Iterator[Records]:
        """These records again, from the source where it holds them, else from the archive."""
        held = self._source.held.rows(wanted)
        if held.any():
            yield from self._source.fetch(wanted[held])
        if not held.all() and self._archive_reader:
            yield from self._archive_reader.fetch(wanted[~held])

    def _rows(
        self, truth: Truth, lake: LakeRows | None, letters: Letters, archive: ArchiveRows | None
    ) -> list[Row]:
        checks = Checks(self._places, truth)
        accounts = judge.judge_accounts(truth, lake, letters) if lake is not None else None
        attributed = self._attributed(accounts) if accounts else Attributed()
        source = (
            checks.source(accounts, attributed)
            if accounts
            else Row("source", len(truth), len(truth), not_judged=("missing",))
        )
        source.figures["pending"] = self._pending
        rows = [source]
        if archive is not None and self._archive_reader:
            once = self._archive_reader.exactly_once
            rows.append(checks.archive(archive, exactly_once=once))
        if self._letters_reader:
            once = self._letters_reader.exactly_once
            rows.append(checks.letters(letters, accounts, attributed, exactly_once=once))
        if lake is not None and accounts and self._lake_reader:
            row = checks.lake(lake, accounts, attributed)
            row.figures |= {"files": self._lake_reader.files, "bytes": self._lake_reader.bytes}
            rows.append(row)
            rows += self._downstream(checks, truth, lake, letters)
        return rows

    def _downstream(
        self, checks: Checks, truth: Truth, lake: LakeRows, letters: Letters
    ) -> list[Row]:
        below = Downstream(
            self._systems,
            self._options,
            self._places,
            self._bounds,
            self._values,
            self._phase,
            self._notes,
        )
        found = below.index(checks, lake, letters)
        return found + below.replicas(checks, truth, lake, letters)

    def _attributed(self, accounts: judge.Accounts) -> Attributed:
        lost = accounts.lost
        if not len(lost):
            return Attributed()
        if self._letters_reader and len(lost) > MOST:
            self._notes.append(
                f"{len(lost):,} records are missing; which sink lacks them is said of the first"
                f" {MOST:,} only"
            )
            lost = np.sort(lost)[:MOST]
        with self._phase("attributing what is missing"):
            config = self._systems.config
            found = attribute(self._fetch(lost), config.decode, self._systems.types)
        if self._letters_reader is None:
            found.control += sum(found.rejects.values(), [])
            found.rejects.clear()
        return found


def _lost(truth: Truth, lake: LakeRows | None, letters: Letters) -> Positions:
    """Records that nothing accounts for yet."""
    if lake is None:
        return truth.positions[:0]
    return judge.judge_accounts(truth, lake, letters).lost


def _absent(truth: Truth, archive: ArchiveRows | None) -> Positions:
    """Records that the archive lacks yet."""
    if archive is None:
        return truth.positions[:0]
    return judge.judge_archive(truth, archive).compared.missing
