"""Compact a lake: merge small files, switch to the merged files, delete the replaced ones.

Every step may be interrupted and repeated. Files written before the switch are not read yet; files
deleted after it have not been current for a grace period. Of two concurrent runs one switches
first, and the other leaves that partition alone.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from connectors.errors import UserError
from connectors.s3.store import Store, Stored
from pipeline.events.event_types import EventTypes
from pipeline.ops.compact import choose, clean, merge
from pipeline.ops.compact.choose import Limits
from pipeline.ops.compact.manifests import SYMLINKS, manifest, manifest_path
from pipeline.ops.compact.switch import Changed, Mismatch, Switch
from pipeline.ops.lake.content import Gone, Lake, Partition
from pipeline.ops.lake.records import Records
from pipeline.progress import Steps


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to do, and where: `below` are event types or partitions; empty: all."""

    below: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    clean: bool = False
    grace_seconds: float = 86_400.0
    manifests: bool = False


@dataclass(slots=True, kw_only=True)
class Report:
    """What was done, or would be. Files and bytes are the current ones.

    `left`: partitions that were left alone, and why. `problems`: what needs attention.
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

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON and for people."""
        return asdict(self)


def wall_clock_ms() -> int:
    """Return the current time in epoch milliseconds."""
    return time.time_ns() // 10**6


@dataclass(frozen=True, slots=True, kw_only=True)
class Compaction:
    """One run over a lake: reads go through `lake`, changes through `store`."""

    lake: Lake
    store: Store
    types: EventTypes
    request: Request
    steps: Steps
    clock_ms: Callable[[], int] = wall_clock_ms

    def plan(self) -> Report:
        """Report what `run` would do now; change nothing. The number of merged files is unknown."""
        report = Report()
        for one in self._partitions(report):
            chosen = self._chosen(one, report)
            _count(report, one.current(), one.current())
            report.partitions += bool(chosen)
            report.replaced_files += len(chosen)
            if self.request.clean:
                report.deleted_files += len(self._rubbish(one).paths)
        return report

    def run(self) -> Report:
        """Compact one partition after the other."""
        self._refuse_stale_manifests()
        report = Report()
        with self.steps.step("listing the lake"):
            partitions = self._partitions(report)
        total = len(partitions)
        with self.steps.step("compacting", unit="partitions", total=total) as progress:
            for done, one in enumerate(partitions, 1):
                self._partition(one, report)
                progress(done)
        return report

    def _refuse_stale_manifests(self) -> None:
        if self.request.clean and not self.request.manifests and self.lake.everything(SYMLINKS):
            raise UserError(
                f"--clean: {self.store.uri}/{SYMLINKS} has manifests, which would go on naming"
                " deleted files; give --manifests too, or delete that folder."
            )

    def _partitions(self, report: Report) -> list[Partition]:
        found = [
            one for below in self.request.below or ("",) for one in self.lake.partitions(below)
        ]
        foreign = {_event_type(one) for one in found} - set(self.types.names)
        report.left += [f"{name}: is the folder of no event type" for name in sorted(foreign)]
        return [one for one in found if _event_type(one) not in foreign]

    def _partition(self, one: Partition, report: Report) -> None:
        now = one
        chosen = self._chosen(one, report)
        if chosen:
            self._merge(one, chosen, report)
        # What to delete is decided by a record that was just read.
        if chosen or self.request.manifests or self.request.clean:
            now = next(iter(self.lake.partitions(one.name)), one)
        _count(report, one.current(), now.current())
        if self.request.manifests:
            self._manifest(now, report)
        if self.request.clean:
            self._clean(now, report)

    def _chosen(self, one: Partition, report: Report) -> list[Stored]:
        if one.record.held:
            report.left.append(
                f"{one.name}: the swap {one.record.held} is at work there; if it was interrupted,"
                " end it with `streaming-etl backfill resume` or `undo`"
            )
            return []
        return choose.small_files(one, self.request.limits, self.clock_ms())

    def _merge(self, one: Partition, chosen: list[Stored], report: Report) -> None:
        switch = Switch(lake=self.lake, store=self.store, clock_ms=self.clock_ms)
        event_time = next(each for each in self.types if each.name == _event_type(one)).event_time
        generation = one.record.generation
        try:
            for batch in merge.batches(self.lake, chosen, self.request.limits.target_bytes):
                merged = switch(one.name, generation, batch, event_time)
                generation += 1
                report.merged_files += 1
                report.merged_rows += merged.rows
                report.replaced_files += len(batch.files)
        except (Changed, Gone):
            report.left.append(f"{one.name}: another run or a swap changed it meanwhile")
        except Mismatch as error:
            report.problems.append(f"{error}; it was deleted, and the small files still count")
        report.partitions += generation > one.record.generation

    def _manifest(self, one: Partition, report: Report) -> None:
        paths = [each.path for each in one.current()]
        text = manifest(self.store.uri, paths)
        self.store.write(manifest_path(one.name), text)
        report.manifests += 1

    def _clean(self, one: Partition, report: Report) -> None:
        rubbish = self._rubbish(one)
        gone = [path for path in rubbish.missing if not self.store.stat(path)]
        report.problems += [
            f"{path} is in the record of its partition and not there: nothing was deleted"
            for path in gone
        ]
        for path in rubbish.paths:
            self.store.delete(path)
        report.deleted_files += len(rubbish.paths)
        if rubbish.record:
            records = Records(self.store)
            read = records.read(one.name)
            if read.record.generation == one.record.generation:
                records.write(one.name, read, rubbish.record)

    def _rubbish(self, one: Partition) -> clean.Rubbish:
        grace = self.request.grace_seconds
        return clean.rubbish(one, now_ms=self.clock_ms(), grace_seconds=grace)


def _count(report: Report, before: list[Stored], after: list[Stored]) -> None:
    report.files_before += len(before)
    report.files_after += len(after)
    report.bytes_before += sum(each.size for each in before)
    report.bytes_after += sum(each.size for each in after)


def _event_type(one: Partition) -> str:
    return one.name.partition("/")[0]
