"""The collector: keeps a key's streams until they are enough or old enough, then makes their files.

A stream is kept, or goes into files at once if it makes its bucket full. Ticks close what is old
enough. All files of a bucket are given out before its streams are cleared, within one call. Flink
does the rest: no checkpoint falls into a call, so after a crash all of it happens again, or none of
it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from time import monotonic
from typing import Final, NamedTuple, Protocol

import msgspec

from connectors.errors import UserError
from pipeline.collect import memory
from pipeline.collect.buckets import Target, due_ms, step_of
from pipeline.collect.close import File, files
from pipeline.collect.merge import merged
from pipeline.collect.stream import row_count

_MANY_STREAMS: Final = 64
_SMALL_BYTES: Final = 1 << 20
# Flink's sinks get time to write a bucket's files before the next bucket's: 160 MiB/s.
_BYTES_PER_MS: Final = 160 * 1024
_MOST_WAITS: Final = 10


class Bucket(Protocol):
    """One key's state, as Flink keeps it."""

    @property
    def key(self) -> str: ...

    def meta(self) -> bytes | None: ...
    def set_meta(self, data: bytes) -> None: ...
    def put(self, number: int, stream: bytes) -> None: ...
    def take(self, number: int) -> bytes: ...
    def streams(self) -> Iterable[bytes]: ...
    def clear(self) -> None: ...


class StepFile(NamedTuple):
    """A file, and the step below whose path it goes."""

    step: str
    file: File


class Meta(msgspec.Struct):
    """What is known of a bucket's streams: they are numbered up to `next`, exclusive.

    Those from `first_small` on have `small_bytes` together. `v` is the version of this record.
    """

    due_ms: int
    next: int = 0
    bytes: int = 0
    rows: int = 0
    first_small: int = 0
    small_bytes: int = 0
    v: int = 1


class Collector:
    """Decides for each key what is kept, and when its bucket closes.

    `count(step, name, by)` adds to a step's counter; `now` returns epoch milliseconds.
    """

    def __init__(
        self,
        targets: Mapping[str, Target],
        count: Callable[[str, str, int], None],
        now: Callable[[], int],
    ) -> None:
        self._targets = targets
        self._count = count
        self._now = now
        self._free_ms = 0
        self._waits: Counter[str] = Counter()

    def add(self, bucket: Bucket, stream: bytes) -> Iterator[StepFile]:
        """Keep a stream; yield the bucket's files if it is full now.

        Raises:
            UserError: the configuration does not have the key's step.
            CollectError: a file can't be written.
        """
        target = self._target(bucket.key)
        meta = _meta_of(bucket) or Meta(due_ms(target, bucket.key, self._now()))
        rows = row_count(stream)
        self._count(target.step, "in", rows)
        meta.bytes += len(stream)
        meta.rows += rows
        if meta.bytes >= target.bucket_bytes:
            self._count(target.step, "closed_by_size", 1)
            yield from self._close(bucket, meta, target, stream)
            return
        bucket.put(meta.next, stream)
        meta.next += 1
        meta.small_bytes += len(stream)
        if meta.next - meta.first_small >= _MANY_STREAMS:
            _merge_small(bucket, meta, target.step)
        bucket.set_meta(msgspec.msgpack.encode(meta))

    def tick(self, bucket: Bucket) -> Iterator[StepFile]:
        """Yield the bucket's files if it is due; raise as `add` does.

        After a pause many are due at once: a bucket waits some ticks while the files of another are
        written.
        """
        meta = _meta_of(bucket)
        if meta is None or self._now() < meta.due_ms:
            return
        if self._now() < self._free_ms and self._waits[bucket.key] < _MOST_WAITS:
            self._waits[bucket.key] += 1
            return
        target = self._target(bucket.key)
        self._count(target.step, "closed_by_age", 1)
        yield from self._close(bucket, meta, target)

    def end(self, bucket: Bucket) -> Iterator[StepFile]:
        """Yield the bucket's files, as the input has ended; raise as `add` does."""
        meta = _meta_of(bucket)
        if meta is not None:
            target = self._target(bucket.key)
            self._count(target.step, "closed_by_age", 1)
            yield from self._close(bucket, meta, target)

    def _close(
        self, bucket: Bucket, meta: Meta, target: Target, *last: bytes
    ) -> Iterator[StepFile]:
        """Yield the files of all streams and of the `last`, which is not kept; then clear."""
        started, rows = monotonic(), 0
        streams = chain(bucket.streams(), last)
        for file in files(target.step, streams, target.compression, target.bucket_bytes):
            rows += file.rows
            self._count(target.step, "files", 1)
            self._count(target.step, "out", file.rows)
            self._count(target.step, "bytes", len(file.data))
            yield StepFile(target.step, file)
        assert rows == meta.rows, f"{bucket.key}: {rows} rows in files, of {meta.rows} collected"
        bucket.clear()
        memory.release()
        del self._waits[bucket.key]
        self._free_ms = max(self._free_ms, self._now() + _pause_ms(meta))
        self._count(target.step, "close_ms", round((monotonic() - started) * 1000))

    def _target(self, key: str) -> Target:
        step = step_of(key)
        if step not in self._targets:
            raise UserError(
                f"there are collected rows for files of {step}, of which the configuration has no"
                f" path: start the job with the earlier {step}.path again, and `stop --drain` it"
                " before you remove the path"
            )
        return self._targets[step]


def _meta_of(bucket: Bucket) -> Meta | None:
    data = bucket.meta()
    return msgspec.msgpack.decode(data, type=Meta) if data else None


def _merge_small(bucket: Bucket, meta: Meta, step: str) -> None:
    """Merge the last streams, if they are small: each costs some 4 KB, whatever its rows are."""
    if meta.small_bytes < _SMALL_BYTES:
        small = [bucket.take(number) for number in range(meta.first_small, meta.next)]
        fewer = merged(step, small)
        meta.first_small = meta.next
        for stream in fewer:
            bucket.put(meta.next, stream)
            meta.next += 1
        size = sum(map(len, fewer))
        meta.bytes += size - meta.small_bytes
        meta.small_bytes = size
        if len(fewer) < _MANY_STREAMS // 2:
            return
    meta.first_small, meta.small_bytes = meta.next, 0


def _pause_ms(meta: Meta) -> int:
    return meta.bytes // _BYTES_PER_MS
