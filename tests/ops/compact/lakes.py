"""A lake as a job leaves it, without Flink, and one run over it with a clock of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console

from connectors.s3.parquet import pages
from connectors.s3.store import Store, open_store
from pipeline.events import event_types
from pipeline.ops.compact.rules import Request
from pipeline.ops.compact.run import Compaction, Report, wall_clock_ms
from pipeline.ops.lake.content import Lake
from pipeline.progress import Steps

TRIPS = "trip/pickup_location=041/year=2018/month=01"
GREEN = "green_trip/pickup_location=007/year=2018/month=02"
TYPES = event_types.load(Path(__file__).parents[3] / "schemas")
GRACE = 3600.0
_FIRST_MS = 1_514_764_800_000


UTC = pa.timestamp("ms", "UTC")
UNMARKED = pa.timestamp("ms")
"""As Flink wrote times before 0.3."""


def parquet(
    offsets: Sequence[int],
    more: Mapping[str, pa.Array] | None = None,
    time: pa.DataType = UTC,
) -> bytes:
    """A file as a job writes it, of rows from those offsets; later offsets have earlier times."""
    times = pa.array([_FIRST_MS + 10**9 - offset for offset in offsets]).cast(time)
    columns = {
        "trip_id": pa.array([10**15 + offset for offset in offsets], pa.int64()),
        "pickup_datetime": times,
        "type": pa.array(["trip"] * len(offsets)),
        "source_topic": pa.array(["trips"] * len(offsets)),
        "source_partition": pa.array([0] * len(offsets), pa.int32()),
        "source_offset": pa.array(list(offsets), pa.int64()),
        **(more or {}),
    }
    sink = BytesIO()
    options = {"compression": "zstd", "use_dictionary": False, "version": "2.6"}
    pq.write_table(pa.table(columns), sink, **options)
    return sink.getvalue()


@dataclass
class Lakes:
    """A lake in a folder or an S3 prefix; `later` moves the clock of its runs, in seconds."""

    uri: str
    environment: Mapping[str, str] = field(default_factory=dict)
    later: float = 0.0

    @property
    def store(self) -> Store:
        return open_store(self.uri, self.environment)

    @property
    def lake(self) -> Lake:
        return Lake(self.store)

    def write(
        self,
        name: str,
        offsets: Sequence[int],
        more: Mapping[str, pa.Array] | None = None,
        partition: str = TRIPS,
        time: pa.DataType = UTC,
    ) -> None:
        """One more file, as a checkpoint makes it visible."""
        self.store.write(f"{partition}/{name}", parquet(offsets, more, time))

    def compaction(self, **asked: object) -> Compaction:
        """A run over all of it; the limits are those of small tests."""
        given = {"min_files": 2, "older_than_seconds": 0, "grace_seconds": GRACE, **asked}
        return Compaction(
            lake=self.lake,
            store=self.store,
            types=TYPES,
            request=Request(**given),  # type: ignore[arg-type]
            steps=Steps(Console(quiet=True)),
            clock_ms=lambda: wall_clock_ms() + int(self.later * 1000),
        )

    def run(self, **asked: object) -> Report:
        return self.compaction(**asked).run()

    def offsets(self, lake: Lake | None = None) -> list[int]:
        """What a reader sees that knows the rule."""
        lake = lake or self.lake
        found = pages(lake, lake.listing(), ["source_offset"])
        return sorted(
            each
            for batch in found
            for _, table in batch
            for each in table.column("source_offset").to_pylist()
        )

    def names(self, partition: str = TRIPS) -> list[str]:
        """The files that count, without their folders."""
        (one,) = self.lake.partitions(partition)
        return [each.path.rpartition("/")[2] for each in one.current()]


def look_while(work: Callable[[], None], look: Callable[[], None]) -> None:
    """Looks until the work is done, in another thread; what fails in it fails here."""
    failed: list[BaseException] = []

    def guarded() -> None:
        try:
            work()
        except (AssertionError, OSError, TimeoutError) as error:
            failed.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    while thread.is_alive():
        look()
    thread.join()
    assert failed == []
