"""A load, and the quantities that follow from it: KPUs, shards, files and bytes.

A month has 730 hours, as in AWS's examples, and the load is the same in each second of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import ceil, inf
from typing import Final

from connectors.errors import Mistakes, UserError
from pipeline.config.model import Archive, Config, Lake
from pipeline.deploy.cost.measured import figure
from pipeline.deploy.cost.stack import OLD_VERSION_DAYS, Stack

MONTH_HOURS: Final = 730
MONTH_SECONDS: Final = MONTH_HOURS * 3600
MONTH_DAYS: Final = MONTH_HOURS / 24
GB: Final = 1 << 30
_LARGEST_RECORD: Final = 1 << 20

LIMITS: Final = {
    "events_per_second": (0.001, 10_000_000),
    "bytes_per_event": (1, _LARGEST_RECORD),
    "events_per_record": (1, 10_000),
    "partitions": (1, 1_000_000),
    "rejected_percent": (0, 100),
    "month": (1, 120),
    "events_per_kpu": (1, 1_000_000),
    "brokers": (0, 300),
    "broker_gib": (0, 16_384),
}
"""Least and greatest value of each field of a load."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What comes in, and what is known about it.

    `partitions` are those of the lake that get rows within `file_seconds`. `month` is the month of
    operation that is estimated: storage grows. `events_per_kpu` replaces what was measured.
    """

    events_per_second: float
    bytes_per_event: float = figure("event_bytes")
    events_per_record: int = 1
    partitions: int = 265
    rejected_percent: float = 1.0
    month: int = 12
    events_per_kpu: float | None = None
    brokers: int = 0
    broker_gib: int = 0

    def __post_init__(self) -> None:
        """Check every value.

        Raises:
            UserError: one is not possible; all mistakes at once.
        """
        mistakes = Mistakes()
        for each in fields(self):
            value = getattr(self, each.name)
            low, high = LIMITS[each.name]
            if value is not None and not low <= value <= high:  # also not a number
                option = f"--{each.name.replace('_', '-')}"
                mistakes.add(UserError(f"{option} is {value:g}; allowed are {low:g} to {high:,}"))
        if not mistakes.messages and self.record_bytes > _LARGEST_RECORD:
            mistakes.add(
                UserError(
                    f"a record of {self.events_per_record:,} events has {self.record_bytes:,.0f}"
                    f" bytes, and Kinesis takes {_LARGEST_RECORD:,}; lower --events-per-record"
                )
            )
        mistakes.report()

    @property
    def record_bytes(self) -> float:
        """Bytes of a record of the stream, into which a producer may aggregate events."""
        return self.bytes_per_event * self.events_per_record

    @property
    def size(self) -> float:
        """How many times as large an event is as those of the measurements."""
        return self.bytes_per_event / figure("event_bytes")


@dataclass(frozen=True, slots=True)
class Files:
    """The settings of a sink in files; `buckets` is None for the default."""

    file_seconds: float
    bucket_bytes: int
    buckets: int | None = None


@dataclass(frozen=True, slots=True)
class Settings:
    """Lake and archive; None is one that writes no files."""

    lake: Files | None
    archive: Files | None


def settings_of(config: Config | None) -> Settings:
    """Return the settings of a configuration, or those of the template, which are the defaults."""
    lake = config.lake if config else Lake(path="s3a://bucket/lake")
    archive = config.archive if config else Archive(path="s3a://bucket/archive")
    return Settings(
        Files(lake.file_seconds, lake.bucket_bytes, lake.buckets) if lake else None,
        Files(archive.file_seconds, archive.bucket_bytes) if archive and archive.path else None,
    )


class Plan:
    """The quantities of a load on a stack."""

    def __init__(self, load: Load, stack: Stack, settings: Settings) -> None:
        self.load = load
        self.stack = stack
        self.settings = settings
        self.rate = load.events_per_second
        self.rejected = self.rate * load.rejected_percent / 100
        self.good = self.rate - self.rejected
        per_kpu = stack.number("ParallelismPerKPU")
        busy = self.rate / self.events_per_kpu
        self.kpus = max(ceil(stack.number("Parallelism") / per_kpu), ceil(busy))
        # Not rounded up, so that more events never mean fewer buckets to a byte.
        self.tasks = max(stack.number("Parallelism"), busy * per_kpu)

    @property
    def events_per_kpu(self) -> float:
        """Events a second that a KPU takes when it is as busy as is healthy.

        Larger events take as much longer; smaller ones are not faster.
        """
        if self.load.events_per_kpu:
            return self.load.events_per_kpu
        whole = self.settings.archive is not None
        core = figure("events_per_core" if whole else "events_per_core_lake_only")
        factor = figure("index_factor") if self.stack.has("HasIndex") else 1
        return core * factor * figure("busy") / max(1, self.load.size)

    # The source stream.

    @property
    def records(self) -> float:
        """Records a second into the source stream."""
        return self.rate / self.load.events_per_record

    @property
    def shards(self) -> int:
        """Shards that the stream needs, and the template makes at least."""
        by_records = self.records / figure("shard_records")
        by_bytes = self.rate * self.load.bytes_per_event / figure("shard_bytes")
        return max(self.stack.number("SourceStreamShards"), ceil(by_records), ceil(by_bytes))

    @property
    def stream_bytes(self) -> float:
        """Bytes a second of the source stream as they are billed on demand."""
        return self.records * billed(self.load.record_bytes)

    @property
    def put_units(self) -> float:
        """PUT payload units a second."""
        return self.records * ceil(self.load.record_bytes / figure("put_unit_bytes"))

    @property
    def letter_bytes(self) -> float:
        """Bytes a second of the dead letters as they are billed on demand."""
        in_base64 = 4 * ceil(self.load.bytes_per_event / 3)
        return self.rejected * billed(in_base64 + figure("letter_fields_bytes"))

    # Files.

    @property
    def lake_files(self) -> float:
        """Files a second: one for each partition that got rows, whenever its bucket closes."""
        files = self.settings.lake
        if not files:
            return 0
        buckets = files.buckets or self.tasks * figure("buckets_per_task")
        seconds = files.file_seconds
        by_age = min(self.load.partitions, self.good * seconds) / seconds
        closings = self.good * self._lake_stream_bytes / files.bucket_bytes
        by_size = closings * self.load.partitions / buckets
        return min(self.good, max(by_age, by_size))

    @property
    def archive_files(self) -> float:
        """Files a second: one whenever a bucket closes, of which each task has one."""
        files = self.settings.archive
        if not files:
            return 0
        by_age = min(self.tasks, self.rate * files.file_seconds) / files.file_seconds
        by_size = self.rate * self._archive_stream_bytes / files.bucket_bytes
        return min(self.rate, max(by_age, by_size))

    @property
    def lake_bytes(self) -> float:
        """Bytes a second of the lake's files."""
        if not self.settings.lake:
            return 0
        rows = self.good * figure("lake_row_bytes") * self.load.size
        return rows + self.lake_files * figure("lake_file_bytes")

    @property
    def archive_bytes(self) -> float:
        """Bytes a second of the archive's files."""
        if not self.settings.archive:
            return 0
        rows = self.rate * figure("archive_row_bytes") * self.load.size
        return rows + self.archive_files * figure("archive_file_bytes")

    @property
    def lake_months(self) -> float:
        """Months of rows that the lake holds on average in the month: it is never deleted."""
        return self.load.month - 0.5

    @property
    def archive_months(self) -> float:
        """Months of records that the archive holds, with deleted ones that are still billed."""
        days = self.stack.number("ArchiveExpireDays") + OLD_VERSION_DAYS
        return min(self.load.month - 0.5, days / MONTH_DAYS)

    @property
    def open_bytes(self) -> float:
        """Bytes of rows that are collected and not yet files: Flink's state."""
        return sum(self._open())

    def _open(self) -> Iterator[float]:
        if files := self.settings.lake:
            buckets = files.buckets or self.tasks * figure("buckets_per_task")
            rows = self.good * files.file_seconds * self._lake_stream_bytes
            yield min(rows, buckets * files.bucket_bytes)
        if files := self.settings.archive:
            rows = self.rate * files.file_seconds * self._archive_stream_bytes
            yield min(rows, self.tasks * files.bucket_bytes)

    @property
    def _lake_stream_bytes(self) -> float:
        return figure("lake_stream_bytes") * self.load.size

    @property
    def _archive_stream_bytes(self) -> float:
        return figure("archive_stream_bytes") * self.load.size

    # The index.

    @property
    def index_hours(self) -> float:
        """Hours until the domain's disks are full: documents with one replica, none deleted.

        Infinite if every event is rejected.
        """
        if not self.good:
            return inf
        disks = self.stack.number("DomainNodes") * self.stack.number("DomainVolumeGiB") * GB
        copies = 2 * figure("index_overhead")
        return disks / (self.good * self.load.bytes_per_event * copies) / 3600


def billed(record_bytes: float) -> float:
    """Return a record's bytes as a stream on demand bills them: rounded up to whole KB."""
    step = figure("billed_step_bytes")
    return ceil(record_bytes / step) * step


def stored_gb(bytes_per_second: float, hours: float, until: float, since: float) -> float:
    """Return the GB in a stream that are older than `since` and younger than `until` hours.

    `hours` is the stream's retention.
    """
    return bytes_per_second * 3600 * max(0.0, min(hours, until) - since) / GB
