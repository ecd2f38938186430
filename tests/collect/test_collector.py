"""The collector, by buckets in memory: nothing is lost or doubled, and files come in time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from random import Random

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.errors import UserError
from pipeline.collect.buckets import Target
from pipeline.collect.collector import Collector, Meta, StepFile
from pipeline.collect.errors import CollectError
from pipeline.collect.merge import merged
from pipeline.collect.stream import encode
from pipeline.metrics import METRICS
from tests.collect.test_close import SCHEMA, closed, read, row, stream

SECONDS = 60
PERIOD = SECONDS * 1000


@dataclass
class MemoryBucket:
    """One key's state."""

    key: str
    kept: dict[int, bytes] = field(default_factory=dict)
    data: bytes | None = None

    def meta(self) -> bytes | None:
        return self.data

    def set_meta(self, data: bytes) -> None:
        self.data = data

    def put(self, number: int, stream: bytes) -> None:
        assert number not in self.kept
        self.kept[number] = stream

    def take(self, number: int) -> bytes:
        return self.kept.pop(number)

    def streams(self) -> Iterable[bytes]:
        return iter(self.kept.values())

    def clear(self) -> None:
        self.kept, self.data = {}, None

    def known(self) -> Meta:
        assert self.data
        return msgspec.msgpack.decode(self.data, type=Meta)


class Job:
    """A collector with a clock and counters."""

    def __init__(self, bucket_bytes: int = 1 << 25, keys: tuple[str, ...] = ("lake/0",)) -> None:
        self.now = 1_000
        self.counts: Counter[str] = Counter()
        self.target = Target("lake", keys, SECONDS, bucket_bytes, "ZSTD")
        self.restart()

    def restart(self) -> None:
        self.collector = Collector({"lake": self.target}, self.count, lambda: self.now)

    def count(self, step: str, name: str, by: int) -> None:
        self.counts[f"{step}.{name}"] += by

    def tick_when_due(self, bucket: MemoryBucket) -> list[StepFile]:
        """Let the bucket's time come, if it is open; until then a tick does nothing."""
        if bucket.data:
            assert self.now >= bucket.known().due_ms or list(self.collector.tick(bucket)) == []
            self.now = max(self.now, bucket.known().due_ms)
        return list(self.collector.tick(bucket))


def offsets(files: Iterable[StepFile]) -> list[int]:
    return sorted(n for file in files for n in read(file.file).column("offset").to_pylist())


def one(number: int, folder: str = "trip/a") -> bytes:
    return stream([(folder, row(number))])


def test_rows_are_kept_until_they_are_due() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    for number in range(5):
        assert list(job.collector.add(bucket, one(number))) == []
    assert bucket.known().due_ms == PERIOD
    found = job.tick_when_due(bucket)
    assert [(step, file.path, file.rows) for step, file in found] == [("lake", "trip/a", 5)]
    assert offsets(found) == [0, 1, 2, 3, 4]
    assert bucket.kept == {} and bucket.meta() is None


def test_a_full_bucket_is_closed_at_once_with_the_last_stream() -> None:
    job, bucket = Job(bucket_bytes=2 * len(one(0)) + 1), MemoryBucket("lake/0")
    assert list(job.collector.add(bucket, one(0))) == []
    assert list(job.collector.add(bucket, one(1))) == []
    assert offsets(job.collector.add(bucket, one(2))) == [0, 1, 2]
    assert bucket.kept == {} and bucket.meta() is None
    assert (job.counts["lake.closed_by_size"], job.counts["lake.closed_by_age"]) == (1, 0)


def test_a_tick_for_a_bucket_that_is_closed_already_does_nothing() -> None:
    job, bucket = Job(bucket_bytes=1), MemoryBucket("lake/0")
    assert offsets(job.collector.add(bucket, one(0))) == [0]
    job.now = 3 * PERIOD + 1
    assert list(job.collector.tick(bucket)) == []
    job.target = job.target._replace(bucket_bytes=1 << 20)
    job.restart()
    assert list(job.collector.add(bucket, one(1))) == []
    assert bucket.known().due_ms == 4 * PERIOD
    assert offsets(job.tick_when_due(bucket)) == [1]


def test_the_end_of_the_input_closes_what_is_open() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    list(job.collector.add(bucket, one(0)))
    assert offsets(job.collector.end(bucket)) == [0]
    assert list(job.collector.end(bucket)) == []
    assert job.tick_when_due(bucket) == []


def test_a_restored_bucket_keeps_its_time_and_loses_nothing() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    list(job.collector.add(bucket, one(0)))
    job.restart()
    list(job.collector.add(bucket, one(1)))
    assert bucket.known().due_ms == PERIOD
    assert offsets(job.tick_when_due(bucket)) == [0, 1]


def test_a_key_of_an_earlier_number_of_buckets_is_collected_all_the_same() -> None:
    job, bucket = Job(), MemoryBucket("lake/99")
    list(job.collector.add(bucket, one(0)))
    assert offsets(job.tick_when_due(bucket)) == [0]


@pytest.mark.parametrize("open_before", [True, False])
def test_a_step_that_the_configuration_lost_stops_the_job(open_before: bool) -> None:
    job, bucket = Job(), MemoryBucket("archive/0")
    if open_before:
        bucket.set_meta(msgspec.msgpack.encode(Meta(due_ms=PERIOD)))
        bucket.put(0, one(0))
    kept = dict(bucket.kept)
    advice = "start the job with the earlier archive.path again, and `stop --drain`"
    calls: list[Iterator[StepFile]] = [job.collector.add(bucket, one(1))]
    if open_before:
        job.now = PERIOD
        calls += [job.collector.tick(bucket), job.collector.end(bucket)]
    for call in calls:
        with pytest.raises(UserError, match=advice):
            list(call)
    assert bucket.kept == kept


def test_buckets_that_are_all_due_close_one_after_the_other() -> None:
    job = Job(keys=("lake/0", "lake/1", "lake/2"))
    buckets = [MemoryBucket(key) for key in job.target.keys]
    for number, bucket in enumerate(buckets):
        list(job.collector.add(bucket, one(number)))
        meta = bucket.known()
        meta.bytes = 32 << 20  # as if it had much more
        bucket.set_meta(msgspec.msgpack.encode(meta))
    job.now = 10 * PERIOD
    closed_at: list[tuple[int, list[int]]] = []
    while any(bucket.data for bucket in buckets):
        for bucket in buckets:
            if found := offsets(job.collector.tick(bucket)):
                closed_at.append((job.now - 10 * PERIOD, found))
        job.now += 1000
    assert closed_at == [(0, [0]), (1000, [1]), (2000, [2])]


def test_a_bucket_does_not_wait_for_ever() -> None:
    job = Job(keys=("lake/0", "lake/1"))
    bucket = MemoryBucket("lake/1")
    list(job.collector.add(bucket, one(1)))
    other, ticks = MemoryBucket("lake/0"), 0
    found: list[StepFile] = []
    job.now = 10 * PERIOD
    while not found:
        list(job.collector.add(other, one(0)))
        meta = other.known()
        meta.bytes, meta.due_ms = 1 << 30, job.now
        other.set_meta(msgspec.msgpack.encode(meta))
        list(job.collector.end(other))
        found, ticks = list(job.collector.tick(bucket)), ticks + 1
        job.now += 1000
    assert (offsets(found), ticks) == ([1], 11)


def test_many_small_streams_become_one() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    for number in range(300):
        list(job.collector.add(bucket, one(number, f"trip/{number % 3}")))
    assert len(bucket.kept) < 64
    assert bucket.known().bytes == sum(map(len, bucket.kept.values())) < 300 * len(one(0)) / 4
    assert bucket.known().rows == 300
    assert offsets(job.tick_when_due(bucket)) == list(range(300))


def test_large_streams_stay_as_they_are() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    large = stream([("trip/a", row(0, raw=Random(0).randbytes(1 << 14)))])
    for _ in range(64):
        list(job.collector.add(bucket, large))
    for number in range(64):
        list(job.collector.add(bucket, one(number)))
    assert list(bucket.kept.values())[:64] == [large] * 64
    assert len(bucket.kept) == 65


def test_streams_of_many_schemas_are_merged_and_then_left() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    for number in range(130):
        wider = SCHEMA.append(pa.field(f"c{number % 65}", pa.int64()))
        list(job.collector.add(bucket, stream([("a", row(number))], wider)))
    assert offsets(job.tick_when_due(bucket)) == list(range(130))


def test_a_file_that_cannot_be_written_keeps_the_streams() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    job.target = job.target._replace(compression="none of Parquet's")
    job.restart()
    list(job.collector.add(bucket, one(0)))
    with pytest.raises(CollectError, match="lake: rows of trip/a"):
        job.tick_when_due(bucket)
    assert len(bucket.kept) == 1 and bucket.meta()


def test_rows_that_a_bucket_lost_are_no_success() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    list(job.collector.add(bucket, one(0)))
    list(job.collector.add(bucket, one(1)))
    bucket.kept.popitem()
    with pytest.raises(AssertionError, match="1 rows in files, of 2 collected"):
        job.tick_when_due(bucket)


def test_counters() -> None:
    job, bucket = Job(), MemoryBucket("lake/0")
    list(job.collector.add(bucket, stream([("a", row(0)), ("a", row(1)), ("b", row(2))])))
    assert job.counts == {"lake.in": 3}
    found = job.tick_when_due(bucket)
    size = sum(len(file.data) for _, file in found)
    expected = {"in": 3, "out": 3, "files": 2, "bytes": size, "closed_by_age": 1}
    assert {name: job.counts[f"lake.{name}"] for name in expected} == expected
    assert {name.partition(".")[2] for name in job.counts} <= {
        metric.name for metric in METRICS if metric.step == "lake"
    }


EVENTS = st.lists(
    st.one_of(st.integers(1, 9), st.just("time"), st.just("restart"), st.just("end")), max_size=40
)


@given(EVENTS, st.integers(1, 40_000))
def test_every_row_leaves_exactly_once(events: list[int | str], bucket_bytes: int) -> None:
    job, bucket = Job(bucket_bytes), MemoryBucket("lake/0")
    sent, left = 0, []
    for event in events:
        if isinstance(event, int):
            found = stream([("a", row(sent + i)) for i in range(event)])
            sent += event
            left += offsets(job.collector.add(bucket, found))
        elif event == "restart":
            job.restart()
        elif event == "end":
            left += offsets(job.collector.end(bucket))
        else:
            left += offsets(job.tick_when_due(bucket))
    left += offsets(job.collector.end(bucket))
    assert sorted(left) == list(range(sent))


def test_merging_changes_no_row() -> None:
    streams = [stream([(f"p={n % 2}", row(n)), ("p=9", row(-n))]) for n in range(1, 9)]
    before = [(file.path, read(file)) for file in closed(streams)]
    (again,) = merged("lake", streams)
    assert [(file.path, read(file)) for file in closed([again])] == before


def test_an_order_of_no_column() -> None:
    batch = pa.RecordBatch.from_pylist([row(2), row(1)], SCHEMA)
    folders = pa.array(["a", "a"]).dictionary_encode()
    (file,) = closed([encode(batch, folders, ())])
    assert read(file).column("offset").to_pylist() == [2, 1]
