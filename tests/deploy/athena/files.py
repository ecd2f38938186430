"""A bucket in a folder, with the lake and the archive as the job's steps write them, without Flink.

The rows go the job's way: its decoder, its streams of rows, its Parquet files.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from pipeline.collect.archive_rows import ArchiveRows
from pipeline.collect.close import files
from pipeline.collect.inputs import Inputs, inputs
from pipeline.collect.lake_rows import LakeRows
from pipeline.collect.stream import Stream
from pipeline.config.model import Source
from pipeline.decode.columns import objects
from pipeline.decode.decoder import Decoder
from pipeline.decode.outcome import Decoded
from pipeline.decode.type_rule import TypeRule
from pipeline.events.event_types import EventTypes
from tests.deploy.athena.projection import Partition

SHARD: Final = "shardId-000000000000"
_BUCKET_BYTES: Final = 24 << 20


class Bucket:
    """A folder that stands for the bucket of the stack; `now_ms` is the decoder's clock."""

    def __init__(self, root: Path, types: EventTypes, source: Source, now_ms: int) -> None:
        self.root = root
        self._source = source
        rule = TypeRule.of(source)
        self._decoder = Decoder(types, type_rule=rule, now=lambda: now_ms)
        self._lake = LakeRows(types, source, ("lake/0",), keep_unknown=False)
        self._archive = ArchiveRows(source, ("archive/0",))
        self._records = 0
        self._files = 0

    def add(self, raws: Sequence[bytes], arrived_ms: Iterable[int]) -> Decoded:
        """Write the next records as one bucket of rows; each partition gets one more file."""
        records = self._inputs(raws, list(arrived_ms))
        decoded = self._decoder.decode_batch(records.raw)
        self._write("lake", self._lake.streams(decoded, records))
        self._write("archive", self._archive.streams(records))
        return decoded

    def write(self, step: str, streams: Iterable[Stream]) -> None:
        self._write(step, streams)

    def keys(self) -> list[str]:
        """The keys of all objects, in order."""
        paths = (path for path in self.root.rglob("*") if path.is_file())
        return sorted(path.relative_to(self.root).as_posix() for path in paths)

    def _inputs(self, raws: Sequence[bytes], arrived_ms: list[int]) -> Inputs:
        numbers = range(self._records, self._records + len(raws))
        self._records += len(raws)
        columns: list[Any] = [objects(raws), np.array(arrived_ms, np.int64)]
        columns.append(objects([None] * len(raws)))
        if self._source.kafka_topics:
            columns.append(objects([self._source.kafka_topics[0]] * len(raws)))
            columns += [np.zeros(len(raws), np.int32), np.array(numbers, np.int64)]
        else:
            columns += [objects([text] * len(raws)) for text in ("trips", SHARD)]
            columns.append(objects([f"{number:056d}" for number in numbers]))
        columns += [objects([None] * len(raws))] * bool(self._source.kafka_topics)
        return inputs(self._source, columns)

    def _write(self, step: str, streams: Iterable[Stream]) -> None:
        for file in files(step, [stream.data for stream in streams], "ZSTD", _BUCKET_BYTES):
            path = self.root / step / file.path / f"part-{self._files:05d}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.data)
            self._files += 1


def listed(keys: Sequence[str], partition: Partition) -> list[str]:
    """The keys with the partition's prefix, as S3 lists them; `keys` are sorted.

    Names that begin with `_` or `.` are hidden from Athena.
    """
    start = bisect_left(keys, partition.prefix)
    found = []
    for key in keys[start:]:
        if not key.startswith(partition.prefix):
            break
        if key.rpartition("/")[2][0] not in "_.":
            found.append(key)
    return found
