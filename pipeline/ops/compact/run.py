"""Compact a lake: merge small files, switch to the merged files, delete the replaced ones.

Every step may be interrupted and repeated. Files written before the switch are not read yet; files
deleted after it have not been current for a grace period. Of two concurrent runs one switches
first, and the other leaves that partition alone.
"""

from __future__ import annotations

import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import msgspec
import pyarrow as pa

from connectors.errors import UserError
from connectors.s3.store import Store, Stored
from pipeline.collect.columns import local_columns
from pipeline.events.event_types import EventTypes
from pipeline.ops.compact import estimate, merge, rules
from pipeline.ops.compact.rules import Request
from pipeline.ops.lake.content import COMPACTED, Gone, Lake, Merged, Partition, Record, Replaced
from pipeline.ops.lake.records import Records
from pipeline.progress import Steps

SYMLINKS: Final = "_symlinks"
_CHANGED: Final = "another run or a swap changed it meanwhile"


class Changed(Exception):
    """Another run or a swap changed the partition; nothing was done."""


class Mismatch(Exception):
    """A merged file does not hold the expected rows; it was deleted, nothing was switched."""


@dataclass(slots=True, kw_only=True)
class Report:
    """What was done, or would be done. File and byte counts are those of the current files.

    `left` names the partitions left alone, and why; `problems`, what needs attention.
    """

    partitions: int = 0
    files_before: int = 0
    files_after: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    replaced_files: int = 0
    merged_files: int = 0
    merged_rows: int = 0
    deleted_files: int = 0
    manifests: int = 0
    left: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def wall_clock_ms() -> int:
    """Return the current time in epoch milliseconds."""
    return time.time_ns() // 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """Compact a lake once; read through `lake`, write through `store`."""

    lake: Lake
    store: Store
    types: EventTypes
    request: Request
    steps: Steps
    clock_ms: Callable[[], int] = wall_clock_ms

    def plan(self) -> Report:
        """Report what `run` would do now; change nothing. Files, rows and bytes are estimates."""
        report, chosen = Report(), dict[str, list[Stored]]()
        for partition in self._partitions(report):
            chosen[partition.name] = self._chosen(partition, report)
            _count(report, partition.current(), partition.current())
            if self.request.clean:
                rubbish = rules.rubbish(partition, self.request, self.clock_ms())
                report.deleted_files += len(rubbish.paths)
        to_merge = {name: files for name, files in chosen.items() if files}
        with self.steps.step("estimating", unit="partitions", total=len(to_merge)) as progress:
            densities = estimate.densities(self.lake, to_merge, self.types)
            for done, (name, files) in enumerate(to_merge.items(), 1):
                self._expect(name, files, densities[name.partition("/")[0]], report)
                progress(done)
        return report

    def _expect(
        self, partition: str, files: list[Stored], density: estimate.Density | None, report: Report
    ) -> None:
        local = local_columns(self.types[partition.partition("/")[0]])
        target_bytes = self.request.target_bytes
        try:
            expected = estimate.expected(self.lake, files, target_bytes, density, local)
        except Gone:
            report.left.append(f"{partition}: {_CHANGED}")
            return
        report.partitions += bool(expected.merged_files)
        report.replaced_files += expected.replaced_files
        report.merged_files += expected.merged_files
        report.merged_rows += expected.merged_rows
        report.files_after += expected.merged_files - expected.replaced_files
        report.bytes_after += expected.merged_bytes - expected.replaced_bytes

    def run(self) -> Report:
        """Compact one partition after the other."""
        if self.request.clean and not self.request.manifests and self.lake.everything(SYMLINKS):
            raise UserError(
                f"--clean: {self.store.uri}/{SYMLINKS} has manifests, which would go on naming"
                " deleted files; give --manifests too, or delete that folder."
            )
        report = Report()
        with self.steps.step("listing the lake"):
            partitions = self._partitions(report)
        total = len(partitions)
        with self.steps.step("compacting", unit="partitions", total=total) as progress:
            for done, partition in enumerate(partitions, 1):
                self._partition(partition, report)
                progress(done)
        return report

    def _partitions(self, report: Report) -> list[Partition]:
        below = self.request.below or ("",)
        partitions = [partition for name in below for partition in self.lake.partitions(name)]
        foreign = {_event_type(partition) for partition in partitions} - set(self.types.names)
        report.left += [f"{name}: is the folder of no event type" for name in sorted(foreign)]
        return [partition for partition in partitions if _event_type(partition) not in foreign]

    def _partition(self, partition: Partition, report: Report) -> None:
        now = partition
        chosen = self._chosen(partition, report)
        if chosen:
            self._merge(partition, chosen, report)
        # Read again: deletions must be decided by the newest record.
        if chosen or self.request.manifests or self.request.clean:
            now = next(iter(self.lake.partitions(partition.name)), partition)
        _count(report, partition.current(), now.current())
        if self.request.manifests:
            lines = [f"{uri(self.store.uri, stored.path)}\n" for stored in now.current()]
            self.store.write(manifest_path(now.name), "".join(lines).encode())
            report.manifests += 1
        if self.request.clean:
            self._clean(now, report)

    def _chosen(self, partition: Partition, report: Report) -> list[Stored]:
        if partition.record.held:
            report.left.append(
                f"{partition.name}: the swap {partition.record.held} is at work there; if it was"
                " interrupted, end it with `streaming-etl backfill resume` or `undo`"
            )
            return []
        return rules.small_files(partition, self.request, self.clock_ms())

    def _merge(self, partition: Partition, chosen: list[Stored], report: Report) -> None:
        event_type = self.types[_event_type(partition)]
        local, target_bytes = local_columns(event_type), self.request.target_bytes
        generation = partition.record.generation
        try:
            for batch in merge.batches(self.lake, chosen, target_bytes, local):
                rows = self._switch(partition.name, generation, batch, event_type.event_time)
                generation += 1
                report.merged_files += 1
                report.merged_rows += rows
                report.replaced_files += len(batch.files)
        except (Changed, Gone):
            report.left.append(f"{partition.name}: {_CHANGED}")
        except Mismatch as error:
            report.problems.append(f"{error}; it was deleted, and the small files still count")
        report.partitions += generation > partition.record.generation

    def _switch(self, partition: str, generation: int, batch: merge.Batch, event_time: str) -> int:
        """Merge and switch readers to the merged file; return how many rows it has.

        1 write the merged file, 2 read it back and compare every value, 3 write the record, whose
        generation is incremented. Readers see only step 3. After an interruption before it, the
        merged file is an orphan that `_clean` deletes later.

        Raises:
            Changed: the record is no longer of that generation.
            Mismatch: the written file reads back differently.
        """
        records = Records(self.store)
        read = records.read(partition)
        if read.record.generation != generation:
            raise Changed
        merged = self._written(partition, generation + 1, batch.in_order(event_time))
        record = _after(read.record, merged, batch.files, self.clock_ms())
        if not records.write(partition, read, record):
            self.store.delete(merged.path)
            raise Changed
        return merged.rows

    def _written(self, partition: str, generation: int, rows: pa.Table) -> Merged:
        # The name is unique, so that two runs never overwrite each other's file.
        name = f"compacted-{generation:06d}-{secrets.token_hex(6)}.parquet"
        path = f"{COMPACTED}/{partition}/{name}"
        content = merge.encoded(rows)
        merged = Merged(path, rows.num_rows, len(content))
        self.store.write(path, content)
        del content
        problem = merge.problem(self.lake, path, rows)
        if problem:
            self.store.delete(path)
            raise Mismatch(problem)
        return merged

    def _clean(self, partition: Partition, report: Report) -> None:
        rubbish = rules.rubbish(partition, self.request, self.clock_ms())
        report.problems += [
            f"{path} is in the record of its partition and not there: nothing was deleted"
            for path in rubbish.missing
            if not self.store.stat(path)
        ]
        for path in rubbish.paths:
            self.store.delete(path)
        report.deleted_files += len(rubbish.paths)
        if rubbish.record:
            records = Records(self.store)
            read = records.read(partition.name)
            if read.record.generation == partition.record.generation:
                records.write(partition.name, read, rubbish.record)


def _after(record: Record, merged: Merged, files: dict[str, int], now_ms: int) -> Record:
    """Return the record with the merged file in place of the files (path -> rows)."""
    known = tuple(
        msgspec.structs.replace(entry, into=merged.path) if entry.into in files else entry
        for entry in record.replaced
    )
    new = tuple(Replaced(path, rows, merged.path, now_ms) for path, rows in files.items())
    return msgspec.structs.replace(
        record,
        files=(*(file for file in record.files if file.path not in files), merged),
        replaced=(*known, *new),
    )


def manifest_path(partition: str) -> str:
    """Return the path of a partition's manifest, relative to the lake.

    A manifest names the partition's current files, for readers that don't know the lake's records.
    The format is Hive's SymlinkTextInputFormat, which Athena, Trino and Hive read: a text file in a
    folder named as the partition, with one URI a line. One write replaces it. It is as recent as
    the last run: files that Flink added later are not in it.
    """
    return f"{SYMLINKS}/{partition}/manifest"


def uri(lake: str, path: str) -> str:
    """Return a file's URI for readers other than Hadoop: `s3`, never `s3a`."""
    return f"{re.sub('^s3a:', 's3:', lake).rstrip('/')}/{path}"


def _count(report: Report, before: list[Stored], after: list[Stored]) -> None:
    report.files_before += len(before)
    report.files_after += len(after)
    report.bytes_before += sum(stored.size for stored in before)
    report.bytes_after += sum(stored.size for stored in after)


def _event_type(partition: Partition) -> str:
    return partition.name.partition("/")[0]
