"""Parquet on S3 (or a local folder) through Flink's filesystem connector. Exactly once.

A file becomes visible when the checkpoint that covers it completes; after a crash a reader sees
the files of the last completed checkpoint and nothing else. Unfinished uploads are left to the
bucket's lifecycle rule, since a retained checkpoint may still need them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.sql import create_table, identifier
from pipeline.config.model import Lake

_FORMAT = {
    "format": "parquet",
    # int64 timestamps: Flink writes the old INT96 unless told otherwise.
    "parquet.write.int64.timestamp": "true",
    "parquet.timestamp.time.unit": "millis",
    "parquet.utc-timezone": "true",
    "parquet.compression": "ZSTD",
    "parquet.compression.codec.zstd.level": "1",
    "parquet.enable.dictionary": "false",
}


def parquet_table(
    name: str,
    columns: Mapping[str, str],
    path: str,
    partition_keys: Sequence[str],
    options: Mapping[str, str] | None = None,
) -> str:
    """A partitioned table of Parquet files below `path`, as `key=value/` folders."""
    keys = ", ".join(identifier(key) for key in partition_keys)
    made = {"connector": "filesystem", "path": path, **_FORMAT, **(options or {})}
    return create_table(name, columns, made, partitioned_by=f"PARTITIONED BY ({keys}) ")


def lake_table(
    name: str, columns: Mapping[str, str], folder: str, partition_keys: Sequence[str], lake: Lake
) -> str:
    """The lake's table in `folder`: rows are shuffled by the partition keys.

    So one task writes one partition, and files are few and large. Each open partition holds one
    page a column in memory, which is what `page_bytes` bounds.
    """
    options = {
        "parquet.compression": lake.compression,
        "parquet.enable.dictionary": str(lake.dictionary).lower(),
        "parquet.page.size": str(lake.page_bytes),
        "sink.rolling-policy.file-size": f"{lake.file_bytes} b",
        "sink.shuffle-by-partition.enable": "true",
        "sink.partition-commit.policy.kind": "success-file" if lake.success_file else "",
    }
    path = f"{lake.path}/{folder}"
    return parquet_table(name, columns, path, partition_keys, options)
