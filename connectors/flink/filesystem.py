"""Parquet on S3 (or a local folder) through Flink's filesystem connector. Exactly once.

A file becomes visible when the checkpoint that covers it completes; after a crash a reader sees
the files of the last completed checkpoint and nothing else. Unfinished uploads are left to the
bucket's lifecycle rule, since a retained checkpoint may still need them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from connectors.sql import create_table, identifier

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
